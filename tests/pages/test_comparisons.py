"""What the pages say and mark of what they compare: equal numbers, the loss that is trained, where values come from."""

import re

import numpy as np
import pytest
from PIL import Image

from qsneg.inspect import attended, inspect, observe, query
from qsneg.pages import PAGES
from qsneg.pages.attention import held
from qsneg.pages.selection import Selection
from qsneg.rendering.rows import Cross, Dots, Givers, Values
from qsneg.translate import Translator
from tests.conftest import tiny
from tests.pages.conftest import METHODS


@pytest.fixture(scope="module")
def differing():
    """Models whose own numbers of patches differ."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 64, 3), dtype=np.uint8))
    made = {m: tiny(m, n, patches=patches) for n, (m, patches) in enumerate(zip(METHODS, (24, 18, 12)))}
    return {m: observe(Translator(weights, "cpu"), noise) for m, weights in made.items()}


def page_of(name, seen, **chosen):
    page = PAGES[name]
    selection = page.fit(Selection(**chosen), seen)
    return page, selection, page.look(seen, selection)


def panels(name, seen, row, **chosen):
    page, selection, found = page_of(name, seen, **chosen)
    return {panel.key: panel for panel in page.rows(found, selection)[row].panels}, found


def test_counts_are_equal_and_the_smallest(differing):
    """Of either kind of negatives, of anchors and of random places, wherever methods are compared."""
    page, selection, found = page_of("negatives", differing)
    assert {f.query.in_image.size for f in found.found.values()} == {12}
    assert {len(f.forces.force) for f in found.found.values()} == {11, 12}  # and the chosen place
    assert {12} == {found.found["negcut"].query.generated.size}
    assert {f["number"] for f in page.facts(found, selection).values()} == {12}
    assert "12 as there are generated ones" in page.rows(found, selection)[2].note
    page, selection, found = page_of("loss", differing)
    assert {len(r.asked) for r in found.found.values()} == {12} == {len(found.found["negcut"].negatives)}
    assert "12 of its own negatives" in page.rows(found, selection)[0].note
    page, selection, found = page_of("anchors", differing)
    assert {len(r.anchors) for r in found.found.values()} == {12} == {len(r.random) for r in found.found.values()}
    control = next(c for c in page.controls if c.name == "anchors")
    assert control.shown(selection, differing["cut"]) == {"value": 12}
    chosen = control.set(selection, 30, None)
    assert control.shown(chosen, differing["cut"]) == {"value": 30}
    assert {len(r.anchors) for r in page.look(differing, chosen).found.values()} == {30}
    assert {len(r.asked) for r in page.look(differing, chosen).found.values()} == {12}  # negatives stay as many


def test_the_trained_loss_stands_beside_the_map(seen):
    """QS-Attn's at its anchors, of gathered values; under one scale with the maps."""
    found, looked = panels("loss", seen, 1, layer=16)
    scale = looked.found
    for method in METHODS:
        panel, result = found[method], scale[method]
        assert isinstance(panel.marks[0], Values) and panel.marks[0].positions.tolist() == result.asked.tolist()
        assert f"Mean {result.asked_loss.mean():.2f} nats" in panel.words
        limits = panel.bar.limits
        np.testing.assert_allclose(panel.marks[0].values, np.clip(result.asked_loss / limits[1], 0, 1), atol=1e-6)
    maps, _ = panels("loss", seen, 0, layer=16)
    assert {maps[m].map.limits for m in METHODS} == {found[m].bar.limits for m in METHODS}
    result = scale["qs-attn"]
    assert result.asked.tolist() == inspect(seen["qs-attn"], 16).anchors.tolist()
    assert "gathered values" in found["qs-attn"].words and "Most of what is gathered" in found["qs-attn"].words
    assert "gathered" not in found["cut"].words
    elsewhere, _ = panels("loss", seen, 1, layer=8)  # where it asks at random, like CUT
    assert "gathered" not in elsewhere["qs-attn"].words


