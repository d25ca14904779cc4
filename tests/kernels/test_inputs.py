"""Whatever does not fit is refused before any computation, with a message that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from grn.kernels import attention_maps, spherical_attention
from grn.kernels._inputs import absolute_eps, widened


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


def index(*positions: int) -> Tensor:
    return torch.tensor(positions)


GOOD = {"q": zeros(2, 3, 5, 4), "k": zeros(2, 3, 6, 4), "v": zeros(2, 3, 6, 7)}

CASES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no tensor": ({"k": [1.0]}, TypeError, "k must be a tensor, but is list"),
    "three axes": ({"q": zeros(3, 5, 4)}, ValueError, r"q must have four axes .* has shape \(3, 5, 4\)"),
    "whole numbers": (
        {"v": zeros(2, 3, 6, 7).long()},
        TypeError,
        r"v must be floating point, but is torch.int64; call v.float\(\)",
    ),
    "mixed types": ({"k": zeros(2, 3, 6, 4).double()}, TypeError, "one dtype, but q is torch.float32 and k is"),
    "mixed devices": (
        {"v": torch.zeros(2, 3, 6, 7, device="meta")},
        ValueError,
        "one device, but q is on cpu, v on meta",
    ),
    "head_dim": ({"k": zeros(2, 3, 6, 5)}, ValueError, "q and k must share head_dim, but have 4 and 5"),
    "number of keys": ({"v": zeros(2, 3, 5, 7)}, ValueError, "share the number of keys, but have 6 and 5"),
    "no key": ({"k": zeros(2, 3, 0, 4), "v": zeros(2, 3, 0, 7)}, ValueError, "at least one key"),
    "no feature": ({"q": zeros(2, 3, 5, 0), "k": zeros(2, 3, 6, 0)}, ValueError, "one feature, but k has shape"),
    "heads": ({"v": zeros(2, 1, 6, 7)}, ValueError, r"share batch and heads \(use expand .*\(2, 1\)"),
    "heads that do not divide": (
        {"k": zeros(2, 2, 6, 4), "v": zeros(2, 2, 6, 7)},
        ValueError,
        r"a divisor of q's heads\), but have \(2, 3\), \(2, 2\)",
    ),
    "batch": ({"k": zeros(1, 3, 6, 4), "v": zeros(1, 3, 6, 7)}, ValueError, "must share batch and heads"),
    "float8": (
        {name: tensor.to(torch.float8_e4m3fn) for name, tensor in GOOD.items()},
        TypeError,
        "must be float16, bfloat16, float32 or float64, but are torch.float8",
    ),
    "head_dim too large": (
        {"q": zeros(2, 3, 5, 257), "k": zeros(2, 3, 6, 257)},
        ValueError,
        "head_dim is 257, but at most 256 is supported; use more heads",
    ),
    "pair_mask shape": (
        {"pair_mask": zeros(6, 5).bool()},
        ValueError,
        r"pair_mask must broadcast to \(2, 3, 5, 6\), but has shape \(6, 5\)",
    ),
    "pair_mask numbers": ({"pair_mask": zeros(5, 6)}, TypeError, r"pair_mask must be bool \(True: may attend\)"),
    "pair_mask list": ({"pair_mask": [[True]]}, TypeError, "pair_mask must be a tensor, but is list"),
    "pair_mask device": (
        {"pair_mask": torch.zeros(5, 6, device="meta").bool()},
        ValueError,
        "pair_mask is on meta, but q, k and v are on cpu",
    ),
    "pair_mask and linear": (
        {"pair_mask": zeros(5, 6).bool(), "backend": "linear"},
        ValueError,
        "cannot take a dense pair_mask, a dense prior or dropout",
    ),
    "prior shape": ({"prior": zeros(2, 5, 6)}, ValueError, r"prior must broadcast to \(2, 3, 5, 6\)"),
    "prior bool": ({"prior": zeros(5, 6).bool()}, TypeError, "prior must be floating point"),
    "prior and linear": ({"prior": zeros(5, 6), "backend": "linear"}, ValueError, "they do not factorise"),
    "sparse prior shape": (
        {"prior": zeros(6, 5).to_sparse()},
        ValueError,
        r"A sparse prior must have shape \(5, 6\) and two sparse axes, but has \(6, 5\)",
    ),
    "sparse prior whole": ({"prior": torch.eye(5, 6).int().to_sparse()}, TypeError, "prior must be floating point"),
    "sparse prior device": (
        {"prior": torch.eye(5, 6).to_sparse().to("meta")},
        ValueError,
        "prior is on meta, but q, k and v are on cpu",
    ),
    "prior of an excluded pair": (
        {"prior": torch.eye(5, 6).to_sparse(), "exclude": (index(0, 3), index(2, 3))},
        ValueError,
        "query 3 and key 3 are excluded and have a prior",
    ),
    "dropout of everything": ({"dropout_p": 1.0}, ValueError, "dropout_p must be at least 0 and below 1, but is 1.0"),
    "negative dropout": ({"dropout_p": -0.1}, ValueError, "dropout_p must be at least 0"),
    "dropout and linear": ({"dropout_p": 0.1, "backend": "linear"}, ValueError, "they do not factorise"),
    "infinite eps": ({"eps": float("inf")}, ValueError, "eps must be a finite number"),
    "negative eps": ({"eps": -1e-6}, ValueError, "not negative, but is -1e-06"),
    "eps not a number": ({"eps": float("nan")}, ValueError, "eps must be a finite number .* but is nan"),
    "key_weights shape": (
        {"key_weights": zeros(5)},
        ValueError,
        r"key_weights must broadcast to \(2, 3, 6\), but has shape \(5,\)",
    ),
    "key_weights with an axis too many": (
        {"key_weights": zeros(4, 2, 3, 6)},
        ValueError,
        r"key_weights must broadcast to \(2, 3, 6\)",
    ),
    "key_weights bool": ({"key_weights": zeros(6).bool()}, TypeError, "key_weights must be floating point"),
    "key_weights device": (
        {"key_weights": torch.zeros(6, device="meta")},
        ValueError,
        "key_weights is on meta, but q, k and v are on cpu",
    ),
    "sink shape": ({"sink": zeros(6)}, ValueError, r"sink must broadcast to \(2, 3, 5\), but has shape \(6,\)"),
    "sink whole": ({"sink": zeros(5).int()}, TypeError, "sink must be floating point, but is torch.int32"),
    "q no tensor": ({"q": [1.0]}, TypeError, "q must be a tensor, but is list"),
    "exclude one vector": ({"exclude": (index(0),)}, TypeError, "a pair of index vectors .* but is tuple"),
    "exclude matrix of pairs": ({"exclude": torch.tensor([[0, 1]])}, TypeError, "a pair of index vectors"),
    "prior CSR": ({"prior": torch.eye(5, 6).to_sparse_csr()}, TypeError, "layout torch.sparse_csr. .* COO"),
    "prior hybrid": (
        {"prior": torch.ones(5, 6).to_sparse(1)},
        ValueError,
        "and two sparse axes",
    ),
    "sink sparse": ({"sink": torch.ones(5).to_sparse()}, TypeError, "sink must be a dense tensor"),
    "exclude list": ({"exclude": ([0], [0])}, TypeError, "int64 index vector of queries, not list"),
    "exclude type": ({"exclude": (index(0), index(0).int())}, TypeError, "vector of keys, not torch.int32"),
    "exclude matrix": ({"exclude": (index(0)[None], index(0))}, TypeError, r"of queries, not torch.int64 \(1, 1\)"),
    "exclude device": ({"exclude": (index(0).to("meta"), index(0))}, ValueError, "queries are on meta"),
    "exclude query": ({"exclude": (index(0, 5), index(0, 0))}, ValueError, r"names queries outside 0\.\.4"),
    "exclude key": ({"exclude": (index(0, 1), index(0, 6))}, ValueError, r"names keys outside 0\.\.5"),
    "exclude below 0": ({"exclude": (index(-1), index(0))}, ValueError, "names queries outside"),
    "exclude lengths": ({"exclude": (index(0, 1), index(0))}, ValueError, "has 2 queries and 1 keys"),
    "exclude twice": (
        {"exclude": (index(1, 4, 1), index(2, 3, 2))},
        ValueError,
        "lists query 1 and key 2 more than once",
    ),
    "backend": (
        {"backend": "flash"},
        ValueError,
        "Unknown backend 'flash'; choose one of 'auto', 'linear', 'flashsign', 'reference'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_a_message(name: str) -> None:
    changes, error, message = CASES[name]
    with pytest.raises(error, match=message):
        spherical_attention(**{**GOOD, **changes})


def test_the_good_inputs_of_these_cases_pass() -> None:
    assert spherical_attention(**GOOD).shape == (2, 3, 5, 7)


def test_pairs_excluded_once_pass_and_no_pair_excludes_nothing(backend: str, inputs: Callable[..., Any]) -> None:
    q, k, v = inputs()
    # 1 and 2, 2 and 1: pairs are ordered, so none of these is a repetition.
    spherical_attention(q, k, v, exclude=(index(1, 2, 1), index(2, 1, 1)), backend=backend)
    none = torch.empty(0, dtype=torch.int64)
    plain = spherical_attention(q, k, v, backend=backend)
    torch.testing.assert_close(spherical_attention(q, k, v, exclude=(none, none), backend=backend), plain)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (index(0, 1, 0), "one entry for each of the 2 cells, but is torch.int64"),
        (torch.tensor([0.0, 1.0]), "groups must be int64 .* torch.float32"),
        (index(0, -1), "none below 0"),
        (index(0, 1).to("meta"), "groups are on meta, but q and k are on cpu"),
    ],
)
def test_groups_that_do_not_fit(groups: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention_maps(GOOD["q"], GOOD["k"], groups=groups)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": [0, 1]}, TypeError, "groups must be an int64 tensor, but is list"),
        ({"top_k": 2.0}, TypeError, "top_k must be a whole number of keys, but is 2.0"),
        ({"top_k": True}, TypeError, "top_k must be a whole number"),
        ({"top_k": 7}, ValueError, "between 1 and the number of keys, 6"),
        ({"statistics": ("mean", "median")}, ValueError, "statistics must be some of"),
    ],
)
def test_maps_are_refused_before_any_computation(
    options: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grn.kernels.maps.row_norms", lambda *a: pytest.fail("a norm was computed first"))
    with pytest.raises(error, match=message):
        attention_maps(GOOD["q"], GOOD["k"], **options)


def test_maps_of_no_cell() -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        attention_maps(zeros(0, 1, 3, 2), zeros(0, 1, 3, 2))


def test_maps_check_their_inputs_too() -> None:
    with pytest.raises(ValueError, match="share head_dim"):
        attention_maps(zeros(1, 1, 3, 2), zeros(1, 1, 3, 3))


def test_eps_and_width() -> None:
    assert absolute_eps(1e-3, zeros(1, 1, 10, 4)) == pytest.approx(0.04)
    types = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    assert [widened(torch.zeros(1, dtype=dtype)).dtype for dtype in types] == [torch.float32] * 3 + [torch.float64]
