"""The lists of the package are what the committed script makes of the tables it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grn.data import tf_list

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "compile_tf_lists.py"


@pytest.mark.shared_data
def test_the_script_makes_the_lists_of_the_package(shared_data: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, shared_data / "regulons", tmp_path], check=True, capture_output=True)
    for name in ("tfs_human.txt", "tfs_mouse.txt"):
        shipped = REPOSITORY / "grn" / "data" / "resources" / name
        assert (tmp_path / name).read_text() == shipped.read_text()


@pytest.mark.shared_data
def test_every_human_name_is_on_two_tables(shared_data: Path) -> None:
    import csv
    import gzip

    folder = shared_data / "regulons"
    tables = [set((folder / name).read_text().split()) for name in ("tfs_human_scprint.txt",)]
    tables.append(set((folder / "tfs_human_census_dorothea.txt").read_text().split()))
    with (folder / "tfs_human_beeline.csv").open() as stream:
        tables.append({row["TF"] for row in csv.DictReader(stream)})
    for name in ("collectri_human.csv.gz", "trrust_v2_human.csv.gz"):
        with gzip.open(folder / name, "rt") as stream:
            tables.append({row["source"] for row in csv.DictReader(stream)})
    lonely = [name for name in tf_list("human") if sum(name in table for table in tables) < 2]
    assert lonely == []


def test_the_script_says_how_it_is_called() -> None:
    result = subprocess.run([sys.executable, SCRIPT], check=False, capture_output=True, text=True)
    assert result.returncode != 0
    assert "usage: python benchmarks/compile_tf_lists.py FOLDER" in result.stderr
