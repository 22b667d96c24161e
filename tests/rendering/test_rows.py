"""Marks and their two renderings, as SVG and as pixels: both draw the same shapes."""

import re

import numpy as np
import pytest
from PIL import Image

from qsneg.inspect import Grid
from qsneg.rendering import overlays
from qsneg.rendering.colormaps import decades
from qsneg.rendering.rows import MIDDLE, OPACITY, Boxes, Bubbles, Dots, Panel, Picture, Ring, Row, Triangles, centres
from qsneg.ui import components, figures

GRID = Grid(12, (64, 64), (256, 256), 4, 0)
AT = np.array([[20, 30]])


def drawn(*marks):
    """Both renderings of marks on black: the SVG, and the picture, twice as large."""
    panel = Panel("cut", "name", Picture("source", lambda: Image.new("RGB", GRID.size)), GRID, marks=marks, grey=False)
    return figures.layers(panel), overlays.draw(panel)


def rgb(colour: str) -> tuple:
    return tuple(bytes.fromhex(colour[1:]))


def reach(picture: Image.Image) -> int:
    """Width in pixels of what is not black."""
    return int((np.asarray(picture).sum(2) > 0).any(0).sum())


def test_marks_lie_in_the_middle_of_their_cells():
    assert centres(GRID, AT).tolist() == [[120.5, 80.5]]
    for mark in (Ring(AT), Dots(AT), Dots(AT, False, True), Triangles(AT)):
        svg, picture = drawn(mark)
        columns = np.flatnonzero((np.asarray(picture).sum(2) > 0).any(0))
        assert abs(columns.mean() - 2 * 120.5) <= 1.5
        if not isinstance(mark, Triangles):
            assert 'cx="120.5" cy="80.5"' in svg or "M120.5 80.5h0" in svg


@pytest.mark.parametrize("ranked, hollow", [(True, False), (False, False), (False, True)])
def test_a_dot_is_as_hollow_and_as_large_in_both(ranked, hollow):
    svg, picture = drawn(Dots(AT, ranked, hollow))
    layers = re.findall(r'stroke="(#\w+)" stroke-width="([\d.]+)"', svg)  # from bottom to top
    assert len(layers) == (3 if hollow else 2)
    for colour, width in layers[-2:]:  # the innermost ring's colour and that around it, on both
        x = round(241 + 2 * (float(width) / 2 - 0.35))
        assert picture.getpixel((x, 161)) == rgb(colour), (colour, width)
    middle = picture.getpixel((241, 161))
    assert middle == rgb(layers[-1][0]) and (middle == (255, 255, 255)) == hollow
    assert (rgb(MIDDLE) in set(picture.get_flattened_data())) == hollow


def test_triangles_grow_with_their_number_in_both():
    widths = {}
    for count in (1, 9, 81):
        svg, picture = drawn(Triangles(np.repeat(AT, count, 0)))
        corners = np.array([[float(v) for v in p.split()] for p in re.search(r'd="M([^z]*)z', svg)[1].split("L")])
        widths[count] = np.ptp(corners[:, 0]), reach(picture)
        assert svg.count("<path") == 1  # one triangle, however many
    assert widths[1][0] < widths[9][0] < widths[81][0]
    for in_svg, in_pixels in widths.values():
        assert abs(2 * in_svg - in_pixels) <= 5  # with the edge


def test_bubbles_grow_with_their_share_and_shine_with_their_value():
    """Areas tell shares of the sum, colours the value itself: two maps of one scale differ in colour alone."""
    at, shares = np.array([[10, 10], [40, 40], [40, 40]]), np.array([0.2, 0.5, 0.3])
    logs = {"strong": np.log(shares), "weak": np.log(shares / 1000)}
    looks = {}
    for name, scale in decades(logs, "force").items():
        shapes = Bubbles(at, np.exp(logs[name]), scale).shapes(GRID)
        looks[name] = (
            [(shape.points.tolist(), round(shape.size, 9)) for shape in shapes],
            [shape.fill for shape in shapes][1::2],
        )
        assert [points for points, _ in looks[name][0]] == [[[40.5, 40.5]]] * 2 + [[[160.5, 160.5]]] * 2
    assert looks["strong"][0] == looks["weak"][0] and not set(looks["strong"][1]) & set(looks["weak"][1])
    small, large = (size for _, size in looks["strong"][0][1::2])
    assert large - 1.3 == pytest.approx(2 * (small - 1.3))  # four times the area, but for the least size
    svg, picture = drawn(Bubbles(at, shares, decades(logs, "force")["strong"], open=True))
    assert svg.count('fill="none"') == 4  # two open triangles, each with a dark rim
    assert picture.getpixel((321, 323)) == (0, 0, 0) and 60 < reach(picture) < 100


@pytest.mark.parametrize("count, columns", [(4, 4), (5, 3), (6, 3), (7, 4)])
def test_more_than_four_columns_stand_in_two_lines(count, columns):
    row = Row("Title", "note", tuple(Panel(f"m{n}", words="word") for n in range(count)))
    assert f"--columns:{columns}" in figures.row(row)


def test_a_filled_ring_is_filled_in_both():
    for filled in (False, True):
        svg, picture = drawn(Ring(AT, filled))
        assert svg.count("<circle") == 2 + filled and (picture.getpixel((241, 161)) == (255, 255, 255)) == filled


def test_boxes_are_numbered_in_both():
    svg, picture = drawn(Boxes(np.array([[3, 6], [30, 63]])))
    assert re.findall(r">(\d)</text>", svg) == ["1", "2"] and 'text-anchor="end"' in svg
    assert reach(picture.crop((2 * 32, 0, 160, 60))) > 8  # the first number, right of its box


def test_without_map_and_marks_a_picture_stays_as_it_is():
    image = Image.new("RGB", (30, 20), "red")
    assert overlays.draw(Panel("cut", "result", Picture("result", lambda: image))) is image


def test_a_map_covers_the_picture_alike_in_both():
    assert f"--opacity: {OPACITY:g}" in (components.STATIC / "app.css").read_text()
