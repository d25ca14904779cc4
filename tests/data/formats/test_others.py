"""Files that are not read are named, each with the line that unpacks or converts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from grn._errors import InputError
from grn.data import read_expression
from grn.data.formats.others import CONVERTED, PACKED


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.h5ad.gz", r"gunzip -k .*a\.h5ad\.gz, and give a\.h5ad\.$"),
        ("a.h5ad.bz2", r"bunzip2 -k .*, and give a\.h5ad\.$"),
        ("a.loom.xz", r"xz -dk .*, and give a\.loom\.$"),
        ("a.h5.zst", r"zstd -d .*, and give a\.h5\.$"),
        ("a.zarr.zip", r"unzip .*, and give the file or folder in it"),
        ("GSE1_RAW.tar", r"tar xf .*, and give the file or folder in it"),
        ("a.tar.gz", r"tar xzf .*, and give the file or folder in it"),
        ("a.tgz", r"tar xzf .*, and give the file or folder in it"),
        ("my data.rds", r"my data\.rds is an R object.*outFile = \"my data\.h5ad\".*zellkonverter"),
        ("A.RData", r"an R workspace.*load\(\".*A\.RData\"\)"),
        ("a.rda", "an R workspace"),
        ("a.h5Seurat", r"SeuratDisk::Convert\(\".*a\.h5Seurat\", dest = \"h5ad\"\)"),
        ("a.xlsx", r"a spreadsheet.*libreoffice --headless --convert-to csv .*a\.xlsx"),
        ("a.pkl", "a pickle, which can run any command"),
    ],
)
def test_each_kind_has_its_remedy(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"content")
    for format in ("auto", "h5ad"):
        with pytest.raises(InputError) as raised:
            read_expression(tmp_path / name, format=format)
        raised.match("(?s)" + message)
        # A shell line, never Python.
        assert "import " not in str(raised.value)


def test_every_remedy_can_be_written() -> None:
    for line in (*PACKED.values(), *CONVERTED.values()):
        assert line.format(path="a.x", stem="a")
