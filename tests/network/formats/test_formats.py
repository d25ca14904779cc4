import gzip
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import get_args

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.config import schema
from grn.network import GeneNetwork
from grn.network.formats import FORMATS, graphml
from grn.network.formats.registry import find_format
from grn.pipeline.results import refuse_formats
from grn.pipeline.results import write_network as write_run
from grn.run_folder import PRODUCTS

GENES = ["SPI1", "HLA-DRA", "NA", "1", 'odd, "name"', "lonely"]


@pytest.fixture
def weights() -> np.ndarray:
    given = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    given[:, 5] = 0
    return given


@pytest.fixture
def network(weights) -> GeneNetwork:
    return GeneNetwork.from_matrix(weights, GENES[:3], GENES, params={"seed": 0, "settings": {"a": [1, None]}})


@pytest.fixture
def grouped(weights) -> GeneNetwork:
    return GeneNetwork.from_matrix({"CD4/CD8": weights, "B, naive": -weights}, GENES[:3], GENES)


@pytest.mark.parametrize("ending", ["parquet", "tsv", "tsv.gz", "csv", "csv.gz", "graphml", "h5ad"])
@pytest.mark.parametrize("which", ["network", "grouped"])
def test_edges_come_back_exactly(which, ending, request, tmp_path):
    given = request.getfixturevalue(which)
    given.write(tmp_path / f"n.{ending}")
    back = GeneNetwork.read(tmp_path / f"n.{ending}")
    by = ["source", "target", "group"] if given.groups else ["source", "target"]
    pd.testing.assert_frame_equal(
        back.edges.sort_values(by, ignore_index=True), given.edges.sort_values(by, ignore_index=True)
    )
    assert (back.edges["weight"].abs().diff().dropna() <= 0).all()


@pytest.mark.parametrize("ending", ["parquet", "h5ad"])
def test_lossless_formats_keep_everything(network, ending, tmp_path):
    network.write(tmp_path / f"n.{ending}")
    back = GeneNetwork.read(tmp_path / f"n.{ending}")
    pd.testing.assert_frame_equal(back.edges, network.edges)
    assert back.genes.tolist() == GENES
    assert back.regulators.tolist() == GENES[:3]
    assert back.params == network.params


@pytest.mark.parametrize("ending", ["sif", "gmt"])
def test_formats_of_signs_keep_pairs_and_signs(network, ending, tmp_path):
    network.write(tmp_path / f"n.{ending}")
    back = GeneNetwork.read(tmp_path / f"n.{ending}")
    expected = set(zip(network.edges["source"], network.edges["target"], network.edges["sign"], strict=True))
    assert set(zip(back.edges["source"], back.edges["target"], back.edges["sign"], strict=True)) == expected
    assert set(back.edges["weight"].abs()) == {1.0}


def test_text_of_the_small_formats(tmp_path):
    given = GeneNetwork.from_edges(
        pd.DataFrame({"source": ["A", "A", "A"], "target": ["B", "C", "D"], "weight": [0.1, -0.3, 0.2]})
    )
    given.write(tmp_path / "n.sif")
    assert (tmp_path / "n.sif").read_text() == "A\trepresses\tC\nA\tactivates\tD\nA\tactivates\tB\n"
    given.write(tmp_path / "n.gmt")
    assert (tmp_path / "n.gmt").read_text() == "A(+)\tactivated by A\tD\tB\nA(-)\trepressed by A\tC\n"
    given.write(tmp_path / "n.tsv")
    assert (tmp_path / "n.tsv").read_text() == (
        "source\ttarget\tweight\tsign\nA\tC\t-0.3\t-1\nA\tD\t0.2\t1\nA\tB\t0.1\t1\n"
    )


def test_the_same_network_gives_the_same_bytes(network, tmp_path):
    for ending in ("parquet", "tsv", "graphml"):
        first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
        network.write(first)
        network.write(second)
        assert first.read_bytes() == second.read_bytes()


def test_graphml_holds_what_viewers_need(network, tmp_path):
    network.write(tmp_path / "n.graphml")
    graph = nx.read_graphml(tmp_path / "n.graphml")
    assert graph.is_directed()
    assert graph.nodes["SPI1"]["is_tf"]
    assert not graph.nodes["1"]["is_tf"]
    assert "lonely" not in graph
    strongest = network.edges.iloc[0]
    data = graph.edges[strongest["source"], strongest["target"]]
    assert data["sign"] == strongest["sign"]
    assert np.float32(data["weight"]) == strongest["weight"]


def test_graphml_refuses_many_edges(network, tmp_path, monkeypatch):
    monkeypatch.setattr(graphml, "LIMIT", 5)
    with pytest.raises(InputError, match=r"at most 5 edges.*network\.top"):
        network.write(tmp_path / "n.graphml")
    assert list(tmp_path.iterdir()) == []


def test_foreign_tables_can_be_read(tmp_path):
    table = pd.DataFrame({"source": ["A"], "target": ["B"], "weight": [-2.0]})
    table.to_parquet(tmp_path / "n.parquet")
    table.to_csv(tmp_path / "n.csv", index=False)
    for name in ("n.parquet", "n.csv"):
        assert GeneNetwork.read(tmp_path / name).edges["sign"].tolist() == [-1]


def test_format_can_be_named(network, tmp_path):
    network.write(tmp_path / "edges.txt", format="tsv")
    assert len(GeneNetwork.read(tmp_path / "edges.txt", format="tsv")) == len(network)
    network.write(tmp_path / "edges", format="sif")
    with pytest.raises(InputError, match="names no column that is known"):
        GeneNetwork.read(tmp_path / "edges", format="tsv")


