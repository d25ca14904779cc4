from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from grn.models import GeneTransformer, RegulatoryModel, effect
from grn.models.readout import SPHERE_FLOOR, mean_at_one_size, read_out
from grn.network import GeneNetwork
from grn.network.contexts import GroupDepartures
from grn.network.extract import extract

GENES = ["A", "B", "C", "D", "E"]
REGULATORS = [1, 3]


def expression(cells: int = 30) -> Tensor:
    """In a third of the entries zero, in 2 channels; standardised by `model` exactly."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(cells, 5, generator=generator) * (torch.rand(cells, 5, generator=generator) > 0.33)


def batches(x: Tensor, group: Tensor | None = None, sizes: tuple[int, ...] = (30,)) -> list[dict[str, Tensor]]:
    group = torch.zeros(len(x), dtype=torch.int64) if group is None else group
    parts = zip(x.split(list(sizes)), group.split(list(sizes)), strict=True)
    return [{"x": one, "group": of, "cell": torch.arange(len(one))} for one, of in parts]


def model(channels: int, views: tuple[str, ...] = ("regulators",), **changes: Any) -> Any:
    x = expression()
    detection = (x > 0).float().mean(0) if channels == 2 else torch.ones(5)
    return RegulatoryModel(
        5,
        torch.tensor(REGULATORS),
        mean=x.mean(0),
        std=x.std(0, correction=0),
        detection=detection,
        views=dict.fromkeys(views, 0.1),
        attention="spherical",
        backend="auto",
        seed=0,
        **{"head_dim": None, **changes},
    )


def give_weights(made: RegulatoryModel, view: str, wanted: Tensor) -> None:
    """Make a view's weights `wanted` (genes, channels, keys): unit keys, no sink, gain their norm."""
    one, rows = made.view(view), wanted.flatten(1)
    with torch.no_grad():
        one.key.copy_(torch.eye(rows.shape[-1]))
        one.query.copy_(1000 * rows)  # large against eps
        one.gain.copy_(rows.norm(dim=-1).expm1().log())
        one.sink.fill_(-50)
    torch.testing.assert_close(made.weights(view)[0], wanted, rtol=1e-4, atol=1e-5)


def with_weights(channels: int, wanted: Tensor) -> RegulatoryModel:
    """Model of the regulators' view with these weights."""
    made = model(channels)
    give_weights(made, "regulators", wanted)
    return made


def wanted_weights(channels: int) -> Tensor:
    """Weights (genes, channels, regulators) at random."""
    wanted = torch.randn(5, channels, 2, generator=torch.Generator().manual_seed(1))
    wanted[REGULATORS, :, [0, 1]] = 0
    return wanted


def weights_of_all() -> Tensor:
    """Weights (genes, 1, genes) at random."""
    wanted = torch.randn(5, 1, 5, generator=torch.Generator().manual_seed(2))
    wanted[range(5), :, range(5)] = 0
    return wanted


def over_norms(effects: np.ndarray) -> np.ndarray:
    """Rows over the root of their squared norm plus the mean one."""
    squared = (effects**2).sum(1, keepdims=True)
    return effects / np.sqrt(squared + squared.mean())


def read(network: GeneNetwork, group: str | None = None) -> np.ndarray:
    return network.matrix(group).loc[["B", "D"], GENES].to_numpy()


def extracted(made: Any, data: list[dict[str, Tensor]], **changes: Any) -> GeneNetwork:
    settings: dict[str, Any] = {"groups": None, "readout": "effect", "params": {"seed": 3}}
    return extract(made, data, genes=GENES, regulators=REGULATORS, **{**settings, **changes})


def test_with_one_channel_effects_are_the_weights() -> None:
    wanted = wanted_weights(1)
    network = extracted(with_weights(1, wanted), batches(expression(), sizes=(7, 23)))
    np.testing.assert_allclose(read(network), wanted[:, 0].T, rtol=1e-3, atol=1e-5)
    assert network.params == {"seed": 3, "readout": "effect"}
    assert list(network.regulators) == ["B", "D"]
    edge = network.edges.set_index(["source", "target"]).loc[("D", "A")]
    assert edge.weight == pytest.approx(float(wanted[0, 0, 1]), rel=1e-3)
    assert edge.sign == np.sign(edge.weight)


