"""The film as a page: frames, spans, what is missing."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from qsneg.pages import PAGES
from qsneg.pages.film_frames import recorded_frames
from qsneg.pages.recorded import all_steps, load, spans
from qsneg.pages.selection import Selection
from qsneg.rendering import report, sample_pictures
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
    assert html.count('data-from="0" data-to="1" hidden') == 5 and html.count('data-from="2" data-to="3"') == 5
    # NEGCUT has no frame at 20: what stands there then says of which step it is
    assert '<span data-from="2" data-to="3">Recorded at step 15</span>' in html and "Recorded at step 20" in html
    alone = figures.page(PAGE.rows(PAGE.look({"cut": films["cut"]}, Selection()), Selection()))
    assert "Recorded at" not in alone  # its frames are those of the slider
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
    said = files["summary.json"]["negcut"]
    assert (said["steps"], said["layers"], said["picture"], said["layer"]) == ([0, 15], [12, 16], 2, 12)
    assert files["negcut/arrays.npz"]["anchors"].shape[:3] == (2, 4, 2)


def test_anchors_that_stay_are_the_same_on_the_page_and_in_files(films):
    """Count and share, against chance: the row, the words of each frame, JSON, CSV, arrays, and a slow count."""
    recorded, selection = films["cut"], Selection(picture=3, film_layer=16)
    sets = [set(map(tuple, recorded.anchors[n, 3, 1].tolist())) for n in range(3)]
    stay = [len(a & b) for a, b in zip(sets, sets[1:])]
    assert 0 < stay[0] <= 256 and recorded.by_chance == 256 / 2304
    looked = PAGE.look(films, selection)
    files, rows = PAGE.files(looked, selection), PAGE.rows(looked, selection)
    found = files["summary.json"]["cut"]
    assert found["anchors_that_stay"] == {
        str(step): {"count": n, "share": round(n / 256, 4)} for step, n in zip((10, 20), stay)
    }
    assert found["anchors"] == 256 and found["share_by_chance"] == 0.1111
    table = report.table(files["summary.json"])
    assert f"cut,anchors_that_stay.20.count,{stay[1]}\n" in table and "cut,share_by_chance,0.1111" in table
    assert files["cut/arrays.npz"]["anchors_that_stay"][:, 3, 1].tolist() == stay
    assert set(files) >= {"cut/anchors-that-stay.svg", "negcut/anchors-that-stay.svg"}
    html = figures.page(rows)
    assert html.count("step of the later frame") == 2 and "two random draws, 11\u202f%" in html
    assert f"<b>{stay[1]} of 256 ({stay[1] / 2.56:.0f}\u202f%)</b> stay from step 10 to 20" in html
    assert f"{stay[0]} of 256 were there at step 0 (" in html


def test_a_film_of_one_frame_has_no_row_of_what_stays(films):
    recorded = films["negcut"]
    one = replace(recorded, steps=[0], **{k: getattr(recorded, k)[:1] for k in ("log_entropy", "anchors", "strips")})
    looked = PAGE.look({"negcut": one}, Selection())
    assert [row.title.split(",")[0] for row in PAGE.rows(looked, Selection())] == ["Translation", "Entropy", "Anchors"]
    assert PAGE.facts(looked, Selection())["negcut"]["anchors_that_stay"] == {}


def test_the_film_to_pass_on_has_a_frame_for_every_step(films, monkeypatch):
    captions = []

    def captioned(sheet, caption, share, word):
        captions.append((caption, share))
        return sheet

    monkeypatch.setattr("qsneg.pages.film_frames.captioned", captioned)
    frames = list(recorded_frames(films, "photo2ink", Selection(film_layer=16)))
    assert captions == [(f"photo2ink, step {step}", n / 3) for n, step in enumerate((0, 10, 15, 20))]
    assert len({frame.size for frame in frames}) == 1 and frames[0].width > 3 * 256
    drawn, count = PAGE.film(PAGE.look(films, Selection()), Selection(), "photo2ink")
    assert count == 4 and next(drawn).size == frames[0].size
    assert [films["negcut"].frame(step) for step in (0, 10, 15, 20)] == [0, 0, 1, 1]


def test_a_frame_of_the_film_to_pass_on_says_of_which_step_each_method_is(films, monkeypatch):
    said = []

    def columns(shown, width, line):
        said.append([words for column in shown for _, words in column.pictures if words.startswith("Recorded")])
        return Image.new("RGB", (600, 100))

    monkeypatch.setattr("qsneg.pages.film_frames.sheets.columns", columns)
    list(recorded_frames(films, "photo2ink", Selection(film_layer=16)))
    assert said[-1] == ["Recorded at step 20", "Recorded at step 15"] and said[1][1] == "Recorded at step 0"
    said.clear()
    list(recorded_frames({"cut": films["cut"]}, "photo2ink", Selection(film_layer=16)))
    assert said == [[], [], []]