def test_run_folder(network, tmp_path):
    with pytest.raises(InputError, match=r"no network\.parquet"):
        GeneNetwork.read(tmp_path)
    network.write(tmp_path / "network.parquet")
    assert len(GeneNetwork.read(tmp_path)) == len(network)


@pytest.mark.parametrize("name", ["sif", "gmt"])
def test_groups_need_a_place(grouped, name, tmp_path):
    with pytest.raises(InputError, match=r"no place for groups, and this network has 2.*of_group\('B, naive'\)"):
        grouped.write(tmp_path / f"n.{name}")
    grouped.of_group("CD4/CD8").write(tmp_path / f"n.{name}")


def test_unknown_formats_and_endings(network, tmp_path):
    with pytest.raises(InputError, match="Did you mean 'parquet'"):
        network.write(tmp_path / "n", format="parket")
    with pytest.raises(InputError, match=r"names no format.*Did you mean '\.graphml'"):
        network.write(tmp_path / "n.grapml")
    with pytest.raises(InputError, match="is a folder"):
        network.write(tmp_path, format="tsv")


def test_missing_file_names_its_neighbours(network, tmp_path):
    network.write(tmp_path / "network.tsv")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*network\.tsv"):
        GeneNetwork.read(tmp_path / "netwrk.tsv")


@pytest.mark.parametrize("name", ["parquet", "tsv", "graphml", "h5ad", "sif", "gmt"])
def test_broken_files_are_named(name, network, tmp_path):
    path = tmp_path / f"n.{name}"
    network.write(path)
    whole = path.read_bytes()
    path.write_bytes(b"\xff\xfe\x00broken" if name in ("tsv", "sif", "gmt") else whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"n\." + name):
        GeneNetwork.read(path)


@pytest.mark.parametrize(("name", "text"), [("sif", "A pp B\n"), ("gmt", "A\tsome set\tB\n")])
def test_foreign_lines_are_named(name, text, tmp_path):
    (tmp_path / f"n.{name}").write_text(text)
    with pytest.raises(InputError, match="Line 1 of"):
        GeneNetwork.read(tmp_path / f"n.{name}")


def test_undirected_graphml_is_refused(tmp_path):
    nx.write_graphml(nx.Graph([("A", "B")]), tmp_path / "n.graphml")
    with pytest.raises(InputError, match="no directions"):
        GeneNetwork.read(tmp_path / "n.graphml")


def test_h5ad_without_a_network(tmp_path):
    import anndata

    anndata.AnnData(np.ones((2, 2), dtype=np.float32)).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="holds no network"):
        GeneNetwork.read(tmp_path / "a.h5ad")


def test_a_failed_write_leaves_what_stood_there(network, tmp_path):
    path = tmp_path / "n.parquet"
    network.write(path)
    before = path.read_bytes()
    unwritable = GeneNetwork(network.edges, network.genes, network.regulators, {"x": object()})
    with pytest.raises(TypeError, match="params holds a object"):
        unwritable.write(path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["n.parquet"]


def test_written_files_can_be_read_by_others(network, tmp_path):
    network.write(tmp_path / "n.tsv.gz")
    with gzip.open(tmp_path / "n.tsv.gz", "rt") as stream:
        assert stream.readline().split() == ["source", "target", "weight", "sign"]
    assert (tmp_path / "n.tsv.gz").stat().st_mode & stat.S_IRUSR


def test_an_empty_network_can_be_kept(tmp_path):
    empty = GeneNetwork.from_matrix(np.zeros((1, 2)), ["A"], ["A", "B"])
    for form in FORMATS.values():
        empty.write(tmp_path / form.file)
        assert len(GeneNetwork.read(tmp_path / form.file)) == 0


def test_every_format_has_a_file_of_its_own_in_a_run():
    """The file of a run is found again by its ending, starts as the run folder's list says, and no two are alike."""
    for name, form in FORMATS.items():
        assert find_format(Path(form.file), None) is form is FORMATS[name]
        assert fnmatch(form.file, next(pattern for pattern in PRODUCTS if "network" in pattern))
    assert len({form.file for form in FORMATS.values()}) == len(FORMATS)
    assert set(get_args(schema.Format)) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_without_a_place_for_groups_say_so(name, grouped, tmp_path):
    if FORMATS[name].grouped:
        grouped.write(tmp_path / "n", format=name)
        assert GeneNetwork.read(tmp_path / "n", format=name).groups == grouped.groups
    else:
        with pytest.raises(InputError, match=r"no place for groups, and this network has 2.*of_group\('B, naive'\)"):
            grouped.write(tmp_path / "n", format=name)
        assert not list(tmp_path.iterdir())


def test_a_run_writes_each_format_under_its_file(network, tmp_path):
    every = dict.fromkeys(("fdr", "per_target", "top_k"))
    settings = {"formats": list(FORMATS), "graphml_top": 4, "figure_top": 4, **every}
    write_run(network, tmp_path / "run", settings)
    assert {form.file for form in FORMATS.values()} < {path.name for path in (tmp_path / "run").iterdir()}
    for form in FORMATS.values():
        assert len(GeneNetwork.read(tmp_path / "run" / form.file)) == (4 if form.drawn else len(network))
    unfit = [name for name, form in FORMATS.items() if not form.grouped]
    refuse_formats(unfit, grouped=False)
    refuse_formats([name for name in FORMATS if name not in unfit], grouped=True)
    for name in unfit:
        with pytest.raises(InputError, match=f"network.formats names {name}, which hold one network"):
            refuse_formats(["parquet", name], grouped=True)
