"""The pages beside Compare, without a browser: views and their bounds, scales, choices, drawings, downloads."""

import io
import json
import re
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.inspect import Grid, inspect, observe, query
from qsneg.rendering import sample_pictures
from qsneg.training import film
from qsneg.translate import Translator
from qsneg.ui import bundle, figures, inner_pages, page_film, plots
from qsneg.ui.compare import Models, Refused, Source
from qsneg.ui.feature_cache import Subject, Views, inspected_size
from qsneg.ui.inner_pages import PAGES
from qsneg.ui.limits import GLOBAL, INSPECTED
from qsneg.ui.page_film import FilmChoice
from qsneg.ui.selection import Choice
from qsneg.weights import save
from tests.conftest import tiny

METHODS = ("cut", "qs-attn", "negcut")


@pytest.fixture(scope="module")
def seen():
    """Views of a 62×41 picture of noise, which is padded to 64×44."""
    noise = np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8)
    return {m: observe(Translator(tiny(m, n), "cpu"), Image.fromarray(noise)) for n, m in enumerate(METHODS)}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for method in METHODS:
        save(tiny(method), folder / "day2sunset" / f"{method}.safetensors")
    return Models(folder, "cpu")


@pytest.fixture
def subject(tmp_path):
    picture = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((90, 64)).convert("RGB").save(picture)
    return Subject(str(picture), Source.read(picture).digest, "day2sunset", METHODS, 64)


# --- feature_cache.py ---


def test_views_are_made_once_and_say_so(models, subject):
    views = Views(models)
    *steps, first = views.steps(subject)
    assert steps == [f"{t}: reading features, {n} of 3" for n, t in enumerate(("CUT", "QS-Attn", "NEGCUT"), 1)]
    (again,) = views.steps(subject)  # no sentence: nothing is computed
    assert all(again[m] is first[m] for m in METHODS) and first["cut"].source.size == (90, 64)


def test_views_keep_within_their_limit_oldest_out_first(models, subject):
    views = Views(models)
    first = views.get(subject, "cut")
    bare = first.nbytes()
    first.entropy(12)
    assert first.nbytes() > bare
    views.limit = 2 * bare
    second = views.get(subject, "negcut")
    assert not first.kept and list(views.kept.values()) == [first, second]  # first goes what it has computed since
    views.limit = bare + 1
    views.find(subject, "cut")  # used again: the other one is now the older
    views.trim()
    assert list(views.kept.values()) == [first]
    views.limit = 1
    views.trim()
    assert list(views.kept.values()) == [first]  # the one in use stays


def test_a_picture_that_has_vanished_is_refused(models, subject):
    with pytest.raises(Refused) as refusal:
        Views(models).get(replace(subject, path=subject.path + ".gone", digest="x"), "cut")
    assert refusal.value.control == "picture"


@pytest.mark.parametrize(
    "picture, size", [((1024, 1024), 768), ((4000, 1000), 256), ((300, 200), 256), ((512, 512), 256)]
)
def test_large_pictures_are_inspected_at_a_reduced_size(picture, size):
    short = inspected_size(picture, size)
    width, height = (round(side * short / min(picture)) for side in picture)
    assert short <= size and width * height <= INSPECTED * 1.02
    assert short == size or (short % 4 == 0 and (short + 8) ** 2 * max(picture) / min(picture) > INSPECTED)


# --- selection.py ---


