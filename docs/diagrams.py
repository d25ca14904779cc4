"""Draw the diagrams of docs/kernels.md: `python docs/diagrams.py` writes docs/images/attention-*.svg.

In the manner of neural circuit diagrams (Abbott & Zardini 2024, arXiv 2412.03317): a wire is an axis, a bundle of wires
an array, a box an operation; a wire that ends at a box is summed over there. A streamed axis is drawn thick and
broken, a grouped one as a double line, so that neither needs colour. Standard library alone; the same input gives the
same bytes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"
INK, PALE, BLUE, FILL = "#1a1a1a", "#6b6b6b", "#1f5fa8", "#f3f3ef"
FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass
class Drawing:
    """Shapes of one picture, in the order in which they are painted."""

    width: int
    height: int
    title: str
    description: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, size: int = 14, anchor: str = "middle", ink: str = INK) -> None:
        """Words at a base line; underscores and carets are kept as they are."""
        self.parts.append(
            f"<text x='{x:g}' y='{y:g}' font-size='{size}' text-anchor='{anchor}' fill='{ink}'>{escape(words)}</text>"
        )

    def wire(self, points: list[tuple[float, float]], kind: str = "plain", label: str = "", at: int = 0) -> None:
        """An axis along these points; its letter stands above the middle of the piece that starts at point `at`."""
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        strokes = {
            "plain": [(INK, 1.6, "")],
            "streamed": [(BLUE, 3.4, " stroke-dasharray='9 5'")],
            "grouped": [(INK, 5.2, ""), ("#ffffff", 2.0, "")],
        }[kind]
        for ink, width, more in strokes:
            self.parts.append(
                f"<path d='{path}' fill='none' stroke='{ink}' stroke-width='{width}' stroke-linejoin='round'{more}/>"
            )
        if label:
            (x1, y1), (x2, _) = points[at], points[at + 1]
            self.text((x1 + x2) / 2, y1 - 6, label, size=13, ink=BLUE if kind == "streamed" else INK)

    def box(self, x: float, y: float, width: float, height: float, *lines: str, ink: str = INK) -> None:
        """An operation with its words centred."""
        self.parts.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='6' fill='{FILL}' stroke='{ink}' "
            "stroke-width='1.6'/>"
        )
        for row, line in enumerate(lines):
            self.text(x + width / 2, y + height / 2 + 5 + 18 * (row - (len(lines) - 1) / 2), line)

    def frame(self, x: float, y: float, width: float, height: float, words: str) -> None:
        """What one program does, named at the top left."""
        self.parts.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='12' fill='none' stroke='{PALE}' "
            "stroke-width='1.2' stroke-dasharray='2 4'/>"
        )
        self.text(x + 12, y + 20, words, size=13, anchor="start", ink=PALE)

    def legend(self, y: float) -> None:
        """How the three kinds of wires look."""
        for x, kind, words in (
            (30, "plain", "axis held whole"),
            (230, "streamed", "streamed: tile by tile, in a loop"),
            (530, "grouped", "grouped: one program for each tile"),
        ):
            self.wire([(x, y), (x + 44, y)], kind)
            self.text(x + 54, y + 5, words, size=13, anchor="start")

    def svg(self) -> str:
        """The file."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {self.height}' width='{self.width}' "
            f"height='{self.height}' role='img' aria-labelledby='title description' {FONT}>"
        )
        return "\n".join(
            [
                head,
                f"<title id='title'>{escape(self.title)}</title>",
                f"<desc id='description'>{escape(self.description)}</desc>",
                f"<rect width='{self.width}' height='{self.height}' fill='#ffffff'/>",
                *self.parts,
                "</svg>\n",
            ]
        )


