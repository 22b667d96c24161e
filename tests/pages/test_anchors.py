"""The Anchors page about one method: ways of choosing side by side, and what one place gathers."""

from dataclasses import replace

import numpy as np
import pytest

from qsneg.networks import Discriminator
from qsneg.pages import PAGES
from qsneg.pages.selection import Selection
from qsneg.rendering.rows import Cross, Dots, Ring
from tests.conftest import lively

PAGE = PAGES["anchors"]


def rows_of(seen, **chosen):
    selection = PAGE.fit(Selection(x=20, y=30, anchors=24, **chosen), seen)
    looked = PAGE.look(seen, selection)
    ways, gathered = PAGE.rows(looked, selection)[3:]
    return {p.key: p for p in ways.panels}, {p.key: p for p in gathered.panels}, looked, selection


@pytest.fixture
def doubting(seen, monkeypatch):
    for view in seen.values():
        monkeypatch.setattr(view.weights, "discriminator", lively(Discriminator(4)).eval().requires_grad_(False))
        monkeypatch.setattr(view, "kept", dict(view.kept))
    return seen


def test_four_ways_stand_side_by_side_with_their_overlaps(doubting):
    ways, _, looked, selection = rows_of(doubting)
    chosen = looked.choice.chosen
    assert list(ways) == ["random", "global", "local", "doubt"]
    for way, panel in ways.items():
        *dots, ring = panel.marks
        assert np.concatenate([d.positions for d in dots[::-1]]).tolist() == chosen.places[way].tolist()
        assert isinstance(ring, Ring) and all(isinstance(d, Dots) for d in dots)
        for other in set(ways) - {way}:
            assert f"{chosen.overlap(way, other)} with {ways[other].title.lower()}" in panel.words
    assert ways["doubt"].under.name == "result-cut" and [d.ranked for d in ways["doubt"].marks[:2]] == [False, True]
    facts = PAGE.facts(looked, selection)
    assert "ways_of_choosing" in facts["cut"] and "ways_of_choosing" not in facts["negcut"]
    assert facts["cut"]["ways_of_choosing"]["overlap"]["global and local"] == chosen.overlap("global", "local")


def test_the_method_is_chosen(seen):
    _, _, looked, _ = rows_of(seen, method="negcut")
    assert looked.choice.method == "negcut"
    _, _, looked, _ = rows_of(seen, method="gone")
    assert looked.choice.method == "cut"


def test_what_cannot_be_chosen_says_why(seen):
    ways, _, looked, _ = rows_of(seen, most=100)
    assert "without its discriminator" in ways["doubt"].absent and "choose layer 12 or 16" in ways["global"].absent
    assert list(looked.choice.chosen.places) == ["random", "local"]


def test_a_click_looks_at_the_nearest_place(seen):
    """Its rows of attention, and the patches that give most to what is gathered there, with their shares."""
    _, _, looked, selection = rows_of(seen)
    grid, view = looked.view.grid(12), seen["cut"]
    row, column = looked.choice.chosen.places["local"][3]
    selection = selection.moved(grid, row, column)
    looked = PAGE.look(seen, selection)
    assert looked.choice.position == (row, column)
    gathered = {p.key: p for p in PAGE.rows(looked, selection)[4].panels}
    for mode in ("global", "local"):
        weights = view.attention(12, (row, column), mode)
        held = f"{min(100 * weights.max(), 99.9):.1f}\u202f%"
        most = np.unravel_index(weights.argmax(), weights.shape)
        assert tuple(gathered[f"gathered-{mode}"].patches[0].position) == most
        assert gathered[f"gathered-{mode}"].patches[0].caption.endswith(held)
        crosses = [m for m in gathered[mode].marks if isinstance(m, Cross)]
        assert bool(crosses) == (most != (row, column))
    assert np.isnan(gathered["local"].map.values).any() and not np.isnan(gathered["global"].map.values).any()
    other = PAGE.look(seen, replace(selection, x=0.0, y=0.0)).choice.position
    assert other != (row, column)
