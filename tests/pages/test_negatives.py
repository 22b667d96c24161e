"""The Negatives page: who is pushed away from a patch, and how hard."""

from dataclasses import replace

import numpy as np
import pytest

from qsneg.inspect import forces
from qsneg.pages import PAGES
from qsneg.pages.forces import PAPERS, hardest
from qsneg.pages.selection import Selection
from qsneg.rendering.rows import Bubbles, Dots, Givers, Ring, Triangles
from tests.pages.conftest import METHODS

PAGE = PAGES["negatives"]
SELECTION = Selection(x=20, y=30, seed=3)
OWN = {"cut": "cut", "qs-attn": "cut", "negcut": "negcut"}


@pytest.fixture(scope="module")
def found(seen):
    selection = PAGE.fit(SELECTION, seen)
    return selection, PAGE.look(seen, selection)


def panels(row) -> dict:
    return {p.key: p for p in row.panels if p.key}


def test_marks_of_the_negatives(found):
    """In-image negatives are dots, generated ones triangles, wherever they are drawn; the query is on top."""
    selection, looked = found
    own, papers, places = (panels(row) for row in PAGE.rows(looked, selection)[:3])
    for method in METHODS:
        assert isinstance(own[method].marks[0], Bubbles)
        assert own[method].marks[0].open == (method == "negcut") == isinstance(places[method].marks[0], Triangles)
        assert isinstance(own[method].marks[-1], Ring) and isinstance(places[method].marks[-1], Ring)
    assert isinstance(places["cut"].marks[0], Dots) and places["cut"].marks[0].hollow
    assert isinstance(places["qs-attn"].marks[0], Givers)
    assert own["cut"].bar.limits == papers["monce"].bar.limits  # one scale


def test_every_map_has_the_places_that_the_loss_compares(seen, found):
    """The model's own number of patches, the chosen one among them; as many generated ones."""
    selection, looked = found
    for method, panel in panels(PAGE.rows(looked, selection)[0]).items():
        if method == "source":
            continue
        want = forces(seen[method], 12, looked.found[method].query.position, OWN[method], seed=3, mode="global")
        np.testing.assert_array_equal(panel.marks[0].positions, want.at)
        np.testing.assert_allclose(panel.marks[0].values, want.force)
        assert len(want.at) == seen[method].config.patches - (method != "negcut")


def test_negatives_of_one_place_are_one_tile_and_their_shares_one():
    at = np.array([[1, 1], [2, 2], [1, 1], [3, 3], [2, 2]])
    groups = hardest(at, np.array([0.1, 0.2, 0.4, 0.05, 0.25]))
    assert [list(map(int, group)) for group in groups] == [[2, 0], [4, 1], [3]]


def test_the_tiles_of_a_method_hold_what_its_hardest_take(found):
    """All of one place is on one tile: together they hold at least what the text says of the ten hardest."""
    selection, looked = found
    for method in METHODS:
        tiles = [p for p in PAGE.rows(looked, selection)[3].panels if p.key == method]
        shares = [float(patch.caption.split("\u202f")[0]) for panel in tiles for patch in panel.patches]
        assert round(sum(shares)) <= 100 and sorted(shares[:2], reverse=True) == shares[:2]
        if method != "negcut":  # whose are shares of both kinds together
            assert sum(shares) > 100 * looked.found[method].forces.hardest - 1


def test_gathered_values_are_said_to_be(found):
    selection, looked = found
    own = panels(PAGE.rows(looked, selection)[0])
    assert "gathered values, as the loss compares" in own["qs-attn"].words and "gathered" not in own["cut"].words


def test_other_papers_weigh_the_chosen_features(seen, found):
    selection, looked = found
    row = PAGE.rows(looked, selection)[1]
    assert row.title == PAPERS and row.note.startswith("CUT's features")
    columns = panels(row)
    assert list(columns) == ["cut", "hdce", "monce", "negcut"] and "generates negatives" in columns["negcut"].absent
    want = forces(seen["cut"], 12, (7, 5), "monce", seed=3)
    np.testing.assert_allclose(columns["monce"].marks[0].values, want.force, rtol=1e-4)
    assert f"take {100 * want.hardest:.0f}" in columns["monce"].words
    columns = panels(PAGE.rows(looked, replace(selection, method="negcut"))[1])
    assert not columns["negcut"].absent and columns["negcut"].title == "NEGCUT, its own"


def test_gamma_spreads_hdce_alone(seen):
    facts = []
    for gamma in (10, 50):
        selection = PAGE.fit(replace(SELECTION, gamma=gamma), seen)
        facts.append(PAGE.facts(PAGE.look(seen, selection), selection)["cut"]["forces"])
    spans = [f["hdce"]["weights_from_to"] for f in facts]
    assert spans[0][0] < spans[1][0] < 1 < spans[1][1] < spans[0][1] and spans[0][1] / spans[0][0] < 1.23
    assert facts[0]["monce"] == facts[1]["monce"] and facts[0]["cut"]["weights_from_to"] == [1, 1]


def test_generated_negatives_stand_beside_those_in_the_picture(seen, found):
    """Their shares of the force are as if both were in one loss; of the others, their own."""
    selection, looked = found
    groups = looked.found["negcut"].groups()
    both = {name: np.exp(f.cosine.astype(float) / 0.07) for name, (f, _) in groups.items()}
    total = sum(map(np.sum, both.values()))
    for name, (_, share) in groups.items():
        np.testing.assert_allclose(share, both[name] / total, rtol=1e-3)
    row = PAGE.rows(looked, selection)[3]
    names = [p.name for p in row.panels if p.key == "negcut"]
    assert names == ["patches-generated", "patches-in-image"] and list(looked.found["cut"].groups()) == ["in-image"]
    (thumbs,) = (p.patches for p in row.panels if p.key == "cut")
    shares = [float(p.caption.split("\u202f")[0]) for p in thumbs]
    assert shares == sorted(shares, reverse=True) and 1 <= len(thumbs) <= 10