def test_negatives_are_tied_to_where_they_come_from(seen):
    found, looked = panels("negatives", seen, 2, layer=16)
    q = looked.found["qs-attn"].query
    mark = found["qs-attn"].marks[0]
    assert isinstance(mark, Givers) and isinstance(found["cut"].marks[0], Dots)
    assert mark.positions.tolist() == q.in_image_at.tolist() and mark.givers.tolist() == q.giver.tolist()
    away = (q.giver != q.in_image_at).any(1)
    assert f"from {len(np.unique(q.giver, axis=0))} position" in found["qs-attn"].words
    assert f"at {(~away).sum()} of them, from the anchor itself" in found["qs-attn"].words
    ties = [shape for shape in mark.shapes(looked.view.grid(16)) if shape.kind == "polygons"]
    assert all(len(shape.points) == away.sum() for shape in ties)
    page, selection, found = page_of("negatives", seen, layer=16)
    patches = {p.key: p.patches for p in page.rows(found, selection)[3].panels}
    assert all(tuple(p.position) in set(map(tuple, q.giver)) for p in patches["qs-attn"])
    plain = query(seen["qs-attn"], 8, (2, 2))  # a layer where nothing is gathered
    assert plain.giver is None


def test_givers_draw_ties_and_larger_dots():
    """Two anchors that take from one position, and one that keeps its own."""
    from qsneg.inspect import Grid

    grid = Grid(16, (8, 8), (32, 32), 4, 0)
    at, givers = np.array([(0, 0), (0, 2), (5, 5)]), np.array([(4, 4), (4, 4), (5, 5)])
    shapes = Givers(at, givers).shapes(grid)
    ties = [shape.points for shape in shapes if shape.kind == "polygons"]
    middle = lambda row, column: (column * 4 + 0.5, row * 4 + 0.5)  # noqa: E731
    assert np.allclose(ties[0], [[middle(0, 0), middle(4, 4)], [middle(0, 2), middle(4, 4)]])
    assert np.allclose(shapes[-1].points, [middle(4, 4)])  # and none for the one that gives to itself
    one = Givers(at[:1], givers[:1]).shapes(grid)
    assert shapes[-1].size > one[-1].size


def test_shares_add_up_to_a_hundred(seen):
    for row in range(4):
        found, _ = panels("negatives", seen, 4, layer=16, x=20, y=4 * row)
        for method in METHODS:
            assert sum(map(int, re.findall(r"(\d+)\u202f%", found[method].words))) == 100


def test_the_position_that_takes_the_row_is_crossed(seen):
    """And the words say where it is; a query that keeps most of its attention has no cross."""
    crossed = 0
    for x in range(2, 60, 6):
        found, looked = panels("attention", seen, 0, layer=12, x=x, y=20)
        for method in METHODS:
            f, marks = looked.found[method], found[method].marks
            row = attended(seen[method], 12, f.position)
            crosses = [m for m in marks if isinstance(m, Cross)]
            assert bool(crosses) == (row.most != f.position)
            assert f"Half of it goes to {row.half:,} of {row.keys:,} positions" in found[method].words
            if crosses:
                crossed += 1
                assert tuple(crosses[0].positions) == row.most
                assert f"row {row.most[0]}, column {row.most[1]}" in found[method].words
                longest = "are not normalised" in found[method].words  # and why
                assert longest == (row.share >= 0.5 and row.shorter >= 0.9)
    assert crossed
    assert held(0.9996) == "99.9\u202f% or more" and held(0.25) == "25.0\u202f%"


@pytest.mark.parametrize("mode, keys", [("global", 176), ("local", 49), ("local+global", 49)])
def test_entropies_are_bounded_by_what_a_row_sees(seen, mode, keys):
    found, looked = panels("anchors", seen, 0, mode=mode)
    assert f"of at most {np.log(keys):.1f}." in found["cut"].words
    assert re.search("<b>60\u202f% of the anchors fit on \\d+\u202f% of the picture</b>; random", found["cut"].words)
    page, selection, looked = page_of("anchors", seen, mode=mode)
    assert ("choose the same" in page.rows(looked, selection)[1].note) == (mode != "global")