def definition() -> Drawing:
    """The attention as it is defined: scores, rows divided by their norm, values."""
    drawing = Drawing(
        860,
        300,
        "Spherical attention by its definition",
        "Queries with axes n and d and keys with axes m and d meet in a box that sums over d and gives scores with "
        "axes n and m. A second box divides each row by its Euclidean norm. A third sums over m with the values, which "
        "have axes m and e, and gives the output with axes n and e.",
    )
    for y, name in ((60, "q"), (130, "k"), (240, "v")):
        drawing.text(28, y + 5, name, size=18)
    drawing.wire([(50, 45), (170, 45)], label="n")
    drawing.wire([(50, 75), (170, 75)], label="d")
    drawing.wire([(50, 120), (170, 120)], label="d")
    drawing.wire([(50, 150), (170, 150)], label="m")
    drawing.wire([(290, 75), (390, 75)], label="n")
    drawing.wire([(290, 125), (390, 125)], label="m")
    drawing.wire([(550, 75), (650, 75)], label="n")
    drawing.wire([(550, 125), (650, 125)], label="m")
    drawing.wire([(50, 225), (620, 225), (620, 160), (650, 160)], label="m")
    drawing.wire([(50, 255), (635, 255), (635, 185), (650, 185)], label="e")
    drawing.wire([(760, 90), (820, 90)], label="n")
    drawing.wire([(760, 150), (820, 150)], label="e")
    drawing.box(170, 30, 120, 135, "sum over d", "q k")
    drawing.box(390, 45, 160, 110, "row norm", "s / sqrt(sum s²)")
    drawing.box(650, 45, 110, 155, "sum over m", "A v")
    drawing.text(340, 45, "s", size=18)
    drawing.text(600, 45, "A", size=18)
    drawing.text(838, 126, "o", size=18)
    drawing.text(340, 180, "scores: n × m", size=13, ink=PALE)
    drawing.text(340, 286, "every array between the boxes has both gene axes", size=13, ink=PALE)
    return drawing


def streamed() -> Drawing:
    """The quadratic form: queries grouped, keys streamed, two accumulators."""
    drawing = Drawing(
        860,
        390,
        "The quadratic form streams the keys",
        "Inside one program, which holds a tile of the grouped axis n, the streamed axis m of keys and values is "
        "walked tile by tile. The scores of a tile feed two accumulators, the sum of s v with axes n and e and the sum "
        "of s squared with axis n. After the loop the first is multiplied by the inverse root of the second. The axis "
        "m ends in the accumulators, so no array with both gene axes leaves the program.",
    )
    drawing.frame(120, 20, 620, 300, "one program: a tile of n; a loop over the tiles of m")
    for y, name in ((85, "q"), (165, "k"), (275, "v")):
        drawing.text(28, y + 5, name, size=18)
    drawing.wire([(50, 70), (120, 70), (200, 70)], "grouped", "n", at=1)
    drawing.wire([(50, 100), (120, 100), (200, 100)], label="d", at=1)
    drawing.wire([(50, 155), (120, 155), (200, 155)], label="d", at=1)
    drawing.wire([(50, 185), (120, 185), (200, 185)], "streamed", "m", at=1)
    drawing.wire([(300, 80), (430, 80)], "grouped", "n")
    drawing.wire([(300, 120), (430, 120)], "streamed", "m")
    drawing.wire([(345, 80), (345, 200), (430, 200)], "grouped")
    drawing.wire([(325, 120), (325, 230), (430, 230)], "streamed")
    drawing.wire([(50, 265), (430, 265)], "streamed", "m")
    drawing.wire([(50, 295), (430, 295)], label="e")
    drawing.wire([(560, 100), (620, 100)], "grouped", "n")
    drawing.wire([(560, 225), (600, 225), (600, 150), (620, 150)], "grouped", "n")
    drawing.wire([(560, 270), (640, 270), (640, 190)], label="e")
    drawing.wire([(720, 120), (800, 120)], "grouped", "n")
    drawing.wire([(720, 165), (800, 165)], label="e")
    drawing.box(200, 55, 100, 145, "sum over d", "s = q k")
    drawing.box(430, 60, 130, 80, "accumulate", "sum s²")
    drawing.box(430, 185, 130, 125, "accumulate", "sum s v")
    drawing.box(620, 85, 100, 105, "once, after", "the loop:", "× r")
    drawing.text(825, 148, "o", size=18)
    drawing.legend(356)
    return drawing


