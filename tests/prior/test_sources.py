"""Where priors come from: files, and decoupler, which is replaced by a module of our own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from grn._errors import InputError
from grn.prior import load_prior

TABLE = pd.DataFrame({"source": ["Gata1", "Gata1"], "target": ["Fog1", "Cebpa"], "weight": [1.0, -0.5]})


@pytest.fixture
def decoupler(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """A decoupler that notes what it is asked for."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def answer(name: str) -> Any:
        def table(**settings: Any) -> pd.DataFrame:
            asked.append((name, settings))
            if settings["organism"] == "nowhere":
                raise OSError("no network")
            return TABLE

        return table

    package, op = ModuleType("decoupler"), ModuleType("decoupler.op")
    for name in ("collectri", "dorothea"):
        setattr(op, name, answer(name))
    package.op = op  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "decoupler", package)
    monkeypatch.setitem(sys.modules, "decoupler.op", op)
    return asked


def test_named_resources(decoupler: list[Any]) -> None:
    prior = load_prior({"name": "collectri", "organism": "human", "strength": "auto"})
    assert prior is not None
    assert prior.source == "CollecTRI (human)"
    assert prior.table["sign"].tolist() == [1, -1]
    prior = load_prior({"name": "dorothea", "organism": "mouse", "levels": ["A", "B"], "strength": 0.5})
    assert prior is not None
    assert (prior.source, prior.strength) == ("DoRothEA AB (mouse)", 0.5)
    assert prior.table["weight"].tolist() == [1.0, 0.5]
    assert decoupler == [
        ("collectri", {"organism": "human"}),
        ("dorothea", {"organism": "mouse", "levels": ["A", "B"]}),
    ]


def test_a_failed_download_says_what_else_can_be_done(decoupler: list[Any]) -> None:
    with pytest.raises(InputError, match=r"could not be downloaded .OSError: no network.*prior=file prior.path="):
        load_prior({"name": "collectri", "organism": "nowhere", "strength": "auto"})


def test_without_decoupler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decoupler", None)
    with pytest.raises(InputError, match=r'pip install "grn\[prior\]".*prior=file prior.path=') as caught:
        load_prior({"name": "collectri", "organism": "human", "strength": "auto"})
    assert "prior=collectri is downloaded by the package decoupler" in str(caught.value)


def test_files(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "mine.csv", index=False)
    prior = load_prior({"name": "file", "path": str(tmp_path / "mine.csv"), "strength": "auto"})
    assert prior is not None
    assert prior.source.endswith("mine.csv")
    with pytest.raises(InputError, match=r"prior=file needs prior.path=\.\.\."):
        load_prior({"name": "file", "path": None, "strength": "auto"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "colectri"}, "no prior 'colectri'; choose file, collectri, dorothea. Did you mean 'collectri'"),
        (
            {"name": "collectri", "levels": ["A"]},
            "prior.levels is not a setting of prior=collectri, which has organism",
        ),
        ({"name": "dorothea", "levels": ["E"]}, r"prior.levels = \['E'\]: expected some of A, B, C and D"),
        ({"name": "dorothea", "levels": []}, "expected some of A, B, C and D"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str, decoupler: list[Any]) -> None:
    with pytest.raises(InputError, match=message):
        load_prior(settings)
    assert not decoupler


def test_no_prior() -> None:
    assert load_prior(None) is None
