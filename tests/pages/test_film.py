"""The film as a page: frames, spans, what is missing."""

from functools import partial

import pytest
import torch

from qsneg.pages import PAGES
from qsneg.pages.film import all_steps, load, spans
from qsneg.pages.selection import Selection
from qsneg.rendering import sample_pictures
from qsneg.training import film
from qsneg.ui import figures
from tests.conftest import tiny

PAGE = PAGES["film"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two films with different steps, and a broken one."""
    folder = tmp_path_factory.mktemp("family")
    for method, steps in (("cut", (0, 10, 20)), ("negcut", (0, 15))):
        pictures = partial(sample_pictures.for_film, "horse2zebra-drawn", film.SIZE)
        made = film.Film(folder / f"{method}.film", pictures, 20, (12, 16))
        generator = tiny(method).generator
        for step in steps:
            made.record(step, generator, torch.device("cpu"))
        film.gather(made.folder)
    (folder / "qs-attn.film").mkdir()
    return load(folder, ["cut", "qs-attn", "negcut"])


def test_films_are_read_and_missing_ones_said(films):
    assert list(films) == ["cut", "negcut"] and all_steps(films) == [0, 10, 15, 20]
    assert spans(films["negcut"], [0, 10, 15, 20]) == [(0, 0, 1), (1, 2, 3)]
    found = PAGE.look({"cut": films["cut"], "qs-attn": "no film.", "negcut": films["negcut"]}, Selection())
    html = figures.page(PAGE.rows(found, Selection()))
    assert "QS-Attn: no film." in html and 'data-steps="0 10 15 20"' in html
    assert html.count('data-from="0" data-to="1" hidden') == 4 and html.count('data-from="2" data-to="3"') == 4
    found = PAGE.look({"cut": "no film."}, Selection())
    assert "CUT: no film." in figures.page(PAGE.rows(found, Selection()))
    assert PAGE.head(found, Selection(), "", 256) == ""


def test_a_film_frame_is_what_was_recorded(films):
    recorded = films["cut"]
    low, high = recorded.log_entropy[1, 2, 1].min(), recorded.log_entropy[1, 2, 1].max()
    assert recorded.log_entropy.shape == (3, 4, 2, 48, 48) and low < high
    row, column = recorded.anchors[1, 2, 1, 0]
    assert recorded.log_entropy[1, 2, 1, row, column] <= low + (high - low) / 100  # the first anchor is the lowest
    selection = Selection(picture=1, film_layer=12)
    files = PAGE.files(PAGE.look(films, selection), selection)
    for step in (0, 10, 20):
        translation = files[f"cut/translation-{step:07d}.png"]
        strip = recorded.strips[recorded.steps.index(step)]
        assert translation.size == (film.SIZE, film.SIZE)
        assert {f"cut/entropy-{step:07d}.png", f"cut/anchors-{step:07d}.png"} <= set(files) and strip
    assert files["summary.json"]["negcut"] == {"steps": [0, 15], "layers": [12, 16], "picture": 2}
    assert files["negcut/arrays.npz"]["anchors"].shape[:3] == (2, 4, 2)
