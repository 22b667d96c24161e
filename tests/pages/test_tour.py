"""The tour: what its steps find and say, with all methods and with one."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from qsneg.config import METHODS as TABLE
from qsneg.inspect import choose, forces, inspect
from qsneg.pages import PAGES
from qsneg.pages.recorded import Recorded
from qsneg.pages.selection import Selection
from qsneg.pages.tour import TOUR
from qsneg.pages.tour.places import Seen, journey, nth
from qsneg.rendering.rows import Cross, Dots, Ring, Values

WHERE = Selection(x=20, y=30, seed=3)


def row_of(number, seen, **chosen):
    step = TOUR[number - 1]
    selection = step.fit(Selection(**{"x": 20, "y": 30, "seed": 3} | chosen), seen)
    looked = step.look(seen, selection)
    (row,) = step.rows(looked, selection)
    return row, looked, selection


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("methods", [("cut", "qs-attn", "negcut"), ("cut",), ("qs-attn",), ("negcut",)])
@pytest.mark.parametrize("layer", [0, 12])
def test_every_step_is_one_figure_with_words_and_a_way_on(seen, number, methods, layer):
    mode = "local" if layer == 0 else "global"
    row, looked, _ = row_of(number, {m: seen[m] for m in methods}, layer=layer, mode=mode)
    step = TOUR[number - 1]
    assert row.title == step.title and step.hint and step.leads in PAGES
    pictures = [panel for panel in row.panels if panel.under]
    assert pictures and all(panel.aim == (20, 30) and panel.label for panel in pictures)  # a click chooses a patch
    assert all(any(isinstance(mark, Ring) for mark in panel.marks) for panel in pictures)
    assert "nan" not in "".join(panel.words for panel in row.panels)
    missing = step.prefers and not set(step.prefers) & set(methods)
    assert ("is not among the methods here" in row.note) == bool(missing and step.lacks)


def test_the_place_in_the_translation_is_ranked(seen):
    row, looked, selection = row_of(1, seen)
    assert [panel.key for panel in row.panels] == ["source", "cut", "qs-attn", "negcut"]
    similar = seen["cut"].similarity(12, selection.position(seen["cut"].grid(12)), of="result")
    rank = int((similar >= similar[7, 5]).sum())
    assert f"{nth(rank)} most similar" in row.panels[1].words and f"{similar[7, 5]:.2f}" in row.panels[1].words
    assert [nth(n) for n in (1, 2, 3, 11, 23, 112, 1001)] == [
        "the", "the 2nd", "the 3rd", "the 11th", "the 23rd", "the 112th", "the 1,001st",
    ]  # fmt: skip


def test_random_places_are_coloured_by_their_loss(seen):
    row, looked, selection = row_of(2, seen)
    found = inspect(seen["cut"], 12, "global", selection.patches, 3, num_negatives=selection.patches)
    losses = found.loss[tuple(found.random.T)]
    mark = row.panels[0].marks[0]
    assert isinstance(mark, Values) and mark.positions.tolist() == found.random.tolist()
    np.testing.assert_allclose(mark.values, np.clip(losses / row.panels[0].bar.limits[1], 0, 1), atol=1e-6)
    assert f"<b>{(losses < 0.1).sum()} are told apart already</b>" in row.panels[1].words
    other, *_ = row_of(2, seen, seed=4)
    assert other.panels[0].marks[0].positions.tolist() != found.random.tolist()


def test_anchors_and_their_overlap_with_other_ways(seen):
    row, looked, selection = row_of(3, seen)
    assert list(looked.seen) == ["qs-attn"]
    entropy, anchors = row.panels
    assert isinstance(anchors.marks[0], Dots) and anchors.marks[0].ranked
    found = inspect(seen["qs-attn"], 12, "global", selection.patches)
    assert anchors.marks[0].positions.tolist() == found.anchors.tolist()
    chosen = choose(seen["qs-attn"], 12, selection.patches, 3)
    assert f"{chosen.overlap('global', 'local')} by local entropy" in anchors.words
    rank = int(found.rank[7, 5]) + 1
    assert f"rank {rank:,} of" in entropy.words and ("is an anchor" in entropy.words) == (rank <= len(found.anchors))
    local, *_ = row_of(3, seen, mode="local")
    assert "by global entropy" not in local.panels[1].words or "by local" not in local.panels[1].words
    assert local.panels[1].marks[0].positions.tolist() != anchors.marks[0].positions.tolist()
    assert "No film lies beside QS-Attn's weights" in anchors.words


def test_the_film_says_how_anchors_moved(seen):
    """Of the last anchors a quarter is there at first, and half of them at the second frame."""
    last = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    frames = [np.array([(0, 0), (2, 2), (2, 3), (3, 3)]), np.array([(0, 0), (0, 1), (2, 3), (3, 3)]), last]
    film = Recorded([0, 40, 100], [12], np.zeros((3, 1, 1, 4, 4)), np.stack(frames)[:, None, None], [], b"")
    words = journey(film, "qs-attn", WHERE)
    assert "25\u202f% were anchors at the start" in words and "half of them by step 40" in words
    with_film = Seen(seen)
    with_film.films = {"qs-attn": film}
    row, *_ = row_of(3, with_film)
    assert words in row.panels[1].words


def test_steps_bring_the_films_of_a_family(tmp_path, seen):
    models = SimpleNamespace(folder=tmp_path)
    views = SimpleNamespace(steps=lambda subject: iter(["reading", dict(seen)]), models=models)
    *said, found = TOUR[2].steps(views, SimpleNamespace(family="none", methods=("cut",)))
    assert said == ["reading"] and found == seen and found.films == {}


def test_what_is_gathered_is_the_row(seen):
    row, looked, selection = row_of(4, seen, layer=16)
    attention, gathered = row.panels
    assert attention.map is not None and gathered.patches
    found = inspect(seen["qs-attn"], 16, "global", selection.patches)
    assert f"{found.asked_loss.mean():.2f} nats for gathered values" in gathered.words
    without, *_ = row_of(4, {"cut": seen["cut"]}, layer=16)
    assert "gathered values" not in without.panels[1].words


def test_who_is_pushed_hardest_under_four_papers(seen):
    row, looked, selection = row_of(5, seen)
    assert [panel.key for panel in row.panels] == ["cut", "hdce", "monce", "negcut"]
    for panel in row.panels:
        found = forces(seen["negcut"], 12, (7, 5), panel.key, selection.patches, 3)
        first = found.at[found.force.argmax()]
        cross = next(mark for mark in panel.marks if isinstance(mark, Cross))
        most = found.force.max()
        assert f"{100 * most:.1f}" in panel.words and most <= np.exp(panel.bar.limits[1]) * 1.01  # as the bar has it
        assert tuple(cross.positions) == tuple(first) and f"row {first[0]}, column {first[1]}" in panel.words
    even, *_ = row_of(5, seen, gamma=50)
    forced = [[panel.marks[0].values for panel in r.panels] for r in (row, even)]
    assert (forced[0][1] != forced[1][1]).any() and (forced[0][0] == forced[1][0]).all()  # hDCE's alone
    alone, *_ = row_of(5, {"cut": seen["cut"]})
    assert "tick NEGCUT" in alone.panels[-1].absent and TABLE["negcut"].title in row.note


def test_the_worst_place_is_crossed_and_shown(seen):
    row, looked, _ = row_of(6, seen)
    for panel in row.panels:
        loss = looked.found[panel.key].loss
        worst = np.unravel_index(loss.argmax(), loss.shape)
        assert re.search(rf"Worst at row {worst[0]}, column {worst[1]}</b>: {loss.max():.1f} nats", panel.words)
        assert [tuple(patch.position) for patch in panel.patches] == [worst, worst]
        assert [patch.caption for patch in panel.patches] == ["source", "translation"]


def test_a_model_without_heads_is_refused_with_the_reason(seen, monkeypatch):
    monkeypatch.setattr(type(seen["cut"].weights), "why_not", lambda self, *a: "It came without heads.")
    with pytest.raises(ValueError, match="without heads"):
        row_of(1, {"cut": seen["cut"]})
