"""The What if page: what is shown beside what is trained."""

from dataclasses import replace

import numpy as np
import pytest

from qsneg.inspect import what_if
from qsneg.pages import PAGES
from qsneg.pages.selection import Selection
from qsneg.rendering.rows import Cross
from tests.pages.conftest import METHODS

PAGE = PAGES["what-if"]


def looked(seen, **chosen):
    selection = PAGE.fit(Selection(x=20, y=30, **chosen), seen)
    found = PAGE.look(seen, selection)
    return PAGE.rows(found, selection), PAGE.facts(found, selection)


def test_as_trained_nothing_differs(seen):
    rows, facts = looked(seen)
    assert len(rows) == 2
    for found in facts.values():
        assert found["loss_mean_nats"] == found["loss_mean_nats_as_trained"]
        assert found["negatives"] == 20 and found["temperature"] == 0.07 and not found["taken_away"]


def test_what_is_chosen_is_shown(seen):
    rows, facts = looked(seen, tau=50, rivals=9, away=1, seed=2)
    for method in METHODS:
        want = what_if(seen[method], 12, (7, 5), 9, 0.5, 1, 2, "global")
        (panel,) = (p for p in rows[0].panels if p.key == method)
        np.testing.assert_allclose(panel.map.values, np.clip(want.loss / panel.map.limits[1], 0, 1), atol=1e-6)
        assert facts[method]["loss_here_nats"] == pytest.approx(float(want.loss[7, 5]))
        assert facts[method]["negatives"] == 8 and facts[method]["temperature"] == 0.5
        assert "8 negatives, as trained 20" in panel.words


def test_what_was_taken_away_is_crossed(seen):
    rows, facts = looked(seen, away=1, first=4)
    panels = {p.key: p for p in rows[0].panels if p.key in METHODS}
    (cross,) = (mark for mark in panels["cut"].marks if isinstance(mark, Cross))
    want = what_if(seen["cut"], 12, (7, 5), 20, away=1, mode="global", first=4)
    assert cross.positions.tolist() == want.at.tolist() == facts["cut"]["taken_away_at"]
    assert not any(isinstance(mark, Cross) for mark in panels["negcut"].marks)  # generated ones lie nowhere


def test_a_click_takes_away_what_lies_nearest(seen):
    """Where that is chosen: the patch stays, the negative nearest to the click is crossed in every method that has
    places, and the rank takes over again when it is set."""
    selection = PAGE.fit(Selection(x=20, y=30), seen)
    assert PAGE.clicked(selection, 50, 10) == selection.at(50, 10)
    clicked = PAGE.clicked(replace(selection, click=1), 50, 10)
    assert (clicked.x, clicked.y, clicked.away) == (20, 30, 1) and PAGE.reads(clicked) != PAGE.reads(selection)
    rows = PAGE.rows(found := PAGE.look(seen, clicked), clicked)
    panels, facts = {p.key: p for p in rows[0].panels if p.key in METHODS}, PAGE.facts(found, clicked)
    want = what_if(seen["cut"], 12, (7, 5), 20, away=1, mode="global", near=clicked.near(seen["cut"].grid(12)))
    assert facts["cut"]["taken_away_at"] == want.at.tolist() and panels["cut"].aim == (50, 10)
    assert "none is taken away" in panels["negcut"].words and facts["negcut"]["taken_away"] == 0
    controls = {c.name: c for c in PAGE.controls}
    ranked = controls["first"].set(clicked, 3, None)
    assert ranked.near(seen["cut"].grid(12)) is None and ranked.first == 3 and ranked.away == 1
    assert clicked.on((30, 30)).near(seen["cut"].grid(12)) is None  # another picture


def test_pixels_are_only_asked_where_wanted(seen, monkeypatch):
    rows, _ = looked(seen, pixels=1)
    panels = {p.key: p for p in rows[2].panels if p.key in METHODS}
    assert list(panels) == list(METHODS) and panels["cut"].map.values.shape == (41, 62)
    assert panels["cut"].under.name == "result-cut" and " s." in panels["cut"].words
    controls = {c.name: c for c in PAGE.controls}
    selection = PAGE.fit(Selection(), seen)
    assert controls["rivals"].shown(selection, seen["cut"]) == {"value": 20}
    assert controls["tau"].shown(selection, seen["cut"]) == {"value": 7}
    assert controls["tau"].shown(replace(selection, tau=30), seen["cut"]) == {"value": 30}
