from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from grn._errors import InputError
from grn.data.tfs import read_tf_file, resolve_tfs, tf_list

GENES = ["ACTB", "GATA1", "EGFP", "SPI1", "CD19"]


def test_lists_of_the_package() -> None:
    human, mouse = tf_list("human"), tf_list("mouse")
    assert 1400 < len(human) < 1700
    assert 1100 < len(mouse) < 1700
    assert {"GATA1", "SPI1", "TP53", "STAT1", "FOXP3", "LMO2", "TOX"} <= set(human)
    assert {"Gata1", "Spi1", "Trp53", "Stat1", "Foxp3", "Nkx2-5", "T"} <= set(mouse)
    for names in (human, mouse):
        assert len(set(names)) == len(names)
        upper = {name.upper() for name in names}
        assert not [name for name in upper if name.startswith(("RPL", "RPS", "MRPL", "MRPS"))]
        assert upper.isdisjoint({"ABL1", "AKT1", "MAPK1", "NOTCH1", "EGF", "EP300", "HDAC1"})
        assert not [name for name in names if " " in name or "," in name]


def test_lists_cite_their_sources_with_dates() -> None:
    folder = Path(tf_list.__wrapped__.__code__.co_filename).parent / "resources"
    for name in ("human", "mouse"):
        head = [line for line in (folder / f"tfs_{name}.txt").read_text().splitlines() if line.startswith("#")]
        assert sum("20" in line for line in head) >= 3


def test_unknown_list() -> None:
    with pytest.raises(InputError, match="no TF list 'rat'"):
        tf_list("rat")


def test_a_list_in_the_order_of_the_genes() -> None:
    selection = resolve_tfs("human", GENES)
    assert selection.names == ("GATA1", "SPI1")
    assert selection.positions.dtype == np.int64
    assert selection.positions.tolist() == [1, 3]
    assert selection.absent == {}


def test_all_genes() -> None:
    assert resolve_tfs("all", GENES).names == tuple(GENES)
    assert resolve_tfs("all,-ACTB", GENES).names == tuple(GENES[1:])


@pytest.mark.parametrize("spec", ["human,+EGFP,-GATA1", "human, -GATA1, +EGFP", ["human", "+EGFP", "-GATA1"]])
def test_changes_to_a_list(spec: object) -> None:
    assert resolve_tfs(spec, GENES).names == ("EGFP", "SPI1")


@pytest.mark.parametrize(
    "spec",
    [["SPI1", "GATA1"], ("SPI1", "GATA1"), np.array(["SPI1", "GATA1"]), OmegaConf.create(["SPI1", "GATA1"])],
)
def test_names(spec: object) -> None:
    assert resolve_tfs(spec, GENES).names == ("GATA1", "SPI1")


def test_absent_names_are_explained() -> None:
    selection = resolve_tfs(["GATA1", "gata2", "SPI11", "spi1", "KLF1", "XYZ123"], GENES, dropped=["KLF1"])
    assert selection.absent["SPI11"] == "not in the data. Did you mean 'SPI1'?"
    assert selection.absent["spi1"] == "not in the data, which spells it 'SPI1'"
    assert selection.absent["KLF1"] == "zero in all cells"
    assert selection.absent["XYZ123"] == "not in the data."


def test_absent_changes_are_explained_but_not_absent_names_of_a_list() -> None:
    selection = resolve_tfs("human,+EGFPP,-GATAA1", GENES)
    assert selection.absent["EGFPP"] == "not in the data. Did you mean 'EGFP'?"
    assert selection.absent["GATAA1"].startswith("not in the list, so there is nothing to take out. Did you mean 'GATA")
    assert set(selection.absent) == {"EGFPP", "GATAA1"}


@pytest.mark.parametrize(
    "text",
    [
        "# my TFs\nGATA1\n\nSPI1  # PU.1\n",
        "\ufeffGATA1\r\nSPI1\r\n",
        "TF,Sources\nGATA1,a|b\nSPI1,c\n",
        '"gene_name"\tx\n"GATA1"\t1\n"SPI1"\t2\n',
        "GATA1, SPI1",
    ],
)
def test_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tfs.txt"
    path.write_bytes(text.encode("utf-8"))
    assert read_tf_file(path) == ["GATA1", "SPI1"]
    assert resolve_tfs(str(path), GENES).names == ("GATA1", "SPI1")
    assert resolve_tfs(path, GENES).names == ("GATA1", "SPI1")
    assert resolve_tfs(f"{path},+EGFP", GENES).names == ("GATA1", "EGFP", "SPI1")


