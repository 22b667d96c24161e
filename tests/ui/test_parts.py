"""The app's parts without a browser: uploads read once, views and their bounds, what a page does when it is asked."""

import base64
import re
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, PngImagePlugin

from qsneg.inspect import Grid
from qsneg.pages import PAGES
from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import Scaled, ranked
from qsneg.ui import figures, limits
from qsneg.ui.app import App
from qsneg.ui.bounded import Bounded
from qsneg.ui.feature_cache import Views, inspected_size
from qsneg.ui.line import Wish
from qsneg.ui.models import Models
from qsneg.ui.selection import Latest, Subject, chosen
from qsneg.ui.uploads import Refused, Sources
from qsneg.weights import save
from tests.conftest import tiny
from tests.pages.conftest import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for method in METHODS:
        save(tiny(method), folder / "day2sunset" / f"{method}.safetensors")
    return folder


@pytest.fixture(scope="module")
def models(folder):
    return Models(folder, "cpu")


@pytest.fixture(scope="module")
def app(models, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("files")))
        made = App(models)
        made.build()
        yield made


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((90, 64)).convert("RGB").save(path)
    return str(path)


@pytest.fixture
def subject(models, picture):
    return Subject(picture, models.sources.read(picture).digest, "day2sunset", METHODS, 64)


@pytest.fixture
def decodes(monkeypatch, picture):
    """How often the picture's pixels have been read from its file."""
    found, load = [], ImageFile.ImageFile.load

    def counted(image):
        if image.filename == picture and image.tile:
            found.append(image.filename)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    return found


def wished(done: bool = False) -> Wish:
    """What a visitor has asked for, and whether it is there."""
    wish = Wish()
    wish.make()
    if done:
        wish.fulfil(wish.take())
    return wish


def after(updates) -> dict:
    """What a handler has set at last, by component."""
    out = {}
    for update in updates:
        out |= {} if update == gr.skip() else update
    return out


# --- one read of an upload ---


def test_an_upload_is_decoded_once(app, picture, decodes):
    """Checked, translated by three methods, looked into on every page, downloaded: read once."""
    app.models.sources.kept.clear()
    app.controls.check(picture)
    assert len(decodes) == 1
    done = after(app.compare.run(wished(), picture, "day2sunset", list(METHODS), 64, None))
    subject = done[app.visit.subject]
    assert subject.methods == METHODS
    for page in app.pages:
        filled = after(page.opened(subject, chosen(), None, None))
        assert filled[page.shown][0] == subject
        page.download(subject, filled[page.shown])
    assert len(decodes) == 1


def test_another_picture_under_the_same_name_is_read(picture):
    sources = Sources()
    first = sources.read(picture)
    assert sources.read(picture) is first
    Image.new("RGB", (100, 64), "red").save(picture)
    assert sources.read(picture).digest != first.digest


def test_a_picture_that_has_vanished_is_refused(models, subject):
    with pytest.raises(Refused) as refusal:
        Views(models).get(replace(subject, path=subject.path + ".gone", digest="x"), "cut")
    assert refusal.value.control == "picture"


