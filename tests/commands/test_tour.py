"""The tour and the how-to pages: what they have the reader type runs and gives what they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import anndata
import pytest

import grn
from grn.data import tf_list

DOCS = Path(__file__).resolve().parents[2] / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Of a printed table: words, then a number with a fraction.
_ROW = re.compile(r"^\W*((?:\S+ +)*?)(-?\d+\.\d+)\b", re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [block for name, block in _FENCE.findall(text) if name == language]


def commands(page: str) -> list[list[str]]:
    lines = "".join(blocks(page, "bash")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("grn ")]


def rows(text: str) -> list[tuple[str, float]]:
    """Words before the first fraction of each line, and that number."""
    return [(" ".join(words.split()), float(number)) for words, number in _ROW.findall(text)]


def assert_shown(shown: str, came: str) -> None:
    """Every row shown came, up to the last digits, which may differ between machines."""
    found = dict(rows(came))
    assert rows(shown), f"no numbers in {shown!r}"
    for words, number in rows(shown):
        assert words in found, f"{words!r} is shown and did not come"
        assert found[words] == pytest.approx(number, rel=0.02, abs=0.01), words


@pytest.mark.slow
def test_the_tour(grn_command: Callable, tmp_path: Path) -> None:
    came = {arguments[0]: "" for arguments in commands("tour.md")}
    for arguments in commands("tour.md"):
        done = grn_command(*arguments)
        assert done.code == 0, done.err
        came[arguments[0]] += done.out + done.err
    gate, edges, head, written, scores, *tables = blocks("tour.md", "")
    assert " ".join(gate.split()) in " ".join(came["train"].split())
    assert_shown(edges, came["train"])
    assert [name for name in written.split() if "." in name] == ["strongest.graphml", "regulons.gmt"]
    assert written.split() == came["export"].split()
    assert_shown(scores, came["evaluate"])
    lines = head.splitlines()[1:]
    for line, file_line in zip(lines, (tmp_path / "outputs/blood/network.tsv").read_text().splitlines(), strict=False):
        assert line.split()[:2] == file_line.split()[:2]

    infer, targets, regulators, read = blocks("tour.md", "python")
    names: dict[str, object] = {}
    exec(compile(infer, "tour.md", "exec"), names)
    assert len(names["edges"]) == 1000  # type: ignore[arg-type]
    results = [names["edges"].head(), eval(targets, names), eval(regulators, names)]  # type: ignore[attr-defined]
    for shown, table in zip(tables, results, strict=True):
        assert_shown(shown, table.to_string())
    exec(compile(read, "tour.md", "exec"), names)
    assert names["network"].top(1000).edges.equals(names["edges"])  # type: ignore[attr-defined]


def test_the_tour_says_what_the_readme_says() -> None:
    readme = _FENCE.findall((DOCS.parent / "README.md").read_text(encoding="utf-8"))
    assert blocks("tour.md", "python")[0] == next(block for name, block in readme if name == "python")
    shown = next(block for name, block in readme if not name and "Strongest edges" in block)
    assert set(rows(shown.partition("Strongest")[2])) <= set(rows(blocks("tour.md", "")[1]))


def test_the_way_from_scanpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = grn.datasets.simulated(n_cells=300, n_genes=200, n_tfs=20, seed=0)
    genes = [*tf_list("human")[:20], *simulated.var_names[20:]]
    counts = anndata.AnnData(simulated.layers["counts"].copy())
    counts.var_names = genes
    counts.write_h5ad("my.h5ad")
    (block,) = blocks("howto/scanpy.md", "python")
    # Fewer genes than the page has in mind, and short training.
    smaller = {"=3000": "=60", "min_genes=200": "min_genes=20", "seed=0)": 'overrides=["debug=quick"])'}
    for written, small in smaller.items():
        assert written in block
        block = block.replace(written, small)
    names: dict[str, object] = {}
    exec(compile(block, "scanpy.md", "exec"), names)
    written_network = anndata.read_h5ad("with_network.h5ad")
    assert written_network.n_vars < 200
    assert written_network.var["is_tf"].sum() == 20, "the transcription factors were kept"
    assert len(grn.get.edges(written_network)) > 0


@pytest.mark.parametrize("page", ["howto/export.md", "howto/cutoff.md"])
def test_exports(grn_command: Callable, tmp_path: Path, page: str) -> None:
    adata = grn.datasets.pbmc68k()
    adata.write_h5ad(tmp_path / "my.h5ad")
    grn.tl.infer(adata, tf="human", method="pearson")
    (tmp_path / "outputs/my_run").mkdir(parents=True)
    grn.get.network(adata).write(tmp_path / "outputs/my_run/network.parquet")
    assert len(commands(page)) >= 3
    for arguments in commands(page):
        quicker = ("training.epochs=1", "confidence.resamples=2") if arguments[0] == "train" else ()
        done = grn_command(*arguments, *quicker)
        assert done.code == 0, done.err
        for output in (word.partition("=")[2] for word in arguments if word.startswith("output=")):
            assert (tmp_path / output).stat().st_size > 0
