"""Files that are not read, each with the line that unpacks or converts it."""

from __future__ import annotations

from pathlib import Path

_SEURAT = (
    """Rscript -e 'sceasy::convertFormat(readRDS("{path}"), from = "seurat", to = "anndata", """
    """outFile = "{stem}.h5ad")'"""
)
_SCE = """Rscript -e 'zellkonverter::writeH5AD(readRDS("{path}"), "{stem}.h5ad")'"""
_WORKSPACE = """Rscript -e 'load("{path}"); print(ls())'"""
_H5SEURAT = """Rscript -e 'SeuratDisk::Convert("{path}", dest = "h5ad")'"""

# The longest ending counts.
PACKED = {
    ".tar.gz": "tar xzf {path}",
    ".tgz": "tar xzf {path}",
    ".tar.bz2": "tar xjf {path}",
    ".tar.xz": "tar xJf {path}",
    ".tar": "tar xf {path}",
    ".gz": "gunzip -k {path}",
    ".bz2": "bunzip2 -k {path}",
    ".xz": "xz -dk {path}",
    ".zst": "zstd -d {path}",
    ".zip": "unzip {path}",
    ".7z": "7z x {path}",
}
CONVERTED = {
    ".rds": (
        "an R object. Convert it to .h5ad with R, a Seurat object with\n"
        f"  {_SEURAT}\nand a SingleCellExperiment with\n  {_SCE}"
    ),
    ".rdata": (
        f"an R workspace. See what is in it with\n  {_WORKSPACE}\nsave the object with saveRDS, and convert that to "
        ".h5ad with R: sceasy for a Seurat object, zellkonverter for a SingleCellExperiment."
    ),
    ".h5seurat": f"a Seurat object. Convert it to .h5ad with R:\n  {_H5SEURAT}",
    ".xlsx": (
        "a spreadsheet. Save it as .csv, for instance with\n  libreoffice --headless --convert-to csv {path}\nand look "
        "whether the spreadsheet turned gene names into dates (SEPT1, MARCH1)."
    ),
    ".bam": "aligned reads, not expression. Count them first, for instance with Cell Ranger or STARsolo.",
    ".fastq": "reads, not expression. Count them first, for instance with Cell Ranger or STARsolo.",
    ".pkl": "a pickle, which can run any command when it is opened; it is not read. Write the data as .h5ad.",
}
_SAME = {".rda": ".rdata", ".xls": ".xlsx", ".ods": ".xlsx", ".xlsm": ".xlsx", ".fq": ".fastq", ".pickle": ".pkl"}


def not_read(path: Path) -> str | None:
    """What a file is that is not read, and what to do with it; None where its ending says nothing."""
    name = path.name.lower()
    stem = path.name
    for ending, line in PACKED.items():
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            plain = "the file or folder in it" if ending in (".zip", ".7z") or "t" in ending[1:3] else stem
            return f"{path.name} is packed. Unpack it first: {line.format(path=path)}, and give {plain}."
    for ending in (*CONVERTED, *_SAME):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            return f"{path.name} is {CONVERTED[_SAME.get(ending, ending)].format(path=path, stem=stem)}"
    return None