@pytest.mark.parametrize("size", [(62, 41), (256, 256)])
def test_the_query_is_the_same_patch_on_every_layer(size):
    choice = Choice().on(size).at(17, 9)
    for layer, stride, margin in ((0, 1, 3), (4, 1, 0), (8, 2, 0), (12, 4, 0), (16, 4, 0)):
        shape = tuple(-(-(side + 2 * margin) // stride) for side in size[::-1])
        grid = Grid(layer, shape, size, stride, margin)
        row, column = choice.position(grid)
        left, top, right, bottom = grid.box(row, column)
        assert left <= 17 < right and top <= 9 < bottom
        assert choice.moved(grid, row, column).position(grid) == (row, column)
        for far in ((-5, -5), (1000, 1000)):  # beyond the picture: its edge, and not the padding
            moved = choice.moved(grid, *far)
            assert 0 <= moved.x < size[0] and 0 <= moved.y < size[1]
            rows, columns = grid.visible()
            edge = (rows.start, columns.start) if far[0] < 0 else (rows.stop - 1, columns.stop - 1)
            assert moved.position(grid) == edge


def test_another_size_keeps_the_relative_place():
    assert Choice().on((64, 48)).x == 32
    choice = Choice().on((64, 48)).at(16, 36).on((128, 96))
    assert (round(choice.x), round(choice.y)) == (32, 72)


def test_many_positions_are_read_in_local_mode(seen):
    class Large:
        def grid(self, layer):
            return Grid(layer, (200, 200), (200, 200), 1, 0)

    assert 200 * 200 > GLOBAL
    assert Choice(layer=4).the_mode(Large()) == "local" and Choice(layer=4).the_mode(seen["cut"]) == "global"
    head = inner_pages.head({"cut": type("V", (), {"source": Image.new("RGB", (200, 200)), "grid": Large.grid})()},
                      Choice(layer=4), "day2sunset", 512, "anchors")  # fmt: skip
    assert "local mode is shown" in head and "512 is reduced" in head


@pytest.mark.parametrize("wrong, words", [({"layer": 13}, "no layer 13"), ({"mode": "near"}, "Unknown attention mode"),
                                          ({"anchors": 0}, "number of anchors"), ({"seed": -1}, "seed")])  # fmt: skip
def test_choices_out_of_range(seen, wrong, words):
    with pytest.raises(ValueError, match=words):
        PAGES["anchors"].html(seen, replace(Choice().on((62, 41)), **wrong))


# --- figures.py, plots.py ---


def test_a_heat_map_is_one_pixel_per_cell_without_loss():
    values = np.linspace(0, 1, 11 * 16).reshape(11, 16)
    image = figures.map_png(values)
    assert image.size == (16, 11) and len(set(image.convert("RGB").get_flattened_data())) > 100
    part = figures.heat(values, Grid(12, (11, 16), (62, 41), 4, 0))
    assert (
        'src="data:image/png;base64,' in part and "width:103.2258%" in part
    )  # 64 of 62 pixels: the last cell hangs over
    part = figures.heat(np.zeros((50, 70)), Grid(0, (50, 70), (62, 41), 1, 3))  # the margin is cut off
    assert "left:0.0000%" in part and "width:100.0000%" in part


def test_holes_are_transparent():
    assert figures.map_png(np.array([[np.nan, 0.5]])).getpixel((0, 0))[3] == 0


def test_marks_lie_in_the_middle_of_their_cells():
    grid = Grid(12, (11, 16), (62, 41), 4, 0)
    assert "translate(24.5 12.5)" in figures.ring(grid, (3, 6))
    assert "M24.5 12.5h0" in figures.dots(grid, np.array([[3, 6]]))
    assert figures.boxes(grid, np.array([[3, 6], [0, 0]])).count("<text") == 2


def test_the_histogram_counts_everything_once():
    values = np.array([-100.0, 0.1, 0.2, 0.9, 50.0])
    assert plots.shares(values, (0, 1), 10).sum() == pytest.approx(1)
    assert plots.shares(values, (0, 1), 10)[0] == pytest.approx(0.2)
    assert 'width="520"' in plots.standalone(plots.histogram(values, 0.2, (0, 1), ["0", "½", "1"], "#000000", "u", 0.4))


# --- the pages ---


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("layer", [0, 8, 16])
def test_pages_draw_every_method_with_bars_and_words(seen, name, layer):
    choice = Choice(layer=layer, anchors=30).on((62, 41)).at(61, 40)
    for view in seen.values():
        PAGES[name].prepare(view, choice)
    html = PAGES[name].html(seen, choice)
    for method in METHODS:
        assert f'class="fig {method}"' in html
    maps = html.count('class="over"')
    assert maps >= 3 and html.count('class="bar"') >= maps and html.count('class="words"') >= 3
    plain = re.sub(r'base64,[^"]*', "", html)
    assert "nan" not in plain and "inf" not in plain and "webp" not in plain


@pytest.mark.parametrize("name", PAGES)
def test_a_click_never_runs_a_network(seen, name, monkeypatch):
    """Once a page is prepared, neither the generator nor the heads over all positions are run by another query."""
    choice = Choice(anchors=30).on((62, 41))
    PAGES[name].html(seen, choice)
    for view in seen.values():
        monkeypatch.setattr(view.weights.generator, "forward", lambda *a: pytest.fail("the generator ran"))
        monkeypatch.setattr(view.weights.generator, "encode", lambda *a: pytest.fail("the encoder ran"))
        heads = view.weights.heads

        def few(tokens, i, heads=heads, forward=heads.forward):
            assert tokens.shape[1] <= 64 or name in ("anchors", "loss")
            return forward(tokens, i)

        monkeypatch.setattr(heads, "forward", few)
    PAGES[name].html(seen, choice.at(3, 30))


def test_what_a_click_costs_is_measured(seen):
    times = inner_pages.click_seconds(seen, rounds=2)
    assert set(times) == {"attention", "negatives"} and all(0 < t < 5 for t in times.values())


@pytest.mark.parametrize("name", PAGES)
def test_everything_on_a_page_fits_in_a_zip(seen, name):
    choice = Choice(layer=12, anchors=30, seed=3).on((62, 41)).at(20, 30)
    data = bundle.zipped(PAGES[name].files(seen, choice))
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    names = archive.namelist()
    for method in METHODS:
        pictures = [n for n in names if n.startswith(f"{method}/") and n.endswith(".png")]
        assert pictures and all(Image.open(io.BytesIO(archive.read(n))).width > 16 for n in pictures)
        assert np.load(io.BytesIO(archive.read(f"{method}/arrays.npz"))).files
    assert set(json.loads(archive.read("summary.json"))) == set(METHODS)
    assert bundle.zipped(PAGES[name].files(seen, choice)) == data


def test_the_numbers_are_those_of_the_inspection(seen):
    choice = Choice(layer=12, anchors=30, seed=3).on((62, 41)).at(20, 30)
    anchors = PAGES["anchors"].files(seen, choice)["summary.json"]["cut"]
    assert anchors["anchor_positions"] == inspect(seen["cut"], 12, "global", 30, 3).anchors.tolist()
    attention = PAGES["attention"].files(seen, choice)["summary.json"]["cut"]
    assert attention["position"] == [7, 5] and attention["attention_sum"] == pytest.approx(1, abs=1e-4)
    near = attention["nearest"]["source"]
    similar = seen["cut"].similarity(12, (7, 5))
    assert len(near) == 6 and all(n["cosine"] == pytest.approx(similar[tuple(n["position"])]) for n in near)
    negatives = PAGES["negatives"].files(seen, choice)["summary.json"]
    assert [negatives[m]["negatives"] for m in METHODS] == ["in-image", "in-image", "generated"]
    assert "nearest_patch" in negatives["negcut"]["hardest"][0] and "position" in negatives["cut"]["hardest"][0]
    hard = [h["cosine"] for h in negatives["negcut"]["hardest"]]
    assert hard == sorted(hard, reverse=True)


def test_the_negatives_of_qs_attn_are_its_anchors(seen):
    got = query(seen["qs-attn"], 12, (2, 2), num=30)
    chosen = {tuple(p) for p in inspect(seen["qs-attn"], 12, num_anchors=30).anchors} - {(2, 2)}
    assert {tuple(p) for p in got.in_image_at} == chosen


def test_the_attention_row_keeps_its_digits(seen):
    view = seen["cut"]
    log = view.log_attention(16, (3, 3))
    assert np.logaddexp.reduce(log, axis=None) == pytest.approx(0, abs=1e-4) and np.isfinite(log).all()
    np.testing.assert_allclose(np.exp(log), view.attention(16, (3, 3)), atol=1e-6)
    local = view.log_attention(16, (0, 0), "local", 3)
    assert np.isfinite(local).sum() == 4


def test_a_sheet_has_a_column_per_method(seen):
    files = PAGES["loss"].files(seen, Choice().on((62, 41)))
    sheet = bundle.sheet(files, "a line")
    assert sheet.width > 4 * bundle.WIDTH and sheet.height > 2 * bundle.WIDTH * 41 // 62


# --- the film ---


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two films with different steps."""
    folder = tmp_path_factory.mktemp("family")
    for method, steps in (("cut", (0, 10, 20)), ("negcut", (0, 15))):
        pictures = partial(sample_pictures.for_film, "horse2zebra-drawn", film.SIZE)
        made = film.Film(folder / f"{method}.film", pictures, 20, (12, 16))
        generator = tiny(method).generator
        for step in steps:
            made.record(step, generator, torch.device("cpu"))
        film.gather(made.folder)
    (folder / "qs-attn.film").mkdir()
    return page_film.load(folder, ["cut", "qs-attn", "negcut"])


def test_films_are_read_and_missing_ones_said(films):
    assert list(films) == ["cut", "negcut"] and page_film.all_steps(films) == [0, 10, 15, 20]
    assert page_film.spans(films["negcut"], [0, 10, 15, 20]) == [(0, 0, 1), (1, 2, 3)]
    html = page_film.html(films, FilmChoice(), ["cut", "qs-attn", "negcut"], "day2sunset")
    assert "QS-Attn: no film beside its weights" in html and 'data-steps="0 10 15 20"' in html
    assert html.count('data-from="0" data-to="1" hidden') == 5 and html.count('data-from="2" data-to="3"') == 5
    assert "no film" in page_film.html({}, FilmChoice(), ["cut"], "day2sunset")


def test_a_film_frame_is_what_was_recorded(films):
    recorded = films["cut"]
    low, high = recorded.log_entropy[1, 2, 1].min(), recorded.log_entropy[1, 2, 1].max()
    assert recorded.log_entropy.shape == (3, 4, 2, 48, 48) and low < high
    row, column = recorded.anchors[1, 2, 1, 0]
    assert recorded.log_entropy[1, 2, 1, row, column] <= low + (high - low) / 100  # the first anchor is the lowest
    assert page_film.crop(recorded.strips[0], 3).size == (film.SIZE, film.SIZE)
    files = page_film.files(films, FilmChoice(picture=1, layer=12))
    assert files["cut/translation-0000020.png"].size == (film.SIZE, film.SIZE) and files["summary.json"]["negcut"][
        "steps"
    ] == [0, 15]


def test_the_example_scene_is_drawn_at_the_inspected_size(models, tmp_path):
    example = next(e for e in sample_pictures.examples() if e.index is not None)
    example.picture(128).save(path := tmp_path / "scene.png", pnginfo=_text(example.picture(128)))
    source = Source.read(path)
    assert source.seed is not None
    view = Views(models).get(Subject(str(path), source.digest, "day2sunset", ("cut",), 64), "cut")
    assert view.source.tobytes() == sample_pictures.scene(source.seed, 64, "A").tobytes()


def _text(image):
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text(sample_pictures.KEY, image.info[sample_pictures.KEY])
    return text