def factorised() -> Drawing:
    """The linear form: keys streamed into two small states, then queries past them."""
    drawing = Drawing(
        860,
        400,
        "The linear form factorises through two small states",
        "First a program streams the axis m of keys and values into the states S, with axes d and e, and G, with axes "
        "d and d. Then programs that each hold a tile of the grouped axis n multiply the queries by S and G. The root "
        "of the second product gives the row norm. No wire of axis n ever meets one of axis m.",
    )
    drawing.frame(70, 20, 275, 325, "first: a loop over the tiles of m")
    drawing.frame(425, 20, 347, 325, "then: one program for each tile of n")
    for y, name in ((100, "v"), (195, "k")):
        drawing.text(28, y + 5, name, size=18)
    drawing.wire([(50, 85), (210, 85)], "streamed", "m")
    drawing.wire([(50, 115), (210, 115)], label="e")
    drawing.wire([(50, 180), (150, 180), (150, 145), (210, 145)], "streamed", "m")
    drawing.wire([(50, 210), (170, 210), (170, 160), (210, 160)], label="d")
    drawing.wire([(150, 180), (150, 260), (210, 260)], "streamed")
    drawing.wire([(170, 210), (170, 295), (210, 295)])
    drawing.box(210, 70, 110, 105, "accumulate", "S = sum k v")
    drawing.box(210, 235, 110, 90, "accumulate", "G = sum k k")
    drawing.wire([(320, 95), (395, 95), (420, 95), (500, 95)], label="e", at=1)
    drawing.wire([(320, 125), (395, 125), (420, 125), (500, 125)], label="d", at=1)
    drawing.wire([(320, 275), (395, 275), (420, 275), (500, 275)], label="d", at=1)
    drawing.wire([(320, 305), (395, 305), (420, 305), (500, 305)], label="d", at=1)
    drawing.text(375, 116, "S", size=18)
    drawing.text(375, 296, "G", size=18)
    drawing.text(385, 200, "q", size=18)
    drawing.wire([(400, 185), (450, 185)], "grouped")
    drawing.wire([(500, 150), (450, 150), (450, 225), (500, 225)], "grouped")
    drawing.wire([(400, 205), (475, 205)])
    drawing.wire([(500, 172), (475, 172), (475, 250), (500, 250)])
    drawing.text(411, 179, "n", size=13)
    drawing.text(411, 221, "d", size=13)
    drawing.box(500, 75, 110, 115, "sum over d", "q S")
    drawing.box(500, 210, 110, 115, "sum over d, d", "q G q")
    drawing.wire([(610, 105), (680, 105)], label="e")
    drawing.wire([(610, 145), (680, 145)], "grouped", "n")
    drawing.wire([(610, 265), (650, 265), (650, 185), (680, 185)], "grouped", "n")
    drawing.box(680, 85, 80, 125, "× r")
    drawing.wire([(760, 125), (772, 125), (820, 125)], label="e", at=1)
    drawing.wire([(760, 165), (772, 165), (820, 165)], "grouped", "n", at=1)
    drawing.text(840, 150, "o", size=18)
    drawing.legend(378)
    return drawing


def halves() -> Drawing:
    """Why a normaliser can be streamed: parts of a row are reduced apart, then joined, then the row is rescaled."""
    drawing = Drawing(
        860,
        250,
        "A row in two parts, joined before the row is rescaled",
        "The keys are cut into two parts. Each part is reduced to its state: the sum of squares N and the sum of "
        "values P. The states are added, and the joined state is rescaled once: P divided by the root of N. For "
        "softmax the state holds a maximum too, and joining multiplies each part by the exponential of its distance "
        "to the larger "
        "maximum.",
    )
    for y, part in ((70, "1"), (160, "2")):
        drawing.text(95, y + 5, f"keys, values, part {part}", size=14)
        drawing.wire([(185, y), (250, y)], "streamed", "m" + part)
        drawing.box(250, y - 32, 170, 64, f"N{part} = sum s²", f"P{part} = sum s v")
    drawing.wire([(420, 70), (480, 70), (480, 100), (510, 100)], label="state", at=0)
    drawing.wire([(420, 160), (480, 160), (480, 130), (510, 130)], label="state", at=0)
    drawing.wire([(660, 115), (710, 115)], label="state")
    drawing.wire([(815, 115), (836, 115)])
    drawing.box(510, 75, 150, 80, "join", "N1 + N2,  P1 + P2")
    drawing.box(710, 80, 105, 70, "rescale once", "P / sqrt(N)")
    drawing.text(848, 120, "o", size=18)
    drawing.text(430, 235, "the state's size does not depend on the number of keys", size=13, ink=PALE)
    return drawing


DRAWINGS = {
    "attention-definition.svg": definition,
    "attention-halves.svg": halves,
    "attention-streamed.svg": streamed,
    "attention-factorised.svg": factorised,
}


def main() -> None:
    """Write every drawing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where to write (default: docs/images)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        # Bytes, so that the end of a line is the same on every system.
        (folder / name).write_bytes(draw().svg().encode())


if __name__ == "__main__":
    main()
