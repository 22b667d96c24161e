"""What is chosen on the pages: the same patch on every layer, other sizes, limits."""

from dataclasses import replace

import pytest

from qsneg.inspect import Grid
from qsneg.pages import PAGES
from qsneg.pages.selection import Selection


@pytest.mark.parametrize("size", [(62, 41), (256, 256)])
def test_the_query_is_the_same_patch_on_every_layer(size):
    selection = Selection().on(size).at(17, 9)
    for layer, stride, margin in ((0, 1, 3), (4, 1, 0), (8, 2, 0), (12, 4, 0), (16, 4, 0)):
        shape = tuple(-(-(side + 2 * margin) // stride) for side in size[::-1])
        grid = Grid(layer, shape, size, stride, margin)
        row, column = selection.position(grid)
        left, top, right, bottom = grid.box(row, column)
        assert left <= 17 < right and top <= 9 < bottom
        assert selection.moved(grid, row, column).position(grid) == (row, column)
        for far in ((-5, -5), (1000, 1000)):  # beyond the picture: its edge, and not the padding
            moved = selection.moved(grid, *far)
            assert 0 <= moved.x < size[0] and 0 <= moved.y < size[1]
            rows, columns = grid.visible()
            edge = (rows.start, columns.start) if far[0] < 0 else (rows.stop - 1, columns.stop - 1)
            assert moved.position(grid) == edge


def test_another_size_keeps_the_relative_place():
    assert Selection().on((64, 48)).x == 32
    selection = Selection().on((64, 48)).at(16, 36).on((128, 96))
    assert (round(selection.x), round(selection.y)) == (32, 72)


class Large:
    """A view of 200 × 200 positions."""

    def grid(self, layer):
        return Grid(layer, (200, 200), (200, 200), 1, 0)


def test_many_positions_are_read_in_local_mode(seen):
    for most, mode in ((200 * 200, "global"), (200 * 200 - 1, "local")):
        assert Selection(layer=4, most=most).the_mode(Large()) == mode
    assert Selection(layer=4, most=10000).the_mode(seen["cut"]) == "global"


def test_the_head_says_what_is_reduced(seen):
    selection, page = Selection(layer=4, most=100).on((62, 41)), PAGES["anchors"]
    head = page.head(page.look(seen, selection), selection, "A family", 512)
    assert "local mode is shown" in head and "512 is reduced" in head and "<b>A family</b>" in head
    assert "62 × 41 pixels in float32." in head
    assert "more than the 100 that" in head
    assert "local mode" not in PAGES["attention"].head(page.look(seen, selection), selection, "A family", 512)


@pytest.mark.parametrize("wrong, words", [
    ({"layer": 13}, "no layer 13"), ({"mode": "near"}, "Unknown attention mode"),
    ({"anchors": -1}, "number of anchors"), ({"seed": -1}, "seed"), ({"count": 0}, "neighbours"),
    ({"radius": 101}, "radius"), ({"gamma": 51}, "γ of hDCE"),
])  # fmt: skip
def test_selections_out_of_range(seen, wrong, words):
    with pytest.raises(ValueError, match=words):
        PAGES["anchors"].look(seen, replace(Selection().on((62, 41)), **wrong))
