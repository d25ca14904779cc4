"""The report in a browser: its tables are searched, sorted and paged, and nothing is loaded or complained about.

Chromium is driven by chromedriver, which is spoken to over HTTP. Both must be there: packages chromium and
chromium-driver of Debian.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grn.network import GeneNetwork
from grn.plotting import report

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)


class Browser:
    """One window of a headless Chromium."""

    def __init__(self, driver: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.address = f"http://127.0.0.1:{port}"
        self.session = ""
        options = {
            "goog:chromeOptions": {"args": [*FLAGS, f"--user-data-dir={profile}"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})
                break
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline:
                    self.close()
                    raise
                time.sleep(0.1)
        self.session = f"/session/{answer['sessionId']}"

    def _call(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.address}{self.session}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path) -> None:
        self._call("POST", "/url", {"url": page.absolute().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return str(next(iter(found.values())))

    def type(self, selector: str, text: str) -> None:
        self._call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self._call("POST", f"/element/{self.find(selector)}/click", {})

    def keys(self, keys: str) -> None:
        """Press keys where the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def log(self) -> list[dict[str, Any]]:
        return list(self._call("POST", "/se/log", {"type": "browser"}))

    def resize(self, width: int, height: int) -> None:
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._call("GET", "/screenshot"))

    def rows(self, table: str = "edge-table") -> list[list[str]]:
        return list(
            self.run(
                "return [...document.getElementById(arguments[0]).tBodies[0].rows].map("
                "row => [...row.cells].map(cell => cell.innerText.trim()))",
                table,
            )
        )

    def status(self, table: str = "edge-table") -> str:
        return str(
            self.run(
                "return document.getElementById(arguments[0]).parentElement.nextElementSibling"
                ".querySelector('[role=status]').innerText",
                table,
            )
        )

    def close(self) -> None:
        if self.session:
            self._call("DELETE", "")
        self.process.terminate()
        self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = shutil.which("chromedriver")
    if driver is None or not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        pytest.skip("needs Chromium and chromedriver (Debian: chromium, chromium-driver)")
    window = Browser(driver, tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


@pytest.fixture(scope="module")
def large() -> GeneNetwork:
    """Regulators x genes of two groups of cells, with all optional columns."""
    rng = np.random.default_rng(0)
    genes = [f"GENE{i}" for i in range(200)]
    weights = {group: rng.standard_t(3, size=(20, 200)) / 30 for group in ("T/B cell", "<b>Monocyte</b>")}
    edges = GeneNetwork.from_matrix(weights, genes[:20], genes).edges.copy()
    edges["confidence"] = rng.uniform(size=len(edges)).round(3)
    edges["pvalue"] = rng.uniform(size=len(edges)) ** 8
    edges["qvalue"] = edges["pvalue"] ** 0.5
    return GeneNetwork.from_edges(
        edges, genes=genes, regulators=genes[:20], params={"method": "regulatory", "readout": "sphere"}
    )


@pytest.fixture(scope="module")
def file(large: GeneNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(large, tmp_path_factory.mktemp("pages") / "large.html")


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Browser]:
    browser.resize(1300, 900)
    browser.open(file)
    yield browser
    assert browser.log() == []
    loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def test_the_search_shows_what_it_should(opened: Browser, large: GeneNetwork) -> None:
    assert opened.status() == f"Rows 1–50 of {len(large):,}"
    opened.type('[data-for="edge-table"] [data-column="source"]', "gene1")
    opened.type('[data-for="edge-table"] [data-column="target"]', "=GENE30, =gene31")
    edges = large.edges
    expected = edges[edges["source"].str.contains("GENE1") & edges["target"].isin(["GENE30", "GENE31"])]
    rows = opened.rows()
    assert [(row[0], row[2], row[-1]) for row in rows] == list(
        zip(expected["source"], expected["target"], expected["group"], strict=True)
    )
    assert opened.status() == f"Rows 1–{len(expected)} of {len(expected)} found of {len(large):,}"
    opened.click('[data-for="edge-table"] .clear')
    assert opened.status() == f"Rows 1–50 of {len(large):,}"
    opened.type('[data-for="edge-table"] [data-column="source"]', "nothing")
    assert opened.rows() == []
    assert opened.status() == "No row fits."


def test_sign_group_confidence_and_q_filter(opened: Browser, large: GeneNetwork) -> None:
    edges = large.edges
    choose = "const field = document.querySelector(arguments[0]); field.value = arguments[1];" + (
        "field.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    opened.run(choose, '[data-column="sign"]', "-1")
    opened.run(choose, '[data-column="group"]', "1")
    expected = edges[(edges["sign"] < 0) & (edges["group"] == large.groups[1])]
    assert opened.status().endswith(f"of {len(expected):,} found of {len(edges):,}")
    assert {row[1] for row in opened.rows()} == {"represses"}
    opened.type('[data-column="confidence"]', "0.5")
    opened.type('[data-column="qvalue"]', "0.05")
    expected = expected[(expected["confidence"] >= 0.5) & (expected["qvalue"] <= 0.05)]
    # Numbers in the page have three digits, so a few at the bounds may fall on the other side.
    found = int(opened.status().partition(" of ")[2].partition(" ")[0])
    assert abs(found - len(expected)) <= 2


def test_headings_sort_by_keyboard(opened: Browser, large: GeneNetwork) -> None:
    head = "#edge-table thead th:nth-child({}) button"
    weights = large.edges["weight"].abs()
    opened.run("document.querySelector(arguments[0]).focus()", head.format(4))
    opened.keys("\ue007")  # Enter: strongest first, as they come
    assert opened.run("return document.querySelector('#edge-table th:nth-child(4)').ariaSort") == "descending"
    assert opened.rows()[0][0] == large.edges["source"].iloc[0]
    opened.keys("\ue007")
    assert opened.run("return document.querySelector('#edge-table th:nth-child(4)').ariaSort") == "ascending"
    assert float(opened.rows()[0][3].replace("−", "-")) == pytest.approx(weights.min(), abs=1e-3)
    opened.click(head.format(3))
    assert {row[2] for row in opened.rows()} <= {"GENE0", "GENE1", "GENE2"}  # by number, not GENE0, GENE1, GENE10
    opened.click(head.format(7))
    q = [float(row[6].replace("−", "-")) for row in opened.rows()]
    assert q == sorted(q)
    assert q[0] == pytest.approx(large.edges["qvalue"].min(), rel=0.05)


def test_pages_of_the_table(opened: Browser, large: GeneNetwork) -> None:
    pager = "#edges .pager button:nth-of-type({})"
    opened.click(pager.format(2))
    assert opened.status() == f"Rows 51–100 of {len(large):,}"
    assert opened.rows()[0][0] == large.edges["source"].iloc[50]
    opened.click(pager.format(1))
    assert opened.status() == f"Rows 1–50 of {len(large):,}"
    assert opened.run("return document.querySelector(arguments[0]).disabled", pager.format(1))


def test_a_regulator_is_looked_up_among_the_edges(opened: Browser, large: GeneNetwork) -> None:
    name = large.regulator_table().index[0]
    opened.click("#regulator-table tbody button")
    assert {row[0] for row in opened.rows()} == {name}
    choose = "const field = document.querySelector('[data-column=sign]'); field.value = '-1';"
    opened.run(f"{choose} field.dispatchEvent(new Event('input', {{bubbles: true}}))")
    target = opened.rows()[0][2]
    opened.click("#edge-table tbody tr:first-child td:nth-child(3) button")
    expected = large.edges[(large.edges["target"] == target) & (large.edges["sign"] < 0)]
    assert [row[0] for row in opened.rows()] == expected["source"].tolist()  # of all regulators, of the chosen sign
    opened.type('[data-for="regulator-table"] input', "gene19")
    assert [row[0] for row in opened.rows("regulator-table")] == ["GENE19"]


def test_rows_of_the_script_are_those_of_the_page(opened: Browser, large: GeneNetwork) -> None:
    """What the script writes is, letter for letter, what a reader without it sees."""
    from grn.plotting.report.tables import edge_table, regulator_table

    assert opened.rows() == edge_table(large).rows
    assert opened.rows("regulator-table") == regulator_table(large).rows[:15]


def test_twenty_thousand_rows_are_filtered_at_once(browser: Browser, tmp_path: Path) -> None:
    genes = [f"GENE{i}" for i in range(600)]
    weights = np.random.default_rng(0).normal(size=(40, 600))
    browser.open(report(GeneNetwork.from_matrix(weights, genes[:40], genes), tmp_path / "many.html"))
    assert browser.status() == "Rows 1–50 of 20,000"
    milliseconds = browser.run(
        "const field = document.querySelector('[data-for=edge-table] [data-column=target]');"
        "const start = performance.now(); field.value = '9';"
        "field.dispatchEvent(new Event('input', {bubbles: true})); document.body.offsetHeight;"
        "return performance.now() - start"
    )
    assert milliseconds < 1000
    assert {"9" in row[2] for row in browser.rows()} == {True}


def test_names_do_no_harm(browser: Browser, tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "A&B", "</script><img src=x onerror=alert(1)>", 'it\'s "one"', "a,b", "Ω€"]
    table = pd.DataFrame({"source": names[0], "target": names[1:], "weight": np.arange(5, 0, -1.0) / 10})
    path = report(GeneNetwork.from_edges(table), tmp_path / "odd.html", title=names[2])
    browser.open(path)
    assert browser.log() == []
    assert [row[0] for row in browser.rows()] == [names[0]] * 5
    assert [row[2] for row in browser.rows()] == names[1:]
    assert browser.run("return document.querySelectorAll('img:not(figure img)').length") == 0
    assert browser.run("return document.querySelector('h1').innerText") == names[2]
    browser.click("#edge-table tbody tr:nth-child(4) td:nth-child(3) button")  # a,b: the comma is its own
    assert [row[2] for row in browser.rows()] == ["a,b"]


@pytest.mark.parametrize("width", [1300, 500])
def test_the_page_is_no_wider_than_its_window(opened: Browser, width: int) -> None:
    opened.resize(width, 900)
    assert opened.run("return document.documentElement.scrollWidth <= window.innerWidth")