def test_gzipped_file(tmp_path: Path) -> None:
    path = tmp_path / "tfs.txt.gz"
    path.write_bytes(gzip.compress(b"GATA1\nSPI1\n"))
    assert read_tf_file(path) == ["GATA1", "SPI1"]


def test_a_short_file_is_explained_a_long_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "tfs.txt"
    path.write_text("GATA1\nSPI2\n")
    assert resolve_tfs(path, GENES).absent == {"SPI2": "not in the data. Did you mean 'SPI1'?"}
    path.write_text("\n".join(tf_list("human")))
    assert resolve_tfs(path, GENES).absent == {}


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"TF\n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tfs.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no name"):
        resolve_tfs(path, GENES)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n\x00\x00", b"\xff\xfeabc", b"PK\x03\x04xlsx", b"GATA1\x00SPI1"])
def test_a_file_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tfs.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"tfs\.txt is no TF file"):
        resolve_tfs(path, GENES)


def test_a_mistyped_list_names_near_misses() -> None:
    with pytest.raises(InputError, match=r"tf='humn' is neither a TF list nor a file. Did you mean 'human'\?"):
        resolve_tfs("humn", GENES)
    with pytest.raises(InputError, match=r"Did you mean 'mouse'\?"):
        resolve_tfs("mous,+GATA1", GENES)
    with pytest.raises(InputError, match=r"Did you mean 'human'\?"):
        resolve_tfs("Human", GENES)


def test_a_mistyped_file_names_its_siblings(tmp_path: Path) -> None:
    (tmp_path / "my_tfs.txt").write_text("GATA1")
    with pytest.raises(InputError, match=r"no such file in .*Did you mean '.*my_tfs\.txt'\?"):
        resolve_tfs(str(tmp_path / "my_tf.txt"), GENES)


def test_a_folder_and_an_empty_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        resolve_tfs(str(tmp_path), GENES)
    with pytest.raises(InputError, match="tf is empty"):
        resolve_tfs("", GENES)
    with pytest.raises(InputError, match="names no list to start from"):
        resolve_tfs([], GENES)
    with pytest.raises(InputError, match="names no list to start from"):
        resolve_tfs("+GATA1,+SPI1", GENES)


def test_names_in_a_text_are_refused_with_the_way_to_write_them() -> None:
    with pytest.raises(InputError, match=r"tf='GATA1' is a gene of the data.*tf=\['GATA1', \.\.\.\]"):
        resolve_tfs("GATA1", GENES)
    with pytest.raises(InputError, match=r"'SPI1' needs \+ or - before it"):
        resolve_tfs("GATA1,SPI1", GENES)


@pytest.mark.parametrize("spec", [None, 3, {"GATA1": 1}, b"human"])
def test_other_types_are_refused(spec: object) -> None:
    with pytest.raises(TypeError, match="tf must be 'human', 'mouse', 'all'"):
        resolve_tfs(spec, GENES)


def test_a_list_of_other_things_is_refused() -> None:
    with pytest.raises(TypeError, match="must hold names, got int"):
        resolve_tfs(["GATA1", 7], GENES)


@pytest.mark.parametrize("tf", ["given", "file"])
@pytest.mark.parametrize("listed", ["ENSG00000102145.9", "ENSG00000102145"])
@pytest.mark.parametrize("gene", ["ENSG00000102145.14", "ENSG00000102145"])
def test_ensembl_identifiers_match_without_their_version(
    tf: str, listed: str, gene: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tfs.txt").write_text(f"{listed}\nENSG00000066336\n")
    given = [listed, "ENSG00000066336"] if tf == "given" else str(tmp_path / "tfs.txt")
    with caplog.at_level("INFO", logger="grn"):
        found = resolve_tfs(given, ["ENSG00000000001.1", gene, "ENSG00000066336"])
    assert found.names == (gene, "ENSG00000066336")
    assert found.absent == {}
    assert (f"match without their version, such as {listed} and {gene}" in caplog.text) == (listed != gene)


def test_an_ensembl_identifier_of_two_versions_is_not_guessed() -> None:
    genes = ["ENSG00000102145.14", "ENSG00000102145.14_PAR_Y", "ENSG00000102145.15", "GATA1.1"]
    assert resolve_tfs(["ENSG00000102145", "GATA1"], genes).names == ()


def test_the_users_home_in_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tfs.txt").write_text("GATA1\n")
    for spec in ("~/tfs.txt", "$HOME/tfs.txt", "~/tfs.txt,+KLF1", ["~/tfs.txt", "+KLF1"]):
        assert "GATA1" in resolve_tfs(spec, ["GATA1", "KLF1"]).names
