"""Prior knowledge by command and from Python: what it changes, what is recorded, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.evaluation import evaluate
from grn.network import GeneNetwork
from grn.prior import Prior, clean_prior

QUICK = ("data=krumsiek11", "debug=quick", "trainer.accelerator=cpu")
PRIOR = ("prior=file", "prior.path=truth.csv")


@pytest.fixture
def truth(tmp_path: Path) -> pd.DataFrame:
    """The true network of the bundled set, also as truth.csv where commands run."""
    table = grn.datasets.krumsiek11().uns["reference"]
    table.to_csv(tmp_path / "truth.csv", index=False)
    return table


def test_a_run_with_the_truth_as_prior(grn_command: Callable, tmp_path: Path, truth: pd.DataFrame) -> None:
    runs = {"with": PRIOR, "without": (), "zero": (*PRIOR, "prior.strength=0")}
    for name, more in runs.items():
        done = grn_command("train", *QUICK, f"name={name}", *more)
        assert done.code == 0, done.err
        assert ("prior: 26 edges of 11 TFs among the genes; agreement with expression z = " in done.err) == bool(more)
    folders = {name: tmp_path / "outputs" / name for name in runs}
    networks = {name: GeneNetwork.read(folder) for name, folder in folders.items()}
    scores = {name: evaluate(network, truth)["auprc"] for name, network in networks.items()}
    assert scores["with"] > scores["without"] + 0.1
    assert (folders["zero"] / "network.tsv").read_bytes() == (folders["without"] / "network.tsv").read_bytes()
    facts = json.loads((folders["with"] / "run.json").read_text())["prior"]
    assert facts == networks["with"].params["prior"]
    assert (facts["source"], facts["edges"], facts["tfs"], facts["setting"]) == ("truth.csv", 26, 11, "auto")
    assert facts["z"] > 2
    assert facts["strength"] == pytest.approx(1 - (2 / facts["z"]) ** 2)
    assert "prior" not in json.loads((folders["without"] / "run.json").read_text())

    # No second training: the run without it is read out with it.
    done = grn_command("infer", "run=outputs/without", "name=again", *PRIOR)
    assert done.code == 0, done.err
    again = GeneNetwork.read(tmp_path / "outputs" / "again")
    pd.testing.assert_frame_equal(again.edges, networks["with"].edges)
    assert json.loads((tmp_path / "outputs" / "again" / "run.json").read_text())["prior"] == facts

    done = grn_command("train", "name=with", "resume=true", "prior=none")
    assert done.code == 1
    assert "finished with other settings of prior" in done.err


def test_methods_without_training(
    grn_command: Callable, tmp_path: Path, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = grn_command("infer", "method=pearson", "data=krumsiek11", "name=out", *PRIOR, "prior.strength=1")
    assert done.code == 0, done.err
    network = GeneNetwork.read(tmp_path / "outputs" / "out")
    plain = grn.datasets.krumsiek11()
    grn.tl.infer(plain, "all", method="pearson")
    assert evaluate(network, truth)["auprc"] > evaluate(grn.get.network(plain), truth)["auprc"] + 0.1
    assert json.loads((tmp_path / "outputs" / "out" / "run.json").read_text())["prior"]["strength"] == 1
    # Importances stay without signs.
    monkeypatch.setattr("grn.evaluation.baselines.grnboost2._boost", lambda x, y, seed, rounds: np.abs(x[:3].sum(0)))
    unsigned = grn.datasets.krumsiek11()
    grn.tl.infer(unsigned, "all", method="grnboost2", prior=truth, overrides=["prior.strength=1"])
    assert not grn.get.network(unsigned).signed
    assert grn.get.network(unsigned).params["prior"]["source"] == "a table"


@pytest.mark.parametrize("flip", ["prior.strength=0.2", "prior.path=other.csv"])
def test_every_setting_of_a_file_changes_the_network(
    grn_command: Callable, tmp_path: Path, truth: pd.DataFrame, flip: str
) -> None:
    truth.iloc[::2].to_csv(tmp_path / "other.csv", index=False)
    found = []
    for name, more in (("before", ()), ("after", (flip,))):
        base = ("infer", "method=ridge", "data=krumsiek11", f"name={name}", *PRIOR, "prior.strength=1")
        assert grn_command(*base, *more).code == 0
        found.append(GeneNetwork.read(tmp_path / "outputs" / name).edges.to_csv())
    assert found[0] != found[1]


def test_python_takes_a_table_a_path_and_a_name(
    tmp_path: Path, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grn.prior.sources._download", lambda name, **settings: clean_prior(truth))
    quick = ["debug=quick", "trainer.accelerator=cpu", "prior.strength=0.5"]
    found = []
    for prior in (truth, tmp_path / "truth.csv", str(tmp_path / "truth.csv"), "collectri"):
        adata = grn.datasets.krumsiek11()
        grn.tl.infer(adata, "all", prior=prior, overrides=quick)
        found.append(grn.get.network(adata))
        assert found[-1].params["prior"]["strength"] == 0.5
    assert found[-1].params["prior"]["source"] == "CollecTRI (human)"
    for other in found[1:]:
        pd.testing.assert_frame_equal(other.edges, found[0].edges)
    # What is written is what `Prior.apply` gives on the network without it.
    plain = grn.datasets.krumsiek11()
    grn.tl.infer(plain, "all", overrides=quick[:2])
    genes = plain.var_names
    weights = grn.get.network(plain).matrix().reindex(index=genes, columns=genes, fill_value=0).to_numpy()
    expected = Prior(clean_prior(truth), "", 0.5).apply(weights, genes, np.arange(len(genes)))[0]
    np.testing.assert_allclose(
        found[0].matrix().reindex(index=genes, columns=genes, fill_value=0), expected, rtol=1e-5, atol=1e-7
    )


def test_groups(truth: pd.DataFrame) -> None:
    adata = grn.datasets.krumsiek11()
    grn.tl.infer(adata, "all", group_by="cell_type", prior=truth, overrides=["debug=quick", "trainer.accelerator=cpu"])
    network = grn.get.network(adata)
    facts = network.params["prior"]
    assert set(facts["z"]) == set(facts["strength"]) == set(network.groups)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prior.path=truth.csv",), "prior.path cannot be set, because no prior is chosen: add prior=... (collectri"),
        (("prior=file",), "prior=file needs prior.path=..."),
        (("prior=file", "prior.path=thruth.csv"), "Beside it: truth.csv"),
        (("prior=file", "prior.path=truth.csv", "prior.strength=-1"), "prior.strength = -1 is too small"),
        (("prior=file", "prior.path=truth.csv", "prior.strength=full"), "expected a number or one of 'auto'"),
        (("prior=collectr",), "Did you mean 'collectri'"),
        (("prior=file", "prior.path=other.csv"), "has no edge from a regulator to another gene"),
    ],
)
@pytest.mark.usefixtures("truth")
def test_refusals_come_before_training(
    grn_command: Callable, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "other.csv").write_text("tf,target\nENSG1,ENSG2\n")
    done = grn_command("train", *QUICK, "name=out", *arguments)
    assert done.code != 0
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "outputs" / "out" / "checkpoints").exists()


def test_a_prior_is_an_argument_or_an_override(tmp_path: Path, truth: pd.DataFrame) -> None:
    adata = grn.datasets.krumsiek11()
    grn.tl.infer(adata, "all", method="ridge", overrides=["prior=file", f"prior.path={tmp_path / 'truth.csv'}"])
    assert grn.get.network(adata).params["prior"]["edges"] == 26
    for override in ("prior=collectri", "prior.path=x.csv"):
        with pytest.raises(InputError, match="that is an argument of `infer`"):
            grn.tl.infer(adata, "all", prior=truth, overrides=[override])
    with pytest.raises(InputError, match=r"no file of prior knowledge colectri"):
        grn.tl.infer(adata, "all", prior="colectri")
    with pytest.raises(InputError, match=r"prior.strength cannot be set"):
        grn.tl.infer(adata, "all", overrides=["prior.strength=1"])
