"""Sheets: pictures in rows and columns."""

from PIL import Image

from qsneg.rendering.sheets import CELL, GAP, MARGIN, grid


def test_grid_puts_cells_in_place():
    red, blue = (Image.new("RGB", (8, 8), c) for c in ("red", "blue"))
    picture = grid([("a", "black"), ("b", "black")], [[(red, ""), (blue, "0.5")]])
    middle = MARGIN + GAP + CELL // 2
    assert picture.getpixel((GAP + CELL // 2, middle)) == (255, 0, 0)
    assert picture.getpixel((2 * GAP + CELL + CELL // 2, middle)) == (0, 0, 255)
