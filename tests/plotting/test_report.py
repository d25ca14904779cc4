"""The report as a file: valid HTML that loads nothing, says what the run's record says, and always the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grn import pl
from grn._errors import InputError, printable
from grn.network import GeneNetwork, add_to_anndata
from grn.plotting import report, write_report
from grn.plotting.report import facts, tables
from grn.plotting.report.page import LIMIT, page

VOID = {"meta", "link", "input", "img", "br", "hr"}
LOADING = {"src", "srcset", "data", "poster", "background", "action"}
RECORD: dict[str, Any] = {
    "finished": "2026-11-21T19:19:14+00:00",
    "command": "grn train data=h5ad 'data.path=/home/someone/my <data>.h5ad'",
    "seed": 7,
    "device": "cpu (x86_64)",
    "input": {"name": "h5ad", "path": "/home/someone/my <data>.h5ad", "sha256": "ab" * 32, "of": "file"},
    "gate": {
        **{"cells": 120, "genes": 3, "dropped_genes": 4, "zeros": 0.5, "kind": "counts", "source": "X"},
        **{"source_reason": "whole numbers", "reason": "they are whole", "treatment": "log1p of counts per 10k"},
        **{"identifiers": "symbols", "species": "human", "tf_list": "human list", "tf_found": 1, "tf_listed": 1529},
        **{"tf_absent": {}, "groups": {}, "notes": ["two cells <b> are empty"]},
    },
    "seconds": {"load": 1.25, "train": 2.5},
    "peak_memory_bytes": {"cpu": 780_386_304},
    "versions": {"grn": "0.1.0", "torch": "2.13.0"},
    "commit": "0123456789abcdef",
    "python": "3.11.7",
    "platform": "Linux",
    "noise": {"regulators": 1.449137, "genes": 12.369},
    "best_epoch": 4,
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at the figures, which take most of the time."""
    monkeypatch.setattr(sys.modules["grn.plotting.report.page"], "figures", lambda network, record: [])


