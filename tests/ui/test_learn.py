"""The page Learn: a real training of some steps, ordered and watched by the app's own handlers, and in the browser."""

import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from qsneg import weights
from qsneg.learning.order import Bounds
from qsneg.learning.run import DONE
from qsneg.learning.schedule import Schedule
from qsneg.ui.app import App
from qsneg.ui.disk import DISK
from qsneg.ui.models import Models
from tests.conftest import tiny
from tests.data.archives import zipped
from tests.learning.conftest import FAKE, until
from tests.learning.test_zips import GOOD
from tests.ui.conftest import ROOT, cut_off, shown, start
from tests.ui.test_accessible import serious

HERE = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    weights.save(tiny("cut"), folder / "day2sunset" / "cut.safetensors")
    return Models(folder, "cpu")


@pytest.fixture
def page(models, tmp_path, monkeypatch, request):
    """The page in an app that is not served; it trains by the preset debug, or (parameter) by a program that counts."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    program = {"program": getattr(request, "param", (sys.executable, "-m", "qsneg"))}
    schedule = Schedule(DISK.apart, Bounds(), preset="debug", device="cpu", **program)
    app = App(models, schedule)
    app.build()
    yield app.learn
    schedule.close()


def ordered(page, domain="scenes", a=None, b=None, methods=("cut",), steps=10, minutes=5) -> dict:
    """What is shown after Start was pressed."""
    *_, last = page.order(domain, a, b, list(methods), steps, minutes, 0, HERE)
    return last


def html(updates, part) -> str:
    return updates[part]["value"]


def test_a_training_is_ordered_watched_and_its_weights_are_used(page, monkeypatch):
    secret = (first := ordered(page, methods=("cut", "negcut"), steps=4))[page.secret]
    assert f'data-run="{secret}"' in html(first, page.where) and first[page.timer].active
    run, sent = page.schedule.find(secret), first[page.sent]
    until(lambda: not run.is_moving, 120)
    assert run.state == DONE, run.log()
    now = page.look(secret, 0, sent)
    assert not now[page.timer].active and "all its steps" in html(now, page.status)
    assert "step 4 of 4" in html(now, page.status) and "removed" in html(now, page.where)
    assert html(now, page.pictures).count("<figcaption>step 4</figcaption>") == 2
    assert html(now, page.pictures).count("data:image/webp") >= 10 and "Contrast" in html(now, page.curves)
    assert [now[part]["visible"] for part in (page.halt, page.go_on, page.use, page.save)] == [False, False, True, True]
    assert page.look(secret, 0, now[page.sent]) == gr.skip()  # what has not changed is not sent again
    assert set(page.look(secret, 1, now[page.sent])) == {page.pictures, page.sent}
    opened = page.open(secret, "negcut", "day2sunset", ["cut"], None, 0)
    token, title = opened[page.visit.own]
    assert title == "learnt NEGCUT, step 4" and opened[page.controls.methods].value == ["cut", "own"]
    assert page.controls.models.own.find(token).translate(Image.new("RGB", (64, 64))).size == (64, 64)
    assert opened[page.own.close]["visible"] and opened[page.visit.tab] == "compare" and opened[page.used] == 1
    monkeypatch.setattr("qsneg.ui.limits.OWN_FILE_BYTES", 1000)
    bad = page.open(secret, "cut", "day2sunset", ["cut"], (token, title), 1)
    assert page.used not in bad and "stays open" in html(bad, page.message.place)
    file = page.download(secret, "negcut")
    assert file.endswith("qsneg-learnt-negcut-step-4.safetensors") and weights.load(file).card["steps"] == 4


@pytest.mark.parametrize("page", [FAKE], indirect=True)
def test_whoever_has_the_address_can_stop_and_resume(page):
    secret = ordered(page, steps=2000)[page.secret]
    run = page.schedule.find(secret)
    until(lambda: run.step("cut") > 2)
    arrived = page.arrive(secret, 0)  # by another browser
    assert arrived[page.visit.tab] == "learn" and arrived[page.halt]["visible"]
    other = ordered(page, steps=5)
    assert "1 run before yours" in html(other, page.status)
    assert "saves first" in html(page.stop(secret, 0, {}), page.status)
    until(lambda: not run.is_moving)
    stopped = page.look(secret, 0, {})
    assert stopped[page.go_on]["visible"] and "Resume goes on with CUT from step" in html(stopped, page.status)
    assert page.resume(secret, 0, {}, HERE)[page.halt]["visible"] and run.is_moving


def test_a_training_is_held_while_somebody_is_served(models, tmp_path):
    schedule = Schedule(tmp_path / "learn", Bounds())
    App(models, schedule)
    steps, others = models.line.served(iter(["translating", 1])), models.line.served(iter(["translating", 1]))
    assert not schedule.gives_way
    next(steps), next(others)
    assert schedule.gives_way
    steps.close()
    assert schedule.gives_way  # for the other one
    others.close()
    assert not schedule.gives_way
    schedule.close()


@pytest.mark.parametrize("page", [FAKE], indirect=True)
def test_an_address_without_a_run_is_told(page):
    nobody = page.arrive("", 0)
    assert all(value == gr.skip() for value in nobody.values())
    for secret in ("guess", "../../etc", "x" * 10_000, "\ud800"):
        gone = page.arrive(secret, 0)
        assert "no run at this address any more: runs are removed 24 hours" in html(gone, page.message.place)
        assert not gone[page.status]["visible"] and not gone[page.timer].active and gone[page.secret] == ""
        assert "is gone" in html(page.open(secret, "cut", "day2sunset", [], None, 0), page.message.place)
        with pytest.raises(gr.Error, match="is gone"):
            page.download(secret, "cut")


@pytest.mark.parametrize("page", [FAKE], indirect=True)
def test_a_failed_run_is_told_with_what_it_said(page, monkeypatch):
    monkeypatch.setenv("FAKE", "refuse")
    run = page.schedule.find(secret := ordered(page)[page.secret])
    until(lambda: not run.is_moving)
    now = page.look(secret, 0, {})
    assert "The run has failed. Every picture in &#x27;cut&#x27; is smaller." in html(now, page.status)
    assert "Left out, too." in html(now, page.log) and str(run.folder) not in html(now, page.log)


@pytest.mark.parametrize("page", [FAKE], indirect=True)
@pytest.mark.parametrize("wrong, said", [
    (dict(methods=[]), "No method is chosen"),
    (dict(domain="moon"), "Choose what to train on"),
    (dict(domain=None), "The pictures must be one of those that are shown, not nothing."),
    (dict(steps=2.5), "The number of steps must be a whole number from 1 to 2000, not 2.5."),
    (dict(minutes=1e9), "The number of minutes must be a whole number from 1 to 60"),
    (dict(domain="own"), "The zip of sources is missing"),
])  # fmt: skip
def test_orders_are_read_strictly(page, wrong, said):
    last = ordered(page, **wrong)
    assert said in html(last, page.message.place) and page.schedule.runs == {}


@pytest.mark.parametrize("page", [FAKE], indirect=True)
def test_zips_are_taken_and_bad_ones_leave_nothing(page, tmp_path):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(zipped(GOOD))
    bad.write_bytes(b"hello")
    last = ordered(page, "own", str(good), str(bad))
    assert "bad.zip&#x27; is no whole zip archive" in html(last, page.message.place)
    assert not list(page.schedule.folder.glob("*/"))
    last = ordered(page, "own", str(good), str(good))
    assert "Pictures of your own: CUT" in html(last, page.status)


def test_runs_do_not_count_as_uploads_and_are_served_to_nobody(page, tmp_path):
    DISK.apart.mkdir(exist_ok=True)
    (DISK.apart / "checkpoint.pt").write_bytes(b"x" * 1000)
    (tmp_path / "upload.png").write_bytes(b"x")
    assert [path.name for _, _, path in DISK.files() if path.name in ("checkpoint.pt", "upload.png")] == ["upload.png"]


def test_without_the_flag_there_is_nothing_of_it(models, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    app = App(models)
    assert "A new run" not in str(app.build().config["components"]) and app.learn is None
    code = "import sys, qsneg.ui.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "qsneg.ui.app" in loaded and "qsneg.learning" not in loaded


def test_in_the_browser(browser, checkpoints, tmp_path):
    address, process = start(checkpoints, tmp_path, flags=["--learn", "--learn-steps", "3", "--learn-minutes", "5"])
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        wrong = []
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".card.negcut img")
        page.get_by_role("tab", name="Learn", exact=True).click()
        page.wait_for_selector("#learn-go")
        assert serious(page) == []
        wide = page.viewport_size
        for width in (390, 820):
            page.set_viewport_size(wide | {"width": width})
            assert cut_off(page) == []
        page.set_viewport_size(wide)
        page.locator("#learn-go").click()
        page.wait_for_selector(".run .state:has-text('Learning')", timeout=20000)
        run = page.locator(".address input").input_value()
        assert re.fullmatch(address + r"\?run=[\w-]{22}", run) and page.url.endswith(run.split("?")[1])
        page.close()
        page = browser.new_page(viewport={"width": 390, "height": 844})  # comes back by the address
        page.goto(run)
        page.wait_for_selector(".run .state:has-text('Done')", timeout=90000)
        assert page.locator(".timeline img").count() > 2 and page.locator(".plot").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert serious(page) == []
        page.get_by_role("button", name="Use these weights in all pages").click()
        page.wait_for_selector(".card.own img", timeout=60000)
        assert shown(page)[-1] == "Your weights" and "run=" not in page.url and wrong == []
        files = list((tmp_path / "files" / "learn").glob("*/cut/model.safetensors"))
        answer = page.request.get(f"{address}gradio_api/file={files[0]}")
        assert len(files) == 1 and answer.status == 403
        page.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