def test_with_two_channels_effects_are_measured_over_the_cells() -> None:
    wanted, x = wanted_weights(2), expression()
    made = with_weights(2, wanted)
    values = made.view("regulators").values(x, made.standardise(x)).unflatten(0, (2, 2))
    expected = torch.zeros(5, 2)
    for gene in range(5):
        for regulator in range(2):
            moved = (wanted[gene, :, regulator].unsqueeze(1) * values[:, regulator]).sum(0)
            along = (moved * values[0, regulator]).mean().sign()
            expected[gene, regulator] = moved.square().mean().sqrt() * along
    network = extracted(made, batches(x, sizes=(4, 1, 25)))
    np.testing.assert_allclose(read(network), expected.T, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("readout", ["sphere", "auto"])
def test_sphere_divides_targets_by_their_norm_with_a_floor(readout: str) -> None:
    wanted = wanted_weights(1)
    wanted[2] *= 0.01  # a weak target stays weak
    effects = wanted[:, 0].numpy()
    expected = np.zeros((2, 5))
    mean = np.mean([float((effects[gene] ** 2).sum()) for gene in range(5)])
    for gene in range(5):
        norm = (float((effects[gene] ** 2).sum()) + mean) ** 0.5
        expected[:, gene] = effects[gene] / norm
    assert SPHERE_FLOOR == 1.0
    network = extracted(with_weights(1, wanted), batches(expression()), readout=readout)
    np.testing.assert_allclose(read(network), expected, rtol=1e-3, atol=1e-5)
    assert np.linalg.norm(expected, axis=0).max() < 1
    assert np.linalg.norm(expected[:, 2]) < 0.05
    assert network.params["readout"] == "sphere"  # what was done, not that it was chosen


def test_the_norm_counts_keys_that_are_no_regulators() -> None:
    made, wanted = model(1, views=("genes",)), weights_of_all()
    give_weights(made, "genes", wanted)
    found = read(extracted(made, batches(expression()), readout="sphere"))
    np.testing.assert_allclose(found, over_norms(wanted[:, 0].numpy())[:, REGULATORS].T, rtol=1e-3, atol=1e-5)
    plain = read(extracted(made, batches(expression()), readout="effect"))
    np.testing.assert_allclose(plain, wanted[:, 0, REGULATORS].T, rtol=1e-3, atol=1e-5)


def test_two_views_are_one_network() -> None:
    """The mean of the views' spheres; "effect" is the first view as it is."""
    made = model(1, views=("genes", "regulators"))
    own, of_all = wanted_weights(1), weights_of_all()
    give_weights(made, "regulators", own)
    give_weights(made, "genes", of_all)
    one, other = over_norms(own[:, 0].numpy()), over_norms(of_all[:, 0].numpy())[:, REGULATORS]
    expected = (one + other) / 2
    found = read(extracted(made, batches(expression()), readout="auto"))
    np.testing.assert_allclose(found, expected.T, rtol=1e-3, atol=1e-5)
    assert not np.allclose(found, one.T, atol=0.01)
    plain = read(extracted(made, batches(expression()), readout="effect"))
    np.testing.assert_allclose(plain, own[:, 0].T, rtol=1e-3, atol=1e-5)


def departures(slopes: Tensor, *by_group: Tensor) -> GroupDepartures:
    """Of slopes and departures given as effects, (genes, keys)."""
    apart = torch.stack([one.T for one in by_group])
    return GroupDepartures(slopes.T, apart, torch.zeros_like(apart, dtype=torch.bool))


def two_groups(x: Tensor) -> list[dict[str, Tensor]]:
    return batches(x, torch.arange(30) % 2)


GROUPS = ["CD4/CD8", "B"]


def test_departures_are_added_to_the_common_effects() -> None:
    """At the size of the view's effects: noise in the view had shrunk them, here to a half."""
    wanted = wanted_weights(1)
    effects, apart = wanted[:, 0], torch.zeros(5, 2)
    apart[0, 1], apart[4, 0] = 0.3, -0.2
    network = extracted(
        with_weights(1, wanted),
        two_groups(expression()),
        groups=GROUPS,
        departures=departures(2 * effects, apart, torch.zeros(5, 2)),
    )
    np.testing.assert_allclose(read(network, "B"), effects.T, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(read(network, "CD4/CD8"), (effects + apart / 2).T, rtol=1e-3, atol=1e-5)
    assert set(network.edges.group) == set(GROUPS)


def test_departures_come_before_the_sphere() -> None:
    """Of each view by its own keys; the norm and its floor are those of the group."""
    made = model(1, views=("genes", "regulators"))
    own, of_all = wanted_weights(1), weights_of_all()
    give_weights(made, "regulators", own)
    give_weights(made, "genes", of_all)
    slopes = own[:, 0]
    apart = torch.zeros(5, 2)
    apart[2, 1] = 0.4
    network = extracted(
        made,
        two_groups(expression()),
        groups=GROUPS,
        readout="sphere",
        departures=departures(slopes, apart, torch.zeros(5, 2)),
    )
    view = of_all[:, 0]
    scale = float((view[:, REGULATORS] * slopes).sum() / slopes.square().sum())
    moved = view.clone()
    moved[:, REGULATORS] += scale * apart
    expected = (over_norms((slopes + apart).numpy()) + over_norms(moved.numpy())[:, REGULATORS]) / 2
    np.testing.assert_allclose(read(network, "CD4/CD8"), expected.T, rtol=1e-3, atol=1e-5)
    common = (over_norms(slopes.numpy()) + over_norms(view.numpy())[:, REGULATORS]) / 2
    np.testing.assert_allclose(read(network, "B"), common.T, rtol=1e-3, atol=1e-5)


def test_groups_without_departures_have_equal_networks() -> None:
    made, x = with_weights(2, wanted_weights(2)), expression()
    whole = extracted(made, batches(x), readout="sphere")
    network = extracted(made, two_groups(x), groups=GROUPS, readout="sphere")
    for name in GROUPS:
        np.testing.assert_array_equal(read(network, name), read(whole))


def test_without_groups_departures_are_of_no_use() -> None:
    made, x, wanted = with_weights(1, wanted_weights(1)), expression(), wanted_weights(1)[:, 0]
    found = extracted(made, batches(x), departures=departures(wanted, wanted, -wanted))
    np.testing.assert_array_equal(read(found), read(extracted(made, batches(x))))


def test_effects_are_measured_from_the_cells_batches() -> None:
    """With two channels the covariance of levels and detection counts, within batches."""
    code = torch.arange(30) % 2
    x = expression()
    x = x + torch.tensor([0.0, 4.0])[code].unsqueeze(1) * (x > 0)
    parts = [x[code == one] for one in range(2)]
    known = {
        "batch_mean": torch.stack([part.mean(0) for part in parts]),
        "batch_detection": torch.stack([(part > 0).float().mean(0) for part in parts]),
    }
    made = model(2, **known)
    give_weights(made, "regulators", wanted_weights(2))
    given = [{**one, "batch": code} for one in batches(x)]
    values = made.values("regulators", x, code).double().unflatten(0, (2, 2))
    blocks = torch.einsum("cjb,djb->jcd", values, values) / 30
    expected = effect(made.weights("regulators"), blocks)[0]
    np.testing.assert_allclose(read(extracted(made, given)), expected.T, rtol=1e-3, atol=1e-5)
    plain = with_weights(2, wanted_weights(2))
    assert not np.allclose(read(extracted(plain, given)), expected.T, atol=0.05)


def views_of(*sizes: float) -> list[Tensor]:
    """Effects (2 groups, 6 genes, 4 regulators) of these root mean squares."""
    generator = torch.Generator().manual_seed(3)
    made = [torch.randn(2, 6, 4, generator=generator) for _ in sizes]
    return [view / view.square().mean().sqrt() * size for view, size in zip(made, sizes, strict=True)]


def test_maps_brought_together_have_equal_sizes() -> None:
    small, large = views_of(0.1, 10.0)
    found = mean_at_one_size([small, large])
    # Each gives as much as the other, at their mean size.
    torch.testing.assert_close(found, (small / 0.1 + large / 10) / 2 * 5.05, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mean_at_one_size([large, small]), found, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mean_at_one_size([5 * small, 5 * large]), 5 * found, rtol=1e-5, atol=1e-6)
    assert float(small.square().mean()) == pytest.approx(0.01)  # what is given is not changed


def test_views_that_disagree_on_a_sign_weaken_the_edge() -> None:
    one = torch.tensor([[[1.0, 1.0, -1.0, 1.0]]])
    other = torch.tensor([[[1.0, -1.0, -1.0, -0.5]]])
    found = mean_at_one_size([one, other])[0, 0]
    assert found[0] > 0.9
    assert abs(float(found[1])) < 0.1
    assert found[2] == -found[0]
    assert 0 < found[3] < 0.5


def test_a_single_view_is_returned_as_it_is() -> None:
    (view,) = views_of(0.3)
    torch.testing.assert_close(mean_at_one_size([view]), view, rtol=1e-6, atol=0)


def test_a_view_of_zeros_is_harmless() -> None:
    view, zeros = views_of(0.3)[0], torch.zeros(2, 6, 4)
    found = mean_at_one_size([zeros, view])
    torch.testing.assert_close(found / found.norm(), view / view.norm(), rtol=1e-5, atol=1e-7)
    assert not mean_at_one_size([zeros, zeros]).any()
    assert not read_out(zeros, "sphere").any()


def encoder() -> GeneTransformer:
    x = expression()
    return GeneTransformer(
        5,
        mean=x.mean(0),
        std=x.std(0),
        dim=8,
        layers=2,
        heads=2,
        attention="spherical",
        backend="auto",
        seed=0,
    )


def contextual() -> RegulatoryModel:
    made = model(2, views=("regulators", "genes"), encoder=encoder())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for layer in made.to_context.values():
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
    return made


@pytest.mark.parametrize("kind", [contextual, encoder], ids=["contextual", "transformer"])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("readout", ["effect", "auto"])
def test_cells_weigh_the_same_in_batches_of_any_size(kind: Any, grouped: bool, readout: str) -> None:
    """Group 1 is in no batch but the last, group 2 in none but the first."""
    x = expression()
    group = torch.zeros(30, dtype=torch.int64)
    group[25:], group[:3] = 1, 2
    names = ["a", "b", "c"] if grouped else None
    whole = extracted(kind(), batches(x, group), groups=names, readout=readout)
    parts = extracted(kind(), batches(x, group, sizes=(3, 20, 2, 5)), groups=names, readout=readout)
    for name in names or [None]:
        np.testing.assert_allclose(read(parts, name), read(whole, name), rtol=1e-4, atol=1e-6)
    if grouped:
        alone = extracted(kind(), batches(x[25:], group[25:] * 0, sizes=(5,)), readout=readout)
        if kind is encoder:
            np.testing.assert_allclose(read(whole, "b"), read(alone), rtol=1e-4, atol=1e-6)
        assert not np.allclose(read(whole, "a"), read(whole, "b"), atol=1e-4)


def test_a_map_of_a_transformer_is_turned_from_target_by_regulator() -> None:
    """Row: target (query). Column: regulator (key)."""
    made, x = encoder(), expression()
    found = read(extracted(made, batches(x)))
    expected = made.map(x, torch.zeros(30, dtype=torch.int64))[0]
    for row, regulator in enumerate(REGULATORS):
        for target in range(5):
            own = target == regulator
            assert found[row, target] == pytest.approx(0 if own else float(expected[target, regulator]), rel=1e-4)
    assert not np.allclose(found, expected[REGULATORS].numpy(), atol=1e-2)


def test_a_hand_made_map(monkeypatch: pytest.MonkeyPatch) -> None:
    made = encoder()
    matrix = torch.arange(25.0).view(1, 5, 5)  # entry (target, regulator) = 5 target + regulator
    monkeypatch.setattr(made, "map", lambda x, groups: matrix)
    network = extracted(made, batches(expression()))
    edges = network.edges.set_index(["source", "target"]).weight
    assert (edges["D", "A"], edges["B", "E"], edges["D", "B"]) == (3, 21, 8)
    assert isinstance(network.edges, pd.DataFrame)


def test_refused() -> None:
    with pytest.raises(ValueError, match="readout must be 'effect' or 'sphere', not 'attention'"):
        extracted(model(1), batches(expression()), readout="attention")
    with pytest.raises(ValueError, match="no cells to read the network out from"):
        extracted(encoder(), [])


def test_the_gain_is_a_softplus() -> None:
    """The construction above inverts it."""
    made = with_weights(1, wanted_weights(1)).view("regulators")
    torch.testing.assert_close(softplus(made.gain).detach(), wanted_weights(1).flatten(1).norm(dim=-1))
