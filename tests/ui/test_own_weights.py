"""A visitor's own weights in the app: opened, checked, shown in every page beside the rest, for that session alone."""

import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from qsneg import weights
from qsneg.inspect import observe
from qsneg.networks import Generator
from qsneg.sharing.importing import convert
from qsneg.translate import Translator
from qsneg.ui import inner_pages
from qsneg.ui.app import App
from qsneg.ui.compare import OWN, Models, Refused
from qsneg.ui.inner_pages import PAGES
from qsneg.ui.own_weights import Opened
from qsneg.ui.page_film import FilmChoice
from qsneg.ui.selection import Choice
from tests.conftest import Hub, tiny
from tests.ui.test_app import app, browser, checkpoints, page, shown  # noqa: F401 (fixtures)

G = Path(__file__).parents[1] / "fixtures" / "cut" / "latest_net_G.pth"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The app over a family of two, not served."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for method in ("cut", "negcut"):
        weights.save(tiny(method), folder / "day2sunset" / f"{method}.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("files")))
        made = App(Models(folder, "cpu"))
        made.build()
        yield made


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((90, 64)).convert("RGB").save(path)
    return str(path)


@pytest.fixture(scope="module")
def strided(tmp_path_factory):
    """A generator as CycleGAN's are published, with six blocks: 16 is none of its layers."""
    path = tmp_path_factory.mktemp("weights") / "zebra.pth"
    torch.manual_seed(0)
    torch.save(Generator(4, 6, "strided").state_dict(), path)
    return path


def said(demo, update) -> str:
    return update[demo.ui["own message"]]["value"]


def translated(demo, picture, methods, own, family="day2sunset") -> dict:
    """What pressing Translate sets, by component."""
    *_, last = demo.run(picture, family, methods, 64, None, own)
    return {name: last[component] for name, component in demo.ui.items() if component in last}


def test_an_opened_file_is_a_further_method_of_its_session(demo, picture):
    update = demo.open_file(str(G), "day2sunset", ["cut"], None)
    mine, group = update[demo.ui["mine"]], update[demo.ui["methods"]]
    assert mine[1] == "latest_net_G" and group.value == ["cut", OWN]
    assert group.choices == [("CUT", "cut"), ("NEGCUT", "negcut"), ("Your weights: latest_net_G", OWN)]
    assert "CUT, width 4, 9 blocks, blur" in said(demo, update) and "without projection heads" in said(demo, update)
    seen = translated(demo, picture, [OWN, "cut"], mine)
    assert seen["subject"].methods == ("cut", OWN) and seen["subject"].own == mine[0]
    assert seen["own card"]["visible"] and seen["cut card"]["visible"] and not seen["negcut card"]["visible"]
    right = demo.models.own.find(mine[0]).translate(Image.open(picture), 64)
    assert Image.open(seen[OWN]["value"]).tobytes() == right.tobytes()
    group, _ = demo.set_family("day2sunset", None, mine)  # an example was chosen
    assert group.value == ["cut", "negcut", OWN]
    assert "opened bring no film" in demo.fill_film(seen["subject"], FilmChoice(), {})[demo.ui["film"]]["value"]
    for name, module in PAGES.items():
        drawn = {demo.ui[key]: value for key, value in (("subject", seen["subject"]),)}
        for update in demo.fill(name, seen["subject"], Choice(), {}):
            drawn |= update
        html = drawn[demo.ui[name]]["value"]
        assert html.count('class="fig own"') == html.count('class="fig cut"') > 0
        assert ("came without projection heads" in html) == (name != "anchors")
        archive = zipfile.ZipFile(demo.download(name, seen["subject"], drawn[demo.ui["drawn"]])).namelist()
        assert any(n.startswith("cut/") for n in archive)
        assert any(n.startswith("own/") for n in archive) == (not module.NEEDS_HEADS)


def test_only_its_session_has_it(demo, picture):
    mine = demo.open_file(str(G), "day2sunset", ["cut"], None)[demo.ui["mine"]]
    assert "no weights of" in translated(demo, picture, ["cut", OWN], None)["methods message"]["value"]
    assert "no longer kept" in translated(demo, picture, ["cut", OWN], ("guess", "x"))["methods message"]["value"]
    with pytest.raises(Refused, match="no weights of 'own'"):  # nor have the endpoints
        list(demo.steps(picture, "day2sunset", [OWN], 64))
    update = demo.open_file(str(G), "day2sunset", ["cut", OWN], mine)  # another takes its place
    assert demo.models.own.find(mine[0]) is None and update[demo.ui["methods"]].value == ["cut", OWN]
    mine = update[demo.ui["mine"]]
    update = demo.close_own("day2sunset", ["cut", OWN], mine)
    assert update[demo.ui["mine"]] is None and update[demo.ui["methods"]].value == ["cut"]
    assert demo.models.own.find(mine[0]) is None and update[demo.ui["own close"]] == dict(
        visible=False, __type__="update"
    )


def test_what_cannot_be_opened_leaves_all_as_it_was(demo, tmp_path):
    (tmp_path / "note.pth").write_text("hello")
    mine = demo.open_file(str(G), "day2sunset", ["cut"], None)[demo.ui["mine"]]
    update = demo.open_file(str(tmp_path / "note.pth"), "day2sunset", ["cut"], mine)
    assert set(update) == {demo.ui["own message"], demo.ui["own file"]} and demo.models.own.find(mine[0])
    assert update[demo.ui["own file"]]["value"] is None and "latest_net_G stays open" in said(demo, update)
    assert "note.pth" in said(demo, update) and "cannot be read" in said(demo, update)
    assert str(tmp_path) not in said(demo, update)
    for name in ("", "cut", "../../secrets", "a/../b", "/etc/passwd", str(G)):  # names of the Hub alone
        assert "is named user/repository" in said(demo, demo.open_hub(name, "day2sunset", ["cut"], mine))


def test_own_weights_alone_and_without_a_family(tmp_path, picture, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    demo = App(Models(tmp_path / "nothing", "cpu"))
    demo.build()
    mine = demo.open_file(str(G), None, [], None)[demo.ui["mine"]]
    seen = translated(demo, picture, [OWN], mine, family=None)
    assert seen["own card"]["visible"] and seen["subject"].methods == (OWN,)
    assert "<b>Your weights</b>" in seen["summary"]["value"]
    film = demo.fill_film(seen["subject"], FilmChoice(), {})
    assert film[demo.ui["film zip"]]["visible"] is False and "bring no film" in film[demo.ui["film"]]["value"]
    *_, update = demo.fill("loss", seen["subject"], Choice(), {})
    assert "came without projection heads" in update[demo.ui["loss status"]]["value"]


def test_from_the_hub(hub, demo, tmp_path, monkeypatch):
    weights.save(tiny("negcut"), tmp_path / "model.safetensors")
    names = {"model.safetensors": tmp_path / "model.safetensors", "G.pth": G}
    Hub.files["somebody/own"] = {name: path.read_bytes() for name, path in names.items()}
    for name, words in {"own": "NEGCUT, width 4", "own/G.pth": "without projection heads",
                        "nothing": "no such repository", "own/F.pth": "no such file"}.items():  # fmt: skip
        name = f"somebody/{name}"
        assert words in said(demo, demo.open_hub(name, "day2sunset", ["cut"], None))
    monkeypatch.setattr("qsneg.ui.limits.OWN_FILE_BYTES", 1 << 20)
    Hub.files["somebody/own"]["large.pth"] = bytes(2 << 20)
    assert "larger than the 1 MB" in said(demo, demo.open_hub("somebody/own/large.pth", "day2sunset", [], None))


def test_the_room_for_opened_models_is_bounded(strided):
    opened = Opened(torch.device("cpu"))
    first = opened.open(strided)
    opened.limit = 1
    second = opened.open(strided)
    assert opened.find(first) is None and opened.find(second) is not None and first != second


@pytest.mark.parametrize("layer, words", [
    (0, ""), (4, "pixels per position"), (8, "pixels per position"), (12, ""), (16, "no layer 16"),
])  # fmt: skip
def test_other_grids_and_layers_are_not_compared(strided, layer, words):
    image = Image.linear_gradient("L").resize((44, 32))
    made = {"cut": tiny("cut"), OWN: convert("cyclegan", strided)}
    seen = {method: observe(Translator(model, "cpu"), image) for method, model in made.items()}
    choice = Choice(layer=layer).on((44, 32))
    able, absent = inner_pages.split("anchors", seen, choice)
    assert list(able) == (["cut"] if words else ["cut", OWN]) and words in absent.get(OWN, "")
    for name in ("anchors", "attention"):
        html = PAGES[name].html(able, choice, absent)
        assert html.count('class="fig own"') == 3 and (words in html)
    only, _ = inner_pages.split("attention", {OWN: seen[OWN]}, choice) if layer != 16 else ({}, {})
    if only:
        html = PAGES["attention"].html(only, choice)
        assert html.count("came without projection heads") == 2 and "attention of the query" in html


def test_in_the_browser(page, browser, app, strided):  # noqa: F811
    page.get_by_role("button", name="Your own weights").click()
    page.locator("#own-file input[type=file]").set_input_files(strided)
    page.wait_for_selector("#own .note:has-text('zebra is open: CycleGAN')")
    assert page.locator("#methods input[name='own']").is_checked()
    box, group = (page.locator(f"#methods{s}").bounding_box() for s in (" label:has(input[name='own'])", ""))
    assert box["x"] + box["width"] <= group["x"] + group["width"]  # within the column
    page.locator("#go").click()
    page.wait_for_selector(".card.own img")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT", "Your weights"]
    page.get_by_role("tab", name="Loss", exact=True).click()
    text = page.wait_for_selector("#stage-loss .fig.own .absent", timeout=40000).inner_text()
    assert "came without projection heads" in text
    page.locator("#own-close").click()
    page.wait_for_selector("#methods input[name='own']", state="detached")
    assert (
        not page.locator("#own-close").is_visible() and not page.locator("#own .note:has-text('is open')").is_visible()
    )
    other = browser.new_page()
    other.goto(app)
    other.wait_for_selector("#methods input[name='cut']")
    assert other.locator("#methods input[name='own']").count() == 0
    other.close()
    assert page.wrong == []
