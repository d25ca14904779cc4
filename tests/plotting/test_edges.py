import numpy as np

from grn.plotting.edges import BENDS, arrow_head, bar_head, course, curve, inside

CENTRES = np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 0.0]])
HALF = np.array([[10.0, 5.0]] * 3)


def test_a_line_runs_between_the_borders():
    line = course(0, 1, CENTRES[:2], HALF[:2], BENDS, gap=2.0)
    assert 10 <= line[0, 0] < 13
    assert 85 < line[-1, 0] <= 88
    np.testing.assert_allclose(line[:, 1], 0)


def test_a_line_bends_round_a_box_in_its_way():
    line = course(0, 1, CENTRES, HALF, BENDS, gap=2.0)
    assert not inside(line, CENTRES[2:], HALF[2:]).any()


def test_there_and_back_take_different_sides():
    there = course(0, 1, CENTRES[:2], HALF[:2], BENDS[1:2], gap=0.0)
    back = course(1, 0, CENTRES[:2], HALF[:2], BENDS[1:2], gap=0.0)
    assert there[:, 1].mean() * back[:, 1].mean() < 0


def test_boxes_that_touch_still_have_a_line():
    assert len(course(0, 1, np.array([[0.0, 0.0], [15.0, 0.0]]), HALF[:2], BENDS, gap=2.0)) >= 3


def test_heads_are_at_the_end():
    line = curve(np.zeros(2), np.array([100.0, 0.0]), 0.0)
    np.testing.assert_allclose(arrow_head(line, 10)[0], [100, 0])
    np.testing.assert_allclose(bar_head(line, 10)[:, 0], [100, 100])
    assert np.ptp(bar_head(line, 10)[:, 1]) > 10