def test_a_damaged_file_is_not_taken_for_a_large_one(tmp_path, monkeypatch):
    """Whatever its name says: what is wrong is told by the kind of error."""
    (tmp_path / "smaller.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"damaged")
    with pytest.raises(Refused, match="may be damaged") as refusal:
        Sources().read(tmp_path / "smaller.png")
    assert "smaller" not in str(refusal.value)
    Image.new("RGB", (40, 40)).save(tmp_path / "large.png")
    monkeypatch.setattr("qsneg.image_io.MAX_PIXELS", 1000)
    with pytest.raises(Refused, match="^This picture cannot be used: it has") as refusal:
        Sources().read(tmp_path / "large.png")
    assert str(tmp_path) not in str(refusal.value)


# --- bounds ---


def test_a_bounded_cache_lets_the_oldest_go():
    cache = Bounded(10, len)
    for key in "abc":
        cache.keep(key, "xxxx")
    assert list(cache.kept) == ["b", "c"] and cache.find("a") is None
    cache.find("b")
    cache.keep("d", "x" * 20)  # alone too heavy: it stays
    assert list(cache.kept) == ["d"]
    cache.forget("d")
    assert not cache.kept


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
    views.find(views.key(subject, "cut"))  # used again: the other one is now the older
    views.trim()
    assert list(views.kept.values()) == [first]
    views.limit = 1
    views.trim()
    assert list(views.kept.values()) == [first]  # the one in use stays


def test_one_visitor_does_not_empty_the_cache_of_the_others(models, subject):
    """Of one who looks at many pictures the oldest go; what the others look at stays, and so does the picture that is
    looked at now, with all its methods."""
    views = Views(models)
    guest = replace(subject, visitor="guest")
    assert guest == subject  # who looks does not make it another
    *_, of_guest = views.steps(guest)
    size = max(view.nbytes() for view in of_guest.values())
    views.share = 2 * size
    for number in range(4):
        *_, busy = views.steps(replace(subject, visitor="busy", digest=f"{number}"))
        assert all(views.find(views.key(guest, method)) is view for method, view in of_guest.items())
        held = [key for key in views.kept if views.users[key] == "busy"]
        assert [key[0] for key in held] == [f"{number}"] * len(busy) and len(busy) == 3  # more than the share: now
    *_, again = views.steps(guest)
    for view in again.values():
        view.kept["much"] = [torch.zeros(10 * size, dtype=torch.uint8)]
    *_, other = views.steps(replace(guest, digest="next"))
    assert not any(key[0] == guest.digest for key in views.kept) and len(views.kept) == 3 + len(other)
    views.limit = 1  # the bound in all holds besides
    views.trim()
    assert len(views.kept) == 1


@pytest.mark.parametrize(
    "picture, size", [((1024, 1024), 768), ((4000, 1000), 256), ((300, 200), 256), ((512, 512), 256)]
)
def test_large_pictures_are_inspected_at_a_reduced_size(picture, size):
    most = limits.INSPECTED
    short = inspected_size(picture, size)
    width, height = (round(side * short / min(picture)) for side in picture)
    assert short <= size and width * height <= most * 1.02
    assert short == size or (short % 4 == 0 and (short + 8) ** 2 * max(picture) / min(picture) > most)


def test_the_example_scene_is_drawn_at_the_inspected_size(models, tmp_path):
    example = next(e for e in sample_pictures.examples() if e.index is not None)
    image, text = example.picture(128), PngImagePlugin.PngInfo()
    text.add_text(sample_pictures.KEY, image.info[sample_pictures.KEY])
    image.save(path := tmp_path / "scene.png", pnginfo=text)
    source = models.sources.read(path)
    assert source.seed is not None
    view = Views(models).get(Subject(str(path), source.digest, "day2sunset", ("cut",), 64), "cut")
    assert view.source.tobytes() == sample_pictures.scene(source.seed, 64, "A").tobytes()


# --- a page ---


def test_a_click_looks_once(app, subject, monkeypatch):
    for page in app.pages:
        filled = after(page.opened(subject, chosen(), None, None))
        looks, look = [], type(page.page).look
        monkeypatch.setattr(type(page.page), "look", lambda *a, look=look: looks.append(1) or look(*a))
        event = type("Event", (), {"x": 10, "y": 20})
        clicked = after(page.aimed(subject, filled[app.visit.selection], filled[page.shown], subject, event))
        assert len(looks) == 1 and page.bases.html not in clicked  # the pictures are there
        assert (clicked[app.visit.selection].x, clicked[app.visit.selection].y) == (10, 20)
        again = page.opened(*clicked[page.shown], clicked[page.shown], subject)
        assert list(again) == [{app.visit.tab: page.page.name}]  # nothing is left to do


def test_every_control_sets_what_it_shows(app, subject):
    values = dict(
        layer=16,
        mode="local",
        anchors=64,
        scale="linear",
        seed=3,
        row=5,
        column=7,
        count=3,
        radius=1,
        picture=2,
        method="negcut",
        rivals=30,
        tau=20,
        first=3,
        away=1,
        pixels=1,
        click=1,
        gamma=20,
    )
    for page in app.pages:
        assert [c.control.name for c in page.controls] == [c.name for c in PAGES[page.page.name].controls]
        for moved in page.controls:
            name = moved.control.name
            if name == "opacity":
                continue
            done = after(moved.obey(subject, chosen(), None, None, values[name]))
            assert moved.component not in done  # it is where the visitor has put it
            done = after(page.fill(subject, done[app.visit.selection], None, None))
            assert done[moved.component]["value"] == values[name]


def test_refusals_stand_on_the_page_and_the_page_stays(app, subject):
    for page in app.pages[:4]:
        done = after(page.fill(subject, chosen(layer=13), None, None))
        assert page.stage not in done and "no layer 13" in done[page.status.place]["value"]
        done = after(page.opened(None, chosen(), None, None))
        assert "translate a picture first" in done[page.status.place]["value"]


def test_after_a_translation_the_open_page_follows(app, subject):
    values = [v for _ in app.every() for v in (subject, chosen(), None, None)]
    done = after(app.refresh(wished(done=True), "loss", 0, *values))
    (loss,) = [page for page in app.pages if page.page.name == "loss"]
    assert done[loss.shown][0] == subject and sum(page.stage in done for page in app.pages) == 1
    for wish, tab in ((wished(done=True), "compare"), (wished(), "loss")):  # another page; what it needs is not made
        assert after(app.refresh(wish, tab, 0, *values)) == {}
    done = after(app.refresh(wished(done=True), "loss", 2, *values))  # the tour lies over the page
    assert loss.stage not in done and done[app.tour.steps[1].shown][0] == subject


def test_a_click_while_the_page_is_filled_is_not_undone(app, subject, monkeypatch):
    """As right after a translation: the refresh has begun with the patch of before when another is clicked."""
    page, latest, looks = app.pages[1], Latest(), []
    look, event = type(page.page).look, gr.EventData(page.stage, {"x": 40, "y": 20})

    def slow(self, seen, selection):
        looks.append(selection)
        if len(looks) == 1:
            looks.append(after(page.aimed(subject, chosen(), None, None, event, latest)))
        return look(self, seen, selection)

    monkeypatch.setattr(type(page.page), "look", slow)
    values = [v for _ in app.every() for v in (subject, chosen(), None, None, latest)]
    done = after(app.refresh(wished(done=True), page.page.name, 0, *values))
    clicked = next(found for found in looks if isinstance(found, dict))
    assert (done[app.visit.selection].x, done[app.visit.selection].y) == (40, 20)
    assert done[page.shown] == clicked[page.shown] and done[page.stage] == clicked[page.stage]


def test_what_nobody_expected_is_one_sentence(app, subject, monkeypatch, capsys):
    page = app.pages[0]
    monkeypatch.setattr(type(page.page), "look", lambda *a: 1 / 0)
    done = after(page.fill(subject, chosen(), None, None))
    assert "Something went wrong on the server" in done[page.status.place]["value"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setattr("qsneg.ui.compare.compare", lambda *a: 1 / 0)
    done = after(app.compare.run(wished(), subject.path, "day2sunset", ["cut"], 64, None))
    assert any("Something went wrong" in str(value.get("value")) for value in done.values())


@pytest.mark.parametrize("shape, kind", [((11, 16), "<u2"), ((80, 90), "u1")])
def test_a_map_brings_its_values(shape, kind):
    """As steps between the ends: what the browser makes of them is what the map shows, to a step; holes are none."""
    values = np.random.default_rng(0).normal(size=shape)
    values[0, 0] = np.nan
    grid = Grid(12, shape, (4 * shape[1] - 2, 4 * shape[0] - 3), 4, 0)
    part = figures.heat(ranked(values, "entropy, nats"), grid)
    told = dict(re.findall('data-([a-z]+)="([^"]*)"', part))
    rows, columns, top, left = map(int, told["shape"].split(","))
    low, high = map(float, told["ends"].split(","))
    steps = np.frombuffer(base64.b64decode(told["values"]), kind).reshape(rows, columns)
    most = np.iinfo(kind).max - 1
    assert (top, left, told["log"], told["unit"]) == (0, 0, "1", "entropy, nats") and steps[0, 0] == most + 1
    assert told["grid"] == f"{4 * shape[1] - 2},{4 * shape[0] - 3},4,0" and steps.shape == shape  # each once
    want, got = values, low + steps / most * (high - low)
    assert np.nanmax(np.abs(np.where(steps > most, np.nan, got) - want)) <= 0.51 * (high - low) / most


def test_a_heat_map_is_one_pixel_per_cell_without_loss():
    values = np.linspace(0, 1, 11 * 16).reshape(11, 16)
    image = figures.map_png(values)
    assert image.size == (16, 11) and len(set(image.convert("RGB").get_flattened_data())) > 100
    part = figures.heat(
        Scaled([], "", values=values), Grid(12, (11, 16), (62, 41), 4, 0)
    )  # 64 of 62 pixels: the last cell hangs over
    assert 'src="data:image/png;base64,' in part and "width:103.2258%" in part
    part = figures.heat(
        Scaled([], "", values=np.zeros((50, 70))), Grid(0, (50, 70), (62, 41), 1, 3)
    )  # the margin is cut off
    assert "left:0.0000%" in part and "width:100.0000%" in part
    assert figures.map_png(np.array([[np.nan, 0.5]])).getpixel((0, 0))[3] == 0  # holes are transparent
