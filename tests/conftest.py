"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forking import Server

os.environ.setdefault("MPLBACKEND", "Agg")
if not torch.cuda.is_available():
    # Triton reads this when it is first imported, by whichever test comes first: without a GPU it interprets kernels.
    os.environ.setdefault("TRITON_INTERPRET", "1")

SEED = int(os.environ.get("GRN_TEST_SEED", "0"))


class _OtherSeeds(torch.Generator):
    """Counts seeds from SEED."""

    def manual_seed(self, seed: int) -> torch.Generator:
        return super().manual_seed(seed + SEED)


_default_rng = np.random.default_rng


def _other_rng(seed: Any = None) -> np.random.Generator:
    return _default_rng(seed + SEED if isinstance(seed, int) else seed)


if SEED:  # `make test-portable`: every number that a test draws is another one
    torch.Generator = _OtherSeeds  # type: ignore[misc, assignment]
    np.random.default_rng = _other_rng  # type: ignore[assignment]


# Fixtures of a session that take seconds to make.
SHARED = ("results",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that share what takes long to make run in one of the processes of `--dist loadgroup`."""
    for item in items:
        fixtures: dict[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        if "forked" in fixtures or item.path.parent.name == "end_to_end":
            item.add_marker(pytest.mark.xdist_group("forked"))
        elif any(found[-1].scope == "module" for found in fixtures.values()):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        elif shared := next((name for name in SHARED if name in fixtures), None):
            item.add_marker(pytest.mark.xdist_group(shared))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the benchmark sets beside the repository; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the benchmark sets (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Runs `grn ARGUMENTS` in a process of its own, forked from one that has imported everything."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    server = Server(tmp_path_factory.mktemp("logs"))
    yield server
    server.close()
