"""Edge tables of other tools: what they keep, and that the tools' own way of reading them finds the same."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grn._errors import InputError
from grn.network import GeneNetwork
from grn.network.formats import FORMATS

# What each keeps of a signed network: the weight with its sign, or its size alone.
SIGNED = ["decoupler", "celloracle", "genernib"]
SIZES = ["scenic", "beeline"]
TABLES = ["scenic", "decoupler", "celloracle", "beeline"]
ODD = ["SPI1", "NA", "1e5", "007", "nan", "", " HLA A ", 'a "b", c', "x\ty", "Σβ-γ", "None", "-1", "#gene", "'q'"]
GENES = [name for name in ODD if name]

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8) | st.sampled_from(GENES)
weights = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False).filter(bool)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    pairs = draw(st.lists(st.tuples(names, names).filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=8))
    values = draw(st.lists(weights, min_size=len(pairs), max_size=len(pairs)))
    frame = pd.DataFrame(pairs, columns=["source", "target"], dtype=object)
    return frame.assign(weight=np.array(values, dtype=np.float32))


def by_pair(network: GeneNetwork) -> dict[tuple[str, str], float]:
    edges = network.edges
    return dict(zip(zip(edges["source"], edges["target"], strict=True), edges["weight"].tolist(), strict=True))


@pytest.fixture
def network() -> GeneNetwork:
    values = np.random.default_rng(0).normal(size=(4, len(GENES))).astype(np.float32)
    return GeneNetwork.from_matrix(values, GENES[:4], GENES, params={"method": "regulatory", "dataset_id": "pbmc"})


@pytest.fixture
def small() -> GeneNetwork:
    edges = {"source": ["A", "A", "B"], "target": ["B", "C", "A"], "weight": [0.1, -0.3, 0.2]}
    return GeneNetwork.from_edges(pd.DataFrame({**edges, "pvalue": [0.01, 1, 0], "confidence": [1, 0.5, 0]}))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
@pytest.mark.parametrize("name", [*SIGNED, *SIZES, "cytoscape"])
def test_any_network_comes_back(name: str, table: pd.DataFrame, tmp_path: Path) -> None:
    whole = GeneNetwork.from_edges(table)
    whole.write(tmp_path / "n", format=name)
    back = GeneNetwork.read(tmp_path / "n", format=name)
    expected = by_pair(whole) if name not in SIZES else {pair: abs(value) for pair, value in by_pair(whole).items()}
    assert by_pair(back) == expected
    assert back.signed == (name not in SIZES or not expected)


@pytest.mark.parametrize("name", [*SIGNED, *SIZES])
def test_odd_names_come_back_by_the_files_own_ending(name: str, network: GeneNetwork, tmp_path: Path) -> None:
    path = tmp_path / FORMATS[name].file
    network.write(path)
    assert by_pair(GeneNetwork.read(path)).keys() == by_pair(network).keys()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scenic", "TF\ttarget\timportance\nA\tC\t0.3\nB\tA\t0.2\nA\tB\t0.1\n"),
        ("decoupler", "source,target,weight\nA,C,-0.3\nB,A,0.2\nA,B,0.1\n"),
        (
            "celloracle",
            "source,target,coef_mean,coef_abs,p,-logp\nA,C,-0.3,0.3,1,0\nB,A,0.2,0.2,0,inf\nA,B,0.1,0.1,0.01,2\n",
        ),
        ("beeline", "Gene1\tGene2\tEdgeWeight\nA\tC\t0.3\nB\tA\t0.2\nA\tB\t0.1\n"),
    ],
)
def test_text(name: str, text: str, small: GeneNetwork, tmp_path: Path) -> None:
    small.write(tmp_path / "n", format=name)
    assert (tmp_path / "n").read_text() == text


def test_scenic_as_pyscenic_reads_it(network: GeneNetwork, tmp_path: Path) -> None:
    """pySCENIC takes the separator from the ending, the first two columns as text and the third as float64."""
    for ending, separator in (("tsv", "\t"), ("csv", ",")):
        network.write(tmp_path / f"adj.{ending}", format="scenic")
        types = {0: str, 1: str, 2: np.float64}
        found = pd.read_csv(tmp_path / f"adj.{ending}", sep=separator, dtype=types, keep_default_na=False)
        assert found.columns.tolist() == ["TF", "target", "importance"]
        assert found["TF"].tolist() == network.edges["source"].tolist()
        assert (found["importance"] >= 0).all()
        assert found["importance"].is_monotonic_decreasing
        assert not GeneNetwork.read(tmp_path / f"adj.{ending}", format="scenic").signed
    network.write(tmp_path / "adj.scenic.tsv.gz")
    assert len(GeneNetwork.read(tmp_path / "adj.scenic.tsv.gz")) == len(network)


def test_scenic_refuses_signs(tmp_path: Path) -> None:
    (tmp_path / "adj.tsv").write_text("TF\ttarget\timportance\nA\tB\t-1\n")
    with pytest.raises(InputError, match=r"1 importances in .* are negative, .*format=tsv"):
        GeneNetwork.read(tmp_path / "adj.tsv", format="scenic")


def test_decoupler_runs_on_the_file(tmp_path: Path) -> None:
    """Activities of ulm are those of a linear regression of a cell's expression on the regulator's weights."""
    decoupler = pytest.importorskip("decoupler")
    from scipy.stats import linregress

    rng = np.random.default_rng(5)
    genes = [f"g{number}" for number in range(30)]
    network = GeneNetwork.from_matrix(rng.normal(size=(2, 30)), ["g0", "g1"], genes)
    network.write(tmp_path / "net.csv", format="decoupler")
    cells = pd.DataFrame(rng.normal(size=(4, 30)), index=[f"cell{n}" for n in range(4)], columns=genes)
    scores, _ = decoupler.mt.ulm(data=cells, net=pd.read_csv(tmp_path / "net.csv"), tmin=5)
    assert scores.shape == (4, 2)
    fit = linregress(network.matrix().loc["g1"].to_numpy(), cells.loc["cell2"].to_numpy())
    np.testing.assert_allclose(scores.loc["cell2", "g1"], fit.slope / fit.stderr, rtol=1e-3)


@pytest.mark.parametrize("name", ["decoupler", "celloracle"])
def test_signs_that_will_be_made_up_are_told(
    name: str, small: GeneNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="grn"):
        small.write(tmp_path / "n", format=name)
        assert not caplog.records
        GeneNetwork.from_matrix(np.eye(2)[::-1], ["A", "B"], ["A", "B"], signed=False).write(
            tmp_path / "n", format=name
        )
    assert "takes every positive weight for activation" in caplog.text


def test_celloracle_as_its_filter_reads_it(small: GeneNetwork, tmp_path: Path) -> None:
    """CellOracle keeps links of p <= 0.001, strongest coef_abs first; pandas gives its tables a column of numbers."""
    small.write(tmp_path / "links.csv", format="celloracle")
    links = pd.read_csv(tmp_path / "links.csv")
    assert links[links["p"] <= 0.001][["source", "target"]].to_numpy().tolist() == [["B", "A"]]
    links.to_csv(tmp_path / "again.csv")
    back = GeneNetwork.read(tmp_path / "again.csv", format="celloracle")
    assert back.edges["pvalue"].tolist() == small.edges["pvalue"].tolist()
    assert "confidence" not in back.edges


def test_celloracle_without_p(network: GeneNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network.write(tmp_path / "links.csv", format="celloracle")
    links = pd.read_csv(tmp_path / "links.csv", keep_default_na=False)
    assert set(links["p"]) == set(links["-logp"]) == {""}
    assert "pvalue" not in GeneNetwork.read(tmp_path / "links.csv", format="celloracle").edges
    text = "source,target,coef_mean,coef_abs,p,-logp\nA,B,0.5,0.5,0.01,2\nA,C,0,0,,0\nB,C,-0.1,0.1,,0\n"
    (tmp_path / "some.csv").write_text(text)
    with caplog.at_level(logging.INFO, logger="grn"):
        edges = GeneNetwork.read(tmp_path / "some.csv", format="celloracle").edges
    assert edges["pvalue"].tolist() == [np.float32(0.01), 1]
    assert "p is missing of 2 of 3 links" in caplog.text
    (tmp_path / "bad.csv").write_text(text.replace("0.01", "small"))
    with pytest.raises(InputError, match=r"'pvalue' are no numbers from 0 to 1, e\.g\. 'small'"):
        GeneNetwork.read(tmp_path / "bad.csv", format="celloracle")


def test_beeline_as_its_measures_read_it(network: GeneNetwork, tmp_path: Path) -> None:
    """They rank by EdgeWeight as it stands, so no strong repression may come last."""
    network.write(tmp_path / "rankedEdges.csv", format="beeline")
    ranked = pd.read_csv(tmp_path / "rankedEdges.csv", sep="\t", header=0)
    assert ranked.columns.tolist() == ["Gene1", "Gene2", "EdgeWeight"]
    assert (ranked["EdgeWeight"] > 0).all()
    assert ranked["EdgeWeight"].is_monotonic_decreasing
    (tmp_path / "signed.tsv").write_text("Gene1\tGene2\tEdgeWeight\nA\tB\t-0.5\nA\tC\t1\n")
    signed = GeneNetwork.read(tmp_path / "signed.tsv", format="beeline")
    assert signed.edges["sign"].tolist() == [1, -1]


@pytest.mark.parametrize("name", TABLES)
def test_other_tables_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "n").write_text("from,to,strength\nA,B,1\n")
    with pytest.raises(
        InputError, match=r"is no table of .*: it has no .* among its columns from, to, strength.*format="
    ):
        GeneNetwork.read(tmp_path / "n", format=name)
    for content in (b"", b"\xff\xfe\x00broken"):
        (tmp_path / "n").write_bytes(content)
        with pytest.raises(InputError, match=r"n is no table of edges"):
            GeneNetwork.read(tmp_path / "n", format=name)


@pytest.mark.parametrize("name", [*SIGNED, *SIZES])
def test_unsigned_networks_keep_their_weights(name: str, tmp_path: Path) -> None:
    given = GeneNetwork.from_matrix([[0, 0.9, 0.2], [0.4, 0, 0]], ["A", "B"], ["A", "B", "C"], signed=False)
    given.write(tmp_path / "n", format=name)
    back = GeneNetwork.read(tmp_path / "n", format=name)
    assert by_pair(back) == by_pair(given)
    assert back.signed == (name in ("decoupler", "celloracle"))
