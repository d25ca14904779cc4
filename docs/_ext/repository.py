"""Pages whose links work in the repository and in the site.

The pages are written to be read as files: they link to each other, to the README and to the notebooks by their
places in the repository. A site is built from docs/ alone, so on the way into it

- the notebooks are copied to docs/notebooks (which git ignores), with the outputs they were stored with;
- links that leave docs/ are turned to the page of the site that shows the same file (`SHOWN`);
- the tables of an index.md become the tree of pages: a heading is a caption, a row a page, its link's text the
  name in the tree. A page that has its row needs nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
NOTEBOOKS = "notebooks"
# Files of the repository and the pages of the site that include them.
SHOWN = {"README.md": "overview.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}

_LINK = re.compile(r"(\[[^\]\[]*\]\()([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\|(.*?)\|")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx, which finds this file by its name in conf.py."""
    app.connect("config-inited", lambda app, config: copy_notebooks(ROOT / NOTEBOOKS, Path(app.srcdir) / NOTEBOOKS))
    app.connect("source-read", on_source)
    app.connect("include-read", on_include)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def copy_notebooks(source: Path, target: Path) -> None:
    """Make target hold the notebooks of source; files that are the same keep their time, for quick rebuilding."""
    target.mkdir(exist_ok=True)
    wanted = {path.name: path.read_bytes() for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = target / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def on_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Relink a page; give an index its tree."""
    home = (ROOT if docname.startswith(NOTEBOOKS) else DOCS) / docname
    text = relinked(source[0], home.parent, docname)
    source[0] = text + tree(text) if docname.rpartition("/")[2] == "index" else text


def on_include(app: Sphinx, path: Path, docname: str, source: list[str]) -> None:
    """Relink a file of the repository that a page includes."""
    source[0] = relinked(source[0], (DOCS / path).resolve().parent, docname)


def relinked(text: str, home: Path, docname: str) -> str:
    """The text with its links to files turned from the folder `home` to the page `docname` of the site."""

    def turn(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        path = Path(os.path.normpath(home / target))
        if "://" in target or not path.is_file() or ROOT not in path.parents:
            return match.group()
        place = path.relative_to(ROOT).as_posix()
        place = SHOWN.get(place, place)
        inside = DOCS / place if place in SHOWN.values() or place.startswith(f"{NOTEBOOKS}/") else ROOT / place
        return f"{words}{os.path.relpath(inside, (DOCS / docname).parent)}{anchor or ''})".replace(os.sep, "/")

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(turn, part) for part in parts)


def tree(text: str) -> str:
    """Hidden toctrees, one for each `##` heading with a table: the first cell of a row links its pages."""
    blocks = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        caption, _, rest = section.partition("\n")
        pages = [
            f"{match.group(1)[1:-2]} <{match.group(2)}>"
            for row in rest.splitlines()
            if (first := _ROW.match(row))
            for match in _LINK.finditer(first.group(1))
        ]
        if pages:
            blocks.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption.strip()}", "", *pages, "```"]))
    return "\n\n" + "\n\n".join(blocks) + "\n" if blocks else ""
