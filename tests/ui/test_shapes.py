"""Pictures of odd shapes: panoramas below each other, strips not enlarged without end, small ones told."""

import numpy as np
import pytest
from PIL import Image

from qsneg.inspect import Grid
from qsneg.rendering import sample_pictures
from qsneg.rendering.rows import Panel, Picture, Row
from qsneg.ui import figures, limits
from qsneg.ui.compare import compare, summary
from qsneg.ui.uploads import Source
from tests.ui.test_parts import folder, models  # noqa: F401 (fixtures)


def source(width: int, height: int) -> Source:
    return Source.of(Image.new("RGB", (width, height), "teal"))


@pytest.mark.parametrize("shape, size, side", [
    ((4000, 500), 256, 256), ((300, 200), 768, 768), ((20, 20), 256, 256),  # as asked for
    ((400, 30), 256, 140), ((30, 400), 256, 140),  # a strip: to four squares of 256
    ((4000, 60), 256, 60), ((4000, 60), 64, 60),  # has more already: not enlarged
])  # fmt: skip
def test_enlarging_has_a_bound(shape, size, side):
    assert source(*shape).side(size) == side
    assert side**2 * max(shape) / min(shape) <= max(limits.ENLARGED * size**2, shape[0] * shape[1])


def test_enlarging_is_told():
    assert source(300, 200).enlarged(256) == "" and source(4000, 500).enlarged(256) == ""
    assert "enlarged 12.8 times from 20 × 20 pixels" in source(20, 20).enlarged(256)
    assert "working size of 256 is reduced to 140" in source(400, 30).enlarged(256)
    example = next(e for e in sample_pictures.examples() if e.index is not None)
    assert Source.of(example.picture(64)).enlarged(256) == ""  # drawn anew at that size


def test_a_strip_is_translated_within_the_bound(models):  # noqa: F811
    *_, result = compare(models, source(400, 10), "day2sunset", ["cut"], 64)
    assert result.source.size == result.results[0].image.size == (800, 20)
    line = summary(result)
    assert 'class="summary wide"' in line and "working size of 64 is reduced to" in line
    *_, result = compare(models, source(20, 20), "day2sunset", ["cut"], 64)
    assert 'class="summary"' in summary(result) and "enlarged 3.2 times" in summary(result)


@pytest.mark.parametrize("size, is_wide", [((976, 122), True), ((240, 120), False), ((120, 300), False)])
def test_wide_pictures_of_a_row_stand_below_each_other(size, is_wide):
    grid = Grid(12, (size[1] // 4, size[0] // 4), size, 4, 0)
    below = Picture("source", lambda: Image.new("RGB", size))
    row = Row("Title", "note", (Panel("", words="how to read it"), Panel("cut", "x", below, grid, label="x")))
    assert ("columns wide" in figures.row(row)) == is_wide


def test_a_panorama_in_the_browser(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1600, 200)).save(tmp_path / "panorama.png")
    page.locator("#picture .icon-button").last.click()
    page.locator("#picture input[type=file]").first.set_input_files(tmp_path / "panorama.png")
    page.wait_for_selector("#picture img")
    page.locator("#go").click()
    page.wait_for_selector(".summary:has-text('1600 × 200')", timeout=120000)
    boxes = [page.locator(f".card.{key} img").first.bounding_box() for key in ("source", "cut", "qs-attn", "negcut")]
    assert all(box["height"] > 100 and box["x"] + box["width"] <= 1440 for box in boxes)
    assert [box["y"] for box in boxes] == sorted({box["y"] for box in boxes})  # each below the one before
    page.get_by_role("tab", name="Loss", exact=True).click()
    stack = page.wait_for_selector("#stage-loss .fig.cut .stack", timeout=40000).bounding_box()
    assert stack["height"] > 100
    assert page.wrong == []
