"""How docstrings become pages.

- The directive `public-names` shows a module's docstring and a table of what it offers, read from its `__all__`: what
  is added there appears in the site by itself. `automodule` below it documents each name in full.
- Docstrings are written to be read by `help()`. What reStructuredText would take for mark-up (`|w|` for an absolute
  value, a property's first line with a colon in it) is shown as it is written, and docs/data.md becomes a link.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.autosummary import Autosummary

_SPAN = re.compile(r"(`+[^`]+`+)")
_BARS = re.compile(r"\|(?=\S)([^|]+)(?<=\S)\|")
_PAGE = re.compile(r"\bdocs/([a-z_/]+)\.md\b")

_ASIDE: dict[str, list[str]] = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx, which finds this file by its name in conf.py."""
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("public-names", PublicNames)
    # Before and after napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", as_written, priority=400)
    app.connect("autodoc-process-docstring", put_back, priority=600)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class PublicNames(Autosummary):
    """A module's docstring, and an autosummary whose names need not be listed: ``.. public-names:: grn.get``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx for each use of the directive."""
        module = import_module(self.arguments[0])
        self.env.ref_context["py:module"] = module.__name__
        self.options["nosignatures"] = None  # they stand below
        self.content = StringList(public_names(module), source=module.__name__)
        lines = (inspect.getdoc(module) or "").splitlines()
        plain(lines)
        return [*self.parse_text_to_nodes("\n".join(lines)), *super().run()]


def public_names(module: ModuleType) -> list[str]:
    """The functions and classes in `__all__`; without it, those that the module defines."""
    listed = getattr(module, "__all__", None)
    return [
        name
        for name in (vars(module) if listed is None else listed)
        if inspect.isroutine(value := getattr(module, name)) or inspect.isclass(value)
        if listed is not None or (value.__module__ == module.__name__ and not name.startswith("_"))
    ]


def as_written(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep mark-up out of a docstring that has none in mind."""
    plain(lines)
    if what == "module":  # `public-names` shows it, above the table
        lines.clear()
    if what in ("attribute", "data", "property"):
        # napoleon takes what stands before a colon of the first line for a type: it gets nothing to read.
        _ASIDE[name] = [*lines]
        lines.clear()


def put_back(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Give back what napoleon was not to read."""
    lines[:] = _ASIDE.pop(name, lines)


def plain(lines: list[str]) -> None:
    """Escape bars and link pages, in place, outside of code."""
    literal = None  # indent of the paragraph that ended with ::
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and literal is not None and indent <= literal:
            literal = None
        if literal is None and not line.lstrip().startswith(">>>"):
            parts = _SPAN.split(line)
            parts[::2] = [_PAGE.sub(r":doc:`/\1`", _BARS.sub(r"\|\1\|", part)) for part in parts[::2]]
            lines[number] = "".join(parts)
            if line.rstrip().endswith("::"):
                literal = indent


def skip(app: Sphinx, what: str, name: str, obj: object, skipped: bool, options: object) -> bool | None:
    """Leave out fields of a named tuple, which its own docstring explains."""
    return True if (inspect.getdoc(obj) or "").startswith("Alias for field number") else None