class Page(HTMLParser):
    """What the tests ask a page: that every element is closed in order, its attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def small(signed: bool = True, **columns: Any) -> GeneNetwork:
    weights = [0.9, -0.4 if signed else 0.4, 0.25, 0.1]
    edges = pd.DataFrame({"source": ["A", "A", "B", "B"], "target": ["B", "C", "C", "D"], "weight": weights})
    edges = edges.assign(**columns)
    if not signed:
        edges["sign"] = 0
    return GeneNetwork.from_edges(edges, params={"method": "regulatory", "readout": "sphere"})


def grouped() -> GeneNetwork:
    rng = np.random.default_rng(0)
    genes = [f"GENE{i}" for i in range(30)]
    weights = {name: rng.normal(size=(5, 30)) for name in ("T/B", "<i>Mono</i>", "large")}
    return GeneNetwork.from_matrix(weights, genes[:5], genes)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "my_run"
    folder.mkdir()
    small().write(folder / "network.parquet")
    (folder / "run.json").write_text(json.dumps(RECORD))
    table = pd.DataFrame({"epoch": [0, 1], "step": [10, 20], "train_loss": [1.5, 1.25]})
    table.to_csv(folder / "metrics.csv", index=False)
    return folder


def test_the_folder_gets_its_report(run: Path) -> None:
    path = report(run)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    shown = Page(text).text
    for words in (
        *("my_run", "4 signed edges from 2 regulators to 4 genes, inferred from 120 cells of my <data>.h5ad"),
        *("A activates B (weight 0.900)", "log1p of counts per 10k", "Only 120 cells", "two cells <b> are empty."),
        *("780 MB (cpu)", "3.8 (load 1.2, train 2.5)", "ab" * 32, "0123456789abcdef", "grn train data=h5ad"),
        *("regulators 1.449, genes 12.37", "1.25", "arXiv 2505.09326", "No confidence was computed."),
    ):
        assert words in shown, words
    # The folder of the input may name a person.
    assert shown.count("/home/someone") == 1  # in the command


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first = report(run).read_bytes()
    again = write_report(run, GeneNetwork.read(run), output=tmp_path / "elsewhere" / "other.HTML")
    assert again.read_bytes() == first


@pytest.mark.parametrize("network", [small(), grouped()], ids=["plain", "groups"])
def test_nothing_is_loaded_from_elsewhere(network: GeneNetwork) -> None:
    text = page(network, RECORD, None, "x")
    shown = Page(text)
    for tag, attributes in shown.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            loads = name in LOADING or (tag == "link" and name == "href")
            assert not loads or str(value).startswith("data:"), f"<{tag} {name}={value}>"
            assert tag != "a" or name != "href" or str(value).startswith("#")
    assert "url(" not in text.partition("<style>")[2].partition("</style>")[0]
    assert "@import" not in text
    # And the browser is told to load nothing: only our own script runs, known by its checksum.
    policy = str(next(one["content"] for one in shown.of("meta") if one.get("http-equiv")))
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_ids_are_unique_and_links_lead_to_them() -> None:
    metrics = pd.DataFrame({"epoch": [0, 1], "train_loss": [1.5, 1.25]})
    shown = Page(page(grouped(), RECORD, metrics, "x"))
    ids = [str(attributes["id"]) for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in shown.of("a"):
        assert str(link["href"]).removeprefix("#") in ids
    for image in shown.of("img"):
        assert len(str(image["alt"])) > 20
    assert {str(one["scope"]) for one in shown.of("th")} <= {"col", "row"}
    assert shown.of("html") == [{"lang": "en"}]


HARMFUL = [
    *("<script>alert(1)</script>", "A&B", "</script><!--", 'it\'s "x"', "{{ 7 * 7 }}", "$x^2$"),
    *('" onerror="alert(1)', "' autofocus onfocus='alert(1)", "javascript:alert(1)", "</style><svg onload=alert(1)>"),
    *("=cmd|' /C calc'!A0", "__proto__", r"$\frac{$", "{0}", "%s", "a\tb"),
]
STEERING = ["\x1b[2J", "\u202ereversed", "\x00", "\u2028", "\u200b"]


def benign() -> str:
    """The same page with harmless names."""
    names = [f"G{number}" for number in range(len(HARMFUL + STEERING))]
    edges = pd.DataFrame({"source": names[0], "target": names[1:], "weight": np.linspace(0.5, 0.1, len(names) - 1)})
    record = {**RECORD, "command": "grn train", "config": {"tf": "human"}, "note": {"a": "b"}}
    network = GeneNetwork.from_edges(edges.assign(group="one"), params={"method": "mine"})
    return page(network, record, None, "title")


@pytest.mark.usefixtures("undrawn")
def test_names_are_escaped() -> None:
    names = HARMFUL + STEERING
    edges = pd.DataFrame({"source": names[0], "target": names[1:], "weight": np.linspace(0.5, 0.1, len(names) - 1)})
    edges["group"] = "</option><img src=x>\u202e"
    record = {**RECORD, "command": HARMFUL[2], "config": {"tf": HARMFUL[0]}, "note": {HARMFUL[2]: HARMFUL[0]}}
    text = page(GeneNetwork.from_edges(edges, params={"method": HARMFUL[0]}), record, None, HARMFUL[2])
    assert "<script>alert" not in text
    assert "49" not in text.partition("<tbody>")[0]
    shown = Page(text)  # fails where a name opens or closes an element
    assert [one for one in shown.of("img") if one.get("src") == "x"] == []
    for name in HARMFUL:
        assert " ".join(name.split()) in shown.text
    data = embedded(text, "edge-table")
    assert set(data["names"]) == {*HARMFUL, *map(printable, STEERING)}
    assert text.isascii() or not {letter for name in STEERING for letter in name if not letter.isprintable()} & set(
        text
    )
    assert all(not name.startswith("on") for _, attributes in shown.elements for name in attributes)
    assert {name for name, _ in shown.elements} == {name for name, _ in Page(benign()).elements}


def embedded(text: str, table: str) -> dict[str, Any]:
    found = re.search(rf'<script type="application/json" id="{table}-data">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def values(data: dict[str, Any], key: str) -> list[Any]:
    column = next(one for one in data["columns"] if one["key"] == key)
    named = column["kind"] == "name"
    return [data["names"][value] for value in column["values"]] if named else column["values"]


@pytest.mark.usefixtures("undrawn")
def test_the_edges_are_all_there() -> None:
    chances = {"pvalue": [1e-9, 0.5, 0.1, 1.0], "qvalue": [1e-8, 0.04, 0.15, 1.0]}
    network = small(confidence=[1.0, 0.5, 0.75, 0.123456], **chances)
    text = page(network, {}, None, "x")
    data = embedded(text, "edge-table")
    assert values(data, "source") == ["A", "A", "B", "B"]
    assert values(data, "target") == ["B", "C", "C", "D"]
    assert values(data, "weight") == [0.9, -0.4, 0.25, 0.1]
    assert values(data, "sign") == [1, -1, 1, 1]
    assert values(data, "confidence") == [1.0, 0.5, 0.75, 0.123]
    assert values(data, "pvalue") == [1e-9, 0.5, 0.1, 1.0]
    shown = Page(text).text
    assert "All 4 edges." in shown
    assert "Of 4 tested edges 2 have q ≤ 0.05 and 3 have q ≤ 0.2." in shown
    assert "A represses C −0.400 0.500 0.500 0.0400" in shown
    assert "B activates C 0.250 0.750 0.100 0.150" in shown
    assert "share of random halves of the cells" in shown
    assert "No confidence was computed" not in shown


@pytest.mark.usefixtures("undrawn")
def test_optional_parts_are_left_out() -> None:
    text = page(small(), {}, None, "x")
    ids = {str(attributes.get("id")) for _, attributes in Page(text).elements}
    assert not {"input", "settings"} & ids
    for word in ("qvalue", "confidence at least", 'data-column="group"', "network.parquet beside"):
        assert word not in text.lower()


def test_each_group_has_its_strongest_edges() -> None:
    network = grouped()
    table = tables.edge_table(network, 30)
    assert table.shown == 30
    assert table.total == len(network)
    column = table.data["columns"][-1]
    assert column["levels"] == sorted(["T/B", "<i>Mono</i>", "large"])
    assert np.bincount(column["values"]).tolist() == [10, 10, 10]
    text = page(network, RECORD, None, "x")
    assert Page(text).of("option")[-1] == {"value": "2"}
    assert "The mean over the groups" in text
    assert [Page(text).words.count(words) for words in ("The strongest edges", "Modules of targets")] == [1, 1]


def test_a_network_without_signs() -> None:
    text = page(small(signed=False), {}, None, "x")
    data = embedded(text, "regulator-table")
    assert [one["key"] for one in data["columns"]] == ["regulator", "strength", "targets", "strongest"]
    assert values(data, "targets") == [2, 2]
    assert values(embedded(text, "edge-table"), "sign") == [0, 0, 0, 0]
    shown = Page(text).text
    assert "A regulates B 0.900" in shown
    assert "edges without signs" in shown
    assert "does not tell activation from repression" in shown
    assert "Signs are uncertain" not in shown
    assert 'data-column="sign"' not in text


def test_a_network_without_edges() -> None:
    empty = GeneNetwork.from_matrix(np.zeros((1, 3)), ["A"], ["A", "B", "C"])
    shown = Page(page(empty, RECORD, None, "x")).text
    assert "No edge was found between 1 regulators and 3 genes." in shown
    assert "The network has no edges." in shown


@pytest.mark.usefixtures("undrawn")
def test_the_file_stays_small() -> None:
    """Long names of genes: rows are left out until the page is below the limit."""
    genes = [f"{i:04d}" + "X" * 3000 for i in range(900)]
    weights = np.random.default_rng(0).normal(size=(30, 900))
    network = GeneNetwork.from_matrix(weights, genes[:30], genes)
    text = page(network, {}, None, "x")
    assert len(text.encode()) <= LIMIT
    shown = len(values(embedded(text, "edge-table"), "source"))
    assert 50 <= shown < 20_000
    assert f"The {shown:,} strongest of {len(network):,} edges" in Page(text).text


@pytest.mark.usefixtures("undrawn")
def test_the_regulators_are_those_of_the_network() -> None:
    network = grouped()
    data = embedded(page(network, {}, None, "x"), "regulator-table")
    expected = network.regulator_table()
    assert values(data, "regulator") == list(expected.index)
    assert values(data, "strength") == pytest.approx(expected["out_strength"].tolist(), rel=0.005)
    assert values(data, "activates") == expected["activated"].tolist()
    assert values(data, "represses") == expected["repressed"].tolist()
    assert values(data, "strongest") == expected["strongest"].tolist()


@pytest.mark.usefixtures("undrawn")
def test_settings_that_differ_from_the_defaults() -> None:
    from grn.config import compose, plain_config

    overrides = ["data=krumsiek11", "training.epochs=7", "seed=3", "name=x", "model.views.genes=null"]
    config = plain_config(compose("train", overrides))
    assert facts.settings({"config": config}) == [
        ("data", "krumsiek11", "pbmc68k"),
        ("seed", "3", "0"),
        ("training.epochs", "7", "5"),
        ("model.views.genes", "null", "0.2"),
    ]
    assert facts.settings({"config": plain_config(compose("train", ["name=x"]))}) == []
    text = page(small(), {**RECORD, "config": config}, None, "x")
    assert "training.epochs 7 5" in Page(text).text
    assert "steps_per_epoch: 10" in text


def test_settings_of_a_run_read_out_again_and_of_a_choice_we_do_not_have() -> None:
    from grn.config import compose, plain_config

    again = plain_config(compose("infer", ["run=outputs/x", "network.readout=effect"]))
    assert facts.settings({"config": again}) == [("network.readout", "effect", "auto")]
    assert facts.settings({"config": plain_config(compose("infer", ["method=clr", "data=krumsiek11"]))}) == [
        ("data", "krumsiek11", "null"),
        ("method", "clr", "null"),
    ]
    mine = plain_config(compose("train", ["name=x"]))
    mine["data"] = {**mine["data"], "name": "mine", "tf": "mouse"}
    assert ("data.name", "mine", "pbmc68k") in facts.settings({"config": mine})


def test_a_gate_of_another_version_is_shown_as_it_is() -> None:
    rows = facts.gate_rows({"gate": {"cells": 5, "something": [1, 2]}})
    assert rows == [("cells", "5"), ("something", "[1, 2]")]


@pytest.mark.usefixtures("undrawn")
def test_the_weight_is_explained_by_method() -> None:
    def told(**params: Any) -> str:
        network = small()
        return Page(page(GeneNetwork.from_edges(network.edges, params=params), {}, None, "x")).text

    assert "A weight is a share" in told(method="regulatory", readout="sphere")
    assert "standard deviations the target" in told(method="contextual", readout="effect")
    clr = told(method="clr", readout="effect")
    assert "a score of the method clr: mutual information" in clr
    assert "Faith et al. 2007" in clr
    assert "follows co-expression" in told(method="transformer", readout="sphere")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "0.400"), (-0.25, "−0.250"), (12.3, "12.3"), (123.0, "123"), (1234.0, "1,234"), (0.0, "0"),
        (2.5e-7, "2.5e−7"), (0.00123, "0.00123"), (1.0, "1.00"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert tables.number(value) == text


@pytest.mark.usefixtures("undrawn")
def test_from_an_anndata_and_from_a_network(tmp_path: Path) -> None:
    import anndata

    adata = anndata.AnnData(np.zeros((2, 4)), var=pd.DataFrame(index=list("ABCD")))
    add_to_anndata(adata, small())
    first = pl.report(adata, tmp_path / "a.html", title="Mine").read_text(encoding="utf-8")
    second = pl.report(small(), tmp_path / "b.html", title="Mine").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in first
    assert embedded(first, "edge-table") == embedded(second, "edge-table")
    with pytest.raises(InputError, match=r"give output='report.html'"):
        pl.report(small())
    with pytest.raises(KeyError):
        pl.report(anndata.AnnData(np.zeros((2, 4))), tmp_path / "c.html")


def test_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no run\.json\. Finished runs there: my_run"):
        report(tmp_path / "my_rnu")
    with pytest.raises(InputError, match=r"must end in \.html"):
        report(run, tmp_path / "report.pdf")
    (run / "network.parquet").unlink()
    with pytest.raises(InputError, match=r"holds no network\.parquet"):
        report(run)
    (run / "run.json").write_text("{")
    with pytest.raises(InputError, match="not readable as JSON"):
        report(run)
    assert not (run / "report.html").exists()


def test_examples() -> None:
    import doctest

    for name in ("report", "tables", "facts"):
        result = doctest.testmod(sys.modules[f"grn.plotting.report.{name}"])
        assert result.attempted > 0
        assert result.failed == 0
