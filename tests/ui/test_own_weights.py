"""A visitor's own weights in the app: opened, checked, shown in every page beside the rest, for that session alone."""

import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from qsneg import weights
from qsneg.networks import Generator
from qsneg.pages import PAGES
from qsneg.ui.app import App
from qsneg.ui.compare import steps
from qsneg.ui.models import Models
from qsneg.ui.own_weights import OWN, Opened
from qsneg.ui.selection import chosen
from qsneg.ui.uploads import Refused
from tests.conftest import Hub, tiny
from tests.ui.conftest import shown
from tests.ui.test_parts import after, wished

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
    return update[demo.own.message.place]["value"]


@pytest.mark.parametrize("path", [None, "", [], ["a", "b"], 5])
def test_no_file(demo, path, capsys):
    assert "No file came: choose one." in said(demo, demo.own.open_file(path, "day2sunset", ["cut"], None))
    assert "Traceback" not in "".join(capsys.readouterr())


def opened(demo, path=G, methods=("cut",), own=None) -> dict:
    return demo.own.open_file(str(path), "day2sunset", list(methods), own)


def translated(demo, picture, methods, own, family="day2sunset") -> dict:
    """What pressing Translate sets, by component."""
    *_, last = demo.compare.run(wished(), picture, family, methods, 64, own)
    return last


def refused(demo, updates) -> str:
    """What is said beside the methods."""
    (message,) = [message for message in demo.controls.messages if message.about == "methods"]
    return updates[message.place]["value"]


def visible(demo, updates) -> list[str]:
    """The cards that are there."""
    return [card.key for card in demo.compare.cards if updates[card.column]["visible"]]


def test_an_opened_file_is_a_further_method_of_its_session(demo, picture):
    update = opened(demo)
    mine, group = update[demo.visit.own], update[demo.controls.methods]
    assert mine[1] == "latest_net_G" and group.value == ["cut", OWN]
    assert group.choices == [("CUT", "cut"), ("NEGCUT", "negcut"), ("Your weights: latest_net_G", OWN)]
    assert "CUT, width 4, 9 blocks, blur" in said(demo, update) and "without projection heads" in said(demo, update)
    seen = translated(demo, picture, [OWN, "cut"], mine)
    subject = seen[demo.visit.subject]
    assert subject.methods == ("cut", OWN) and subject.own == mine[0]
    assert visible(demo, seen) == ["source", "cut", OWN]
    right = demo.models.own.find(mine[0]).translate(Image.open(picture), 64)
    (card,) = [card for card in demo.compare.cards if card.key == OWN]
    assert Image.open(seen[card.picture]["value"]).tobytes() == right.tobytes()
    group, _ = demo.controls.set_family("day2sunset", None, mine)  # an example was chosen
    assert group.value == ["cut", "negcut", OWN]
    *others, film = demo.pages
    assert "opened bring no film" in after(film.fill(subject, chosen(), None, None))[film.stage]["value"]
    for page in others:  # noqa: F402
        filled = after(page.fill(subject, chosen(), None, None))
        html = filled[page.stage]["value"]
        papers = page.page.name == "negatives"  # there CUT has a column as a paper, too
        assert html.count('class="fig own"') == html.count('class="fig cut"') - papers > 0
        assert ("came without projection heads" in html) == (page.page.name != "anchors")
        archive = zipfile.ZipFile(page.download(subject, filled[page.shown])).namelist()
        assert any(n.startswith("cut/") for n in archive)
        assert any(n.startswith("own/") for n in archive) == (not page.page.needs_heads)


def test_only_its_session_has_it(demo, picture):
    mine = opened(demo)[demo.visit.own]
    assert "no weights of" in refused(demo, translated(demo, picture, ["cut", OWN], None))
    assert "no longer kept" in refused(demo, translated(demo, picture, ["cut", OWN], ("guess", "x")))
    with pytest.raises(Refused, match="no weights of 'own'"):  # nor have the endpoints
        list(steps(demo.models, picture, "day2sunset", [OWN], 64))
    update = opened(demo, G, ["cut", OWN], mine)  # another takes its place
    assert demo.models.own.find(mine[0]) is None and update[demo.controls.methods].value == ["cut", OWN]
    mine = update[demo.visit.own]
    update = demo.own.closed("day2sunset", ["cut", OWN], mine)
    assert update[demo.visit.own] is None and update[demo.controls.methods].value == ["cut"]
    assert demo.models.own.find(mine[0]) is None and update[demo.own.close]["visible"] is False


def test_what_cannot_be_opened_leaves_all_as_it_was(demo, tmp_path):
    (tmp_path / "note.pth").write_text("hello")
    mine = opened(demo)[demo.visit.own]
    update = opened(demo, tmp_path / "note.pth", ["cut"], mine)
    assert set(update) == {demo.own.message.place, demo.own.file} and demo.models.own.find(mine[0])
    assert update[demo.own.file]["value"] is None and "latest_net_G stays open" in said(demo, update)
    assert "note.pth" in said(demo, update) and "cannot be read" in said(demo, update)
    assert str(tmp_path) not in said(demo, update)
    for name in ("", "cut", "../../secrets", "a/../b", "/etc/passwd", str(G)):  # names of the Hub alone
        assert "is named user/repository" in said(demo, demo.own.open_hub(name, "day2sunset", ["cut"], mine))


def test_own_weights_alone_and_without_a_family(tmp_path, picture, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    demo = App(Models(tmp_path / "nothing", "cpu"))
    demo.build()
    mine = demo.own.open_file(str(G), None, [], None)[demo.visit.own]
    seen = translated(demo, picture, [OWN], mine, family=None)
    subject = seen[demo.visit.subject]
    assert visible(demo, seen) == ["source", OWN] and subject.methods == (OWN,)
    assert "<b>Your weights</b>" in seen[demo.compare.summary]["value"]
    loss, film = demo.pages[list(PAGES).index("loss")], demo.pages[list(PAGES).index("film")]
    filled = after(film.fill(subject, chosen(), None, None))
    assert filled[film.zip]["visible"] is False and "bring no film" in filled[film.stage]["value"]
    filled = after(loss.fill(subject, chosen(), None, None))
    assert "came without projection heads" in filled[loss.status.place]["value"]


def test_from_the_hub(hub, demo, tmp_path, monkeypatch):
    weights.save(tiny("negcut"), tmp_path / "model.safetensors")
    names = {"model.safetensors": tmp_path / "model.safetensors", "G.pth": G}
    Hub.files["somebody/own"] = {name: path.read_bytes() for name, path in names.items()}
    for name, words in {"own": "NEGCUT, width 4", "own/G.pth": "without projection heads",
                        "nothing": "no such repository", "own/F.pth": "no such file"}.items():  # fmt: skip
        name = f"somebody/{name}"
        assert words in said(demo, demo.own.open_hub(name, "day2sunset", ["cut"], None))
    monkeypatch.setattr("qsneg.ui.limits.OWN_FILE_BYTES", 1 << 20)
    Hub.files["somebody/own"]["large.pth"] = bytes(2 << 20)
    assert "larger than the 1 MB" in said(demo, demo.own.open_hub("somebody/own/large.pth", "day2sunset", [], None))


def test_the_room_for_opened_models_is_bounded(strided):
    opened = Opened(torch.device("cpu"))
    first = opened.open(strided)
    opened.limit = 1
    second = opened.open(strided)
    assert opened.find(first) is None and opened.find(second) is not None and first != second


def test_in_the_browser(page, browser, app, strided):
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
