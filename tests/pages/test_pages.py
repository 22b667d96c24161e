"""The pages: what they find, what they draw, what they say in numbers; the same rows in the browser and in files."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.inspect import inspect, observe, query
from qsneg.networks import Generator
from qsneg.pages import PAGES, speed
from qsneg.pages.forces import PAPERS
from qsneg.pages.page import LAYER, NAT, TAU
from qsneg.pages.selection import Selection
from qsneg.rendering import overlays, report, sheets
from qsneg.sharing.importing import convert
from qsneg.translate import Translator
from qsneg.ui import figures, texts
from tests.conftest import tiny
from tests.pages.conftest import METHODS

OF_ONE = (PAPERS, "Four ways of choosing", "What is gathered")
VIEWS = [name for name, page in PAGES.items() if page.pictures_of == "views"]


def looked(name, seen, **chosen):
    """A page, the selection as it applies, and what the page has found."""
    page = PAGES[name]
    selection = page.fit(Selection(**{"x": 20, "y": 30, "anchors": 30, "seed": 3} | chosen), seen)
    return page, selection, page.look(seen, selection)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("layer", [0, 8, 16])
def test_pages_draw_every_method_with_bars_and_words(seen, name, layer):
    page, selection, found = looked(name, seen, layer=layer, x=61, y=40)
    prepared = [sentence.split(":")[0] for sentence in page.prepare(seen, selection)]
    assert prepared == ["CUT", "QS-Attn", "NEGCUT"] + ["CUT"] * (name == "anchors")
    rows = page.rows(found, selection)
    panels = [panel for row in rows for panel in row.panels]
    for row in rows:
        shown = list(dict.fromkeys(p.key for p in row.panels if p.key in METHODS))
        if row.title.startswith(OF_ONE):  # of one method: its columns are papers, or ways of choosing
            assert shown in ([], ["cut", "negcut"])
        else:
            assert shown == list(METHODS)
        assert row.title and row.note
    maps = [panel for panel in panels if panel.map]
    assert len(maps) >= 3 and all(panel.scale.ticks and panel.label for panel in maps)
    assert sum(bool(panel.words) for panel in panels) >= 3
    html = figures.page(rows)
    assert html.count('class="over"') == len(maps) and html.count('class="bar"') >= len(maps)
    plain = re.sub(r'base64,[^"]*|data-values="[^"]*', "", html)
    assert "nan" not in plain and "inf" not in plain and "webp" not in plain


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_explains_the_terms_that_it_uses(seen, name):
    page, selection, found = looked(name, seen)
    drawn, words = figures.page(page.rows(found, selection)), page.words
    used = {LAYER: any(c.name == "layer" for c in page.controls)}
    used |= {NAT: bool(re.search(r"\bnats\b", drawn)), TAU: "τ" in words.formula + drawn}
    assert words.terms == tuple(term for term, is_used in used.items() if is_used)
    assert all(f"<b>{term}:</b>" in texts.opening(words) for term in words.terms)
    strides = {layer: found.view.grid(layer).stride for layer in found.view.config.layers}
    assert strides == {0: 1, 4: 1, 8: 2, 12: 4, 16: 4}  # as LAYER has it


@pytest.mark.parametrize("name", VIEWS)
def test_html_and_files_draw_the_same_rows(seen, name):
    """A figure in one is a file of the other: neither leaves out a picture, a bar, a plot or a patch."""
    page, selection, found = looked(name, seen)
    rows = page.rows(found, selection)
    files, html = report.pictures(rows), figures.page(rows)
    bars = [path for path in files if path.endswith("-bar.png")]
    patches = [path for path in files if path.count("/") == 2]
    plots = [path for path in files if path.endswith(".svg")]
    lookouts = html.count('class="lookout"')  # the source again, in sight while maps scroll
    assert html.count('class="stack') - lookouts == len(files) - len(bars) - len(patches) - len(plots)
    assert html.count('class="bar"') == len(bars) and html.count('class="plot"') == len(plots)
    legends = sum(len(panel.patches) for row in rows for panel in row.panels if not panel.key)
    assert html.count('class="patch"') == len(patches) + legends


@pytest.mark.parametrize("name", VIEWS)
def test_a_click_never_runs_a_network(seen, name, monkeypatch):
    """Once a page is prepared, neither the generator nor the heads over all positions are run by another query."""
    page, selection, _ = looked(name, seen)
    for _ in page.prepare(seen, selection):
        pass
    for view in seen.values():
        monkeypatch.setattr(view.weights.generator, "forward", lambda *a: pytest.fail("the generator ran"))
        monkeypatch.setattr(view.weights.generator, "encode", lambda *a: pytest.fail("the encoder ran"))
        heads = view.weights.heads

        def few(tokens, i, heads=heads, forward=heads.forward):
            assert tokens.shape[1] <= 64 or name in ("anchors", "loss", "what-if")
            return forward(tokens, i)

        monkeypatch.setattr(heads, "forward", few)
    selection = selection.at(3, 30)
    page.rows(page.look(seen, selection), selection)


def test_what_a_click_costs_is_measured(seen):
    times = speed.seconds(seen, rounds=1)
    assert set(times) == set(PAGES) and all(0 < t < 60 for pair in times.values() for t in pair)


@pytest.mark.parametrize("name", VIEWS)
def test_everything_on_a_page_fits_in_a_zip(seen, name):
    page, selection, found = looked(name, seen)
    data = report.zipped(page.files(found, selection))
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    names = archive.namelist()
    for method in METHODS:
        pictures = [n for n in names if n.startswith(f"{method}/") and n.endswith(".png")]
        assert pictures and all(Image.open(io.BytesIO(archive.read(n))).width > 16 for n in pictures)
        assert np.load(io.BytesIO(archive.read(f"{method}/arrays.npz"))).files
    assert set(json.loads(archive.read("summary.json"))) == set(METHODS)
    lines = archive.read("numbers.csv").decode().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == set(METHODS) and len(lines) > 3 * len(METHODS)
    assert report.zipped(page.files(found, selection)) == data


def facts(name, seen):
    page, selection, found = looked(name, seen)
    return page.facts(found, selection)


def test_the_numbers_are_those_of_the_inspection(seen):
    anchors = facts("anchors", seen)["cut"]
    assert anchors["anchor_positions"] == inspect(seen["cut"], 12, "global", 30, 3).anchors.tolist()
    attention = facts("attention", seen)["cut"]
    assert attention["position"] == [7, 5] and attention["attention_sum"] == pytest.approx(1, abs=1e-4)
    near = attention["nearest"]["source"]
    similar = seen["cut"].similarity(12, (7, 5))
    assert len(near) == 6 and all(n["cosine"] == pytest.approx(similar[tuple(n["position"])]) for n in near)
    negatives = facts("negatives", seen)
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


def test_a_window_leaves_holes_in_both(seen):
    """What lies outside a local window is not coloured, on the page nor in the file."""
    page, selection, found = looked("attention", seen, mode="local")
    panel = next(p for p in page.rows(found, selection)[0].panels if p.key == "cut")
    assert np.isnan(panel.map.values).any()
    assert figures.map_png(panel.map.values).getpixel((15, 0))[3] == 0
    red, green, blue = overlays.draw(panel).getpixel((500, 8))
    assert red == green == blue  # the greyed source


def test_a_sheet_has_a_column_per_method(seen):
    page, selection, found = looked("loss", seen)
    sheet = sheets.of_files(page.files(found, selection), "a line")
    assert sheet.width > 4 * sheets.WIDTH and sheet.height > 2 * sheets.WIDTH * 41 // 62


# --- models that lack something, or have other layers ---


@pytest.mark.parametrize("layer, words", [
    (0, ""), (4, "pixels per position"), (8, "pixels per position"), (12, ""), (16, "no layer 16"),
])  # fmt: skip
def test_other_grids_and_layers_are_not_compared(tmp_path, layer, words):
    torch.manual_seed(0)
    torch.save(Generator(4, 6, "strided").state_dict(), path := tmp_path / "zebra.pth")  # 16 is none of its layers
    image, made = Image.linear_gradient("L").resize((44, 32)), {"cut": tiny("cut"), "own": convert("cyclegan", path)}
    seen = {method: observe(Translator(model, "cpu"), image) for method, model in made.items()}
    for name in ("anchors", "attention"):
        page, selection, found = looked(name, seen, layer=layer)
        assert list(found.seen) == (["cut"] if words else ["cut", "own"]) and words in found.absent.get("own", "")
        html = figures.page(page.rows(found, selection))
        assert html.count('class="fig own"') == 3 and (words in html)
    if layer != 16:
        page, selection, found = looked("attention", {"own": seen["own"]}, layer=layer)
        html = figures.page(page.rows(found, selection))
        assert html.count("came without projection heads") == 2 and "attention of the query" in html
    with pytest.raises(ValueError, match="came without projection heads"):
        looked("loss", {"own": seen["own"]}, layer=12)
