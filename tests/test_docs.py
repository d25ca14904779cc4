"""The documentation holds: links lead somewhere, commands compose, the README's Python runs, named files exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import anndata
import pytest

from grn.commands.main import COMMANDS
from grn.config import compose, validate
from grn.run_folder import PRODUCTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("data/*.md"),
    ]
)
# What Hydra does instead of running, with the number of values each takes.
OPTIONS = {"--cfg": 1, "--package": 1, "--config-dir": 1, "--help": 0, "--version": 0, "-m": 0, "-sc": 1}
# Choices that the page has the reader make in a folder of their own.
USERS_CHOICES = {"data=mine"}

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def commands() -> Iterator[tuple[str, str]]:
    """Page and line of every `grn` command in a bash block."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "grn":
                    yield page.relative_to(ROOT).as_posix(), line


def arguments(line: str) -> tuple[str, list[str], bool]:
    """Command, overrides, and whether several runs are asked for."""
    command, *words = shlex.split(line, comments=True)[1:]
    overrides = []
    while words:
        word = words.pop(0)
        if word in OPTIONS:
            del words[: OPTIONS[word]]
        else:
            assert not word.startswith("-"), f"{word} is no option that these tests know"
            overrides.append(word)
    return command, overrides, "-m" in line.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if "://" in target or target.startswith("#"):
            continue
        path, _, anchor = target.partition("#")
        assert (page.parent / path).exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in headings(page.parent / path), f"{page.name}: {target} is no heading"


def headings(page: Path) -> set[str]:
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_there_are_commands_to_test() -> None:
    assert len(list(commands())) > 30


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_composes(page: str, line: str) -> None:
    command, overrides, several = arguments(line)
    assert command in COMMANDS, f"{page}: {line}"
    if USERS_CHOICES & set(overrides):
        return
    if several:
        overrides = [override.partition(",")[0] for override in overrides]
    validate(compose(command, overrides), command)


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = {arguments(line)[0] for page, line in commands() if page == "docs/commands.md"}
    assert shown == set(COMMANDS)
    for command in COMMANDS:
        assert f"\n## {command}\n" in text


def test_every_choice_is_documented() -> None:
    """Each file of a group that a user chooses from is named on the page about it."""
    pages = {"data": "data.md", **dict.fromkeys(("model", "trainer", "debug", "suite"), "commands.md")}
    pages |= {"dynamics": "dynamics.md", "prior": "prior.md"}
    for group, name in pages.items():
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for choice in (ROOT / "conf" / group).glob("*.yaml"):
            assert choice.stem in text, f"docs/{name} does not mention {group}={choice.stem}"


def test_every_file_of_a_run_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    section = text.partition("### The run folder")[2].partition("\n### ")[0]
    for product in PRODUCTS:
        word = product.replace("*", "").strip(".") or product
        assert word in section, f"the run folder's table does not mention {product}"


def test_every_page_is_in_the_index() -> None:
    """In that of its folder, or else the front one; a page that shows a file of the top folder by that file."""
    docs = ROOT / "docs"
    for page in sorted({*docs.glob("**/*.md")} - {docs / "index.md"}):
        beside = page.with_name("index.md")
        index = beside if beside.exists() and beside != page else docs / "index.md"
        shown = re.fullmatch(r"```{include} (\S+)\n```\n", page.read_text(encoding="utf-8"))
        target = shown.group(1) if shown else page.relative_to(index.parent).as_posix()
        assert f"({target})" in index.read_text(encoding="utf-8"), f"{index} lists no {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_blocks_can_be_parsed(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_exist(page: Path) -> None:
    """Files and folders of the repository that the text names in code type."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    named = re.findall(r"`((?:grn|conf|tests|docs|benchmarks|notebooks|\.ci)/[a-z0-9_./-]*)`", text)
    for path in set(named) - {"conf/data/mine.yaml"}:
        assert (ROOT / path).exists(), f"{page.name} names {path}, which is not there"


def test_the_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block, questions, attention = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    # Short training: the lines are what is tested. The documented call itself stays as it is.
    short = '"human", seed=0, overrides=["debug=quick"])'
    assert '"human", seed=0)' in block
    exec(compile(block.replace('"human", seed=0)', short), "README.md", "exec"), names)
    assert len(names["edges"]) == 1000  # type: ignore[arg-type]
    assert "grn" in anndata.read_h5ad(tmp_path / "with_network.h5ad").uns
    assert "confidence=True)" in questions
    fewer = "confidence=True, overrides=['confidence.resamples=2', 'training.epochs=1'])"
    exec(compile(questions.replace("confidence=True)", fewer), "README.md", "exec"), names)
    assert len(names["network"]) > 100  # type: ignore[arg-type]
    assert names["shifts"]["gene"][0] == "SPI1"  # type: ignore[index]
    assert len(names["differing"]) == 26740  # type: ignore[arg-type]
    # A tenth of the genes: the maps of 2,000 take seconds.
    assert "randn(8, 4, 2000, 64)" in attention
    exec(compile(attention.replace("2000", "200"), "README.md", "exec"), names)
    assert names["mixed"].shape == (8, 4, 200, 64)  # type: ignore[attr-defined]
    assert names["maps"].keys.shape == (1, 4, 200, 20)  # type: ignore[attr-defined]
