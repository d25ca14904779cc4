"""The site: it builds without a warning and without a network, and asks nothing of another host."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# What a <link> may name without the browser fetching it.
NOT_FETCHED = {"author", "canonical", "copyright", "index", "license", "next", "prev", "search", "top", "up"}

_OUTSIDE = re.compile(r"^\s*(?:https?:|wss?:|//)", re.IGNORECASE)
_CSS = re.compile(r"""(?:url\(|@import)\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)
_JS = re.compile(r"""(?:\bimport|\bfrom|\bfetch\(|\bimport\(|\.src\s*=|importScripts\()\s*["'`](?:https?:)?//""")


class Page(HTMLParser):
    """What a built page fetches, links to and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and not set(found.get("rel", "").split()) & NOT_FETCHED:
            self.fetched.append(found.get("href", ""))
        self.fetched += [found[name] for name in ("src", "data", "poster", "srcset", "background") if name in found]
        if _CSS.search(found.get("style", "")):
            self.fetched.append("https: in a style")
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if (self._inside == "style" and _CSS.search(data)) or (self._inside == "script" and _JS.search(data)):
            self.fetched.append(f"https: in a {self._inside}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def read(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def fetched_from_outside(site: Path) -> list[str]:
    """Everything that a page, a style sheet or a script of the site would fetch from another host."""
    found = [
        f"{path.relative_to(site)}: {url}"
        for path, page in read(site).items()
        for url in page.fetched
        if _OUTSIDE.match(url)
    ]
    for ending, pattern in ((".css", _CSS), (".js", _JS)):
        found += [
            f"{path.relative_to(site)}: {hit.group()}"
            for path in site.rglob(f"*{ending}")
            if (hit := pattern.search(path.read_text(encoding="utf-8")))
        ]
    return found


def dead_links(site: Path) -> list[str]:
    """Links within the site that lead to no file, or to no anchor of a page."""
    pages = read(site)
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("", "#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


@pytest.fixture
def repository() -> types.ModuleType:
    """The extension of docs/_ext that links the pages."""
    return extension("repository")


def extension(name: str) -> types.ModuleType:
    pytest.importorskip("sphinx", reason="the site needs the extra docs")
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_site(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton"):
        pytest.importorskip(package, reason="the site needs the extra docs")
    site = (tmp_path / "site").resolve()
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(tmp_path / "doctrees"), str(DOCS), str(site)]
    # Whatever would be fetched meets a closed door.
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, *command], env={**os.environ, **closed}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for source in [*DOCS.glob("*.md"), *DOCS.glob("howto/*.md"), *DOCS.glob("api/*.md")]:
        assert (site / source.relative_to(DOCS).with_suffix(".html")).is_file()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        page = site / "notebooks" / f"{notebook.stem}.html"
        assert 'class="output' in page.read_text(encoding="utf-8"), f"{page.name} shows no stored output"
    assert "grn.tl.infer" in Page((site / "api" / "tl.html").read_text(encoding="utf-8")).anchors
    assert fetched_from_outside(site) == []
    assert dead_links(site) == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.org/mathjax.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/a.css">',
        '<link rel="preconnect" href="https://fonts.example.org">',
        '<img src="http://example.org/a.png">',
        '<p style="background: url(https://example.org/a.png)"></p>',
        "<style>@import 'https://example.org/a.css';</style>",
        '<script type="module">import x from "https://cdn.example.org/x.js"</script>',
    ],
)
def test_what_a_page_fetches_is_seen(tmp_path: Path, html: str) -> None:
    (tmp_path / "a.html").write_text(html, encoding="utf-8")
    assert len(fetched_from_outside(tmp_path)) == 1
    (tmp_path / "a.html").write_text('<a href="https://example.org">link</a><img src="a.png">', encoding="utf-8")
    assert fetched_from_outside(tmp_path) == []


def test_what_a_style_sheet_fetches_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example.org/a.woff2') }", encoding="utf-8")
    assert len(fetched_from_outside(tmp_path)) == 1


def test_dead_links_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"></p><a href="#here"></a><a href="b.html#there"></a>', "utf-8")
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="a.html#gone"></a><a href="c.html"></a>', "utf-8")
    assert dead_links(tmp_path.resolve()) == ["b.html: a.html#gone", "b.html: c.html"]


@pytest.mark.parametrize(
    ("link", "home", "page", "turned"),
    [
        ("[a](../README.md)", DOCS, "index", "[a](overview.md)"),
        ("[a](../../README.md)", DOCS / "howto", "howto/input", "[a](../overview.md)"),
        ("[a](docs/data.md#the-gate)", ROOT, "overview", "[a](data.md#the-gate)"),
        ("![a](docs/images/network.png)", ROOT, "overview", "![a](images/network.png)"),
        ("[a](CONTRIBUTING.md)", ROOT, "overview", "[a](contributing.md)"),
        ("[a](LICENSE)", ROOT, "overview", "[a](../LICENSE)"),
        ("[a](../notebooks/01_first_network.ipynb)", DOCS, "tour", "[a](notebooks/01_first_network.ipynb)"),
        ("[a](../docs/metrics.md)", ROOT / "notebooks", "notebooks/01_first_network", "[a](../metrics.md)"),
        ("[a](https://example.org/README.md)", ROOT, "overview", "[a](https://example.org/README.md)"),
        ("[a](model.md)", DOCS, "index", "[a](model.md)"),
        ("```\n[a](../README.md)\n```\n", DOCS, "index", "```\n[a](../README.md)\n```\n"),
    ],
)
def test_links_are_turned(repository: types.ModuleType, link: str, home: Path, page: str, turned: str) -> None:
    assert repository.relinked(link, home, page) == turned


def test_the_tables_of_an_index_are_its_tree(repository: types.ModuleType) -> None:
    table = "| page | for |\n|---|---|\n| [A](a.md), [B](x/b.md) | [not](this.md) |\n"
    tree = repository.tree(f"# Top\n\n## One\n\n{table}\n## None\n\n[c](c.md)\n")
    assert tree == "\n\n```{toctree}\n:hidden:\n:caption: One\n\nA <a.md>\nB <x/b.md>\n```\n"
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    tree = repository.tree(repository.relinked(index, DOCS, "index"))
    for page in [*DOCS.glob("*.md"), *DOCS.glob("howto/*.md")]:
        assert page.name == "index.md" or f"<{page.relative_to(DOCS).as_posix()}>" in tree


def test_notebooks_are_copied_once(repository: types.ModuleType, tmp_path: Path) -> None:
    source, target = tmp_path / "notebooks", tmp_path / "docs"
    source.mkdir()
    (source / "a.ipynb").write_text("{}", encoding="utf-8")
    target.mkdir()
    (target / "gone.ipynb").write_text("{}", encoding="utf-8")
    repository.copy_notebooks(source, target)
    os.utime(target / "a.ipynb", (1, 1))
    repository.copy_notebooks(source, target)
    assert [path.name for path in target.iterdir()] == ["a.ipynb"]
    assert (target / "a.ipynb").stat().st_mtime == 1
    (source / "a.ipynb").write_text("[]", encoding="utf-8")
    repository.copy_notebooks(source, target)
    assert (target / "a.ipynb").read_text(encoding="utf-8") == "[]"


def test_public_names_come_from_all() -> None:
    docstrings = extension("docstrings")
    module = types.ModuleType("module")
    exec("def f(): ...\ndef _g(): ...\nclass C: ...\nNUMBER = 1", vars(module))
    module.join = os.path.join  # type: ignore[attr-defined]  # from elsewhere
    assert docstrings.public_names(module) == ["f", "C"]
    module.__all__ = ["C", "NUMBER", "join"]  # type: ignore[attr-defined]
    assert docstrings.public_names(module) == ["C", "join"]


def test_docstrings_are_shown_as_written() -> None:
    plain = extension("docstrings").plain
    lines = ["|w| and `|w|`, see docs/data.md::", "", "    |code|", "", ">>> a | b | c", "a | b and |c|"]
    plain(lines)
    assert lines == [
        r"\|w\| and `|w|`, see :doc:`/data`::",
        "",
        "    |code|",
        "",
        ">>> a | b | c",
        r"a | b and \|c\|",
    ]
