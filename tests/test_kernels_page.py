"""docs/kernels.md: its figures are the cost model's, its Python runs, its diagrams are what the script draws."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from grn.kernels import spherical_attention
from grn.kernels.costs import Shapes, break_even, costs, flashsign, linear, roofline_seconds
from grn.kernels.costs.devices import A100, CPU_CORE, H200

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "docs" / "diagrams.py"
COMMITTED = sorted((ROOT / "docs" / "images").glob("attention-*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


PAGE = ROOT / "docs" / "kernels.md"


def test_the_table_of_floors_is_the_models() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d.*/.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row[0] for row in rows] == ["2048", "8192", "20000"]
    for n, cells in rows:
        shapes = Shapes(16, 8, 8, int(n), int(n), 64, 64, 2)
        for cell, (form, device) in zip(
            cells.split(" | "), [(form, device) for device in (A100, H200) for form in (flashsign, linear)], strict=True
        ):
            # By peak rates and the memory's bandwidth alone, as the page says.
            bare = replace(device, cache=replace(device.cache, bandwidth=1e30))
            more = {"deterministic": False} if form is flashsign else {}
            for written, backward in zip(cell.split(" / "), (False, True), strict=True):
                parts = costs(form(shapes, backward=backward, **(more if backward else {})), bare, 2)  # type: ignore[operator]
                assert 1e6 * roofline_seconds(parts, bare, launches=False) == pytest.approx(float(written), rel=0.05)


def test_the_table_of_choices_is_the_models() -> None:
    row = r"^\| (one|H200).*, (\d+) heads, \w+ \| (\d+) \| (\d+) \| (\d+) \|$"
    rows = re.findall(row, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 6
    for name, heads, d, *genes in rows:
        device, width = (H200, 2) if name == "H200" else (CPU_CORE, 4)
        for written, backward in zip(genes, (False, True), strict=True):
            found = break_even(device, int(d), backward=backward, element_bytes=width, heads=int(heads))
            assert found == int(written), f"{name} {d} {backward}"


def test_the_python_on_the_page_gives_a_low_rank_prior() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, torch.Tensor] = {}
    torch.manual_seed(0)
    exec(compile(block, "docs/kernels.md", "exec"), names)
    q, k, v, a, b = (names[name].double() for name in "qkvab")
    scores = q @ k.mT + a @ b.mT
    expected = scores / (scores.square().sum(-1, keepdim=True) + 1e-6 * 100 * 36).sqrt() @ v
    torch.testing.assert_close(names["with_prior"].double(), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(spherical_attention(q, k, v), expected, atol=0.01)


def test_the_script_draws_the_committed_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(SCRIPT), "--folder", str(tmp_path)], check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in COMMITTED}


def test_the_script_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1]); "
        "assert not {name.partition('.')[0] for name in sys.modules} & {'numpy', 'matplotlib', 'torch', 'grn'}"
    )
    subprocess.run([sys.executable, "-S", "-c", code, str(SCRIPT)], check=True)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_drawings_have_a_title_a_description_and_words_inside_the_frame(path: Path) -> None:
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    named = {element.get("id"): (element.text or "") for element in root}
    assert root.get("role") == "img"
    assert len(named["title"]) > 20
    assert len(named["description"]) > 100
    words = root.findall(f"{SVG}text")
    assert words
    for word in words:
        # No letter is wider than 0.62 of the size on average, in the widest of the usual fonts.
        length = 0.62 * float(word.get("font-size", 0)) * len(word.text or "")
        start = float(word.get("x", 0)) - {"start": 0.0, "middle": 0.5}[word.get("text-anchor", "")] * length
        assert start >= 0, word.text
        assert start + length <= float(root.get("width", 0)), word.text
        assert 0 < float(word.get("y", 0)) < float(root.get("height", 0)), word.text


def test_every_drawing_is_shown_on_the_page() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    assert COMMITTED
    for path in COMMITTED:
        assert f"(images/{path.name})" in page


def test_kinds_of_wires_differ_in_more_than_colour() -> None:
    spec = importlib.util.spec_from_file_location("diagrams", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules["diagrams"] = module
    try:
        spec.loader.exec_module(module)
        drawings = [module.Drawing(10, 10, "t", "d") for _ in range(3)]
        for drawing, kind in zip(drawings, ("plain", "streamed", "grouped"), strict=True):
            drawing.wire([(0, 0), (10, 0)], kind)
        plain, streamed, grouped = (drawing.parts for drawing in drawings)
    finally:
        del sys.modules["diagrams"]
    assert "dasharray" in streamed[0]
    assert "dasharray" not in plain[0]
    assert len(grouped) == 2
