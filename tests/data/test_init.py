from __future__ import annotations

import subprocess
import sys

import pytest

import grn.data


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_is_cheap_to_import() -> None:
    heavy = "{'torch', 'pandas', 'numpy', 'scipy', 'anndata', 'scanpy', 'lightning'}"
    run(f"import sys, grn.data; assert not {heavy} & set(sys.modules)")


def test_checking_needs_no_torch() -> None:
    run("import sys; from grn.data import check, resolve_tfs; assert 'torch' not in sys.modules")


@pytest.mark.parametrize("name", ["check", "beeline"])
def test_names_are_functions_whatever_was_imported_first(name: str) -> None:
    run(f"import grn.data.{name}; from grn.data import {name}; assert callable({name})")
    run(f"from grn.data import {name}; import grn.data.{name}; assert callable(grn.data.{name})")


def test_every_name_is_there() -> None:
    for name in grn.data.__all__:
        assert getattr(grn.data, name) is not None
    assert dir(grn.data) == grn.data.__all__


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'chek'"):
        _ = grn.data.chek
