"""Waiting for the models: the place in the line, Stop, and what has become old. The test itself stands in the line."""

import socket

import gradio as gr
import pytest

from qsneg.ui import limits
from qsneg.ui.app import App, theme
from qsneg.ui.components import STATIC
from qsneg.ui.line import Line, Wish
from qsneg.ui.models import Models
from qsneg.ui.uploads import Refused
from tests.pages.conftest import METHODS
from tests.ui.conftest import visit
from tests.ui.test_parts import after, chosen, folder, models, picture, subject, wished  # noqa: F401 (fixtures)
from tests.ui.test_parts import app as parts  # noqa: F401


def test_the_line_serves_in_the_order_of_asking_and_tells_the_place():
    line = Line()
    first, second, third = (line.served(iter([f"{name}1", f"{name}2", name])) for name in "abc")
    assert next(first) == "a1"
    assert next(second) == "Waiting: 1 request before yours."
    assert next(third) == "Waiting: 2 requests before yours."
    assert next(line.served(iter([42]))) == 42  # nothing slow is announced: it waits for nobody
    first.close()  # the visitor has left
    assert next(second) == "b1" and next(third) == "Waiting: 1 request before yours."
    assert list(second) == ["b2", "b"] and list(third) == ["c1", "c2", "c"] and not line.waiting


def test_an_error_leaves_the_line():
    def failing():
        yield "translating"
        raise ValueError("wrong")

    line = Line()
    with pytest.raises(ValueError, match="wrong"):
        list(line.served(failing()))
    assert not line.waiting


def test_the_line_has_a_greatest_length():
    line = Line(1)
    kept = [line.served(iter(["step"])) for _ in range(2)]
    assert [next(steps) for steps in kept] == ["step", "Waiting: 1 request before yours."]
    with pytest.raises(Refused, match="^1 others are waiting here already: try again in a minute.$"):
        next(line.served(iter(["step"])))
    assert limits.WAITING < 40  # threads that gradio has, one for each who waits


def test_each_wish_is_taken_once_and_a_newer_one_makes_it_void():
    wish = Wish()
    assert wish.take() is None
    wish.make(), wish.make()  # a double click
    number = wish.take()
    assert number == wish.number and wish.take() is None
    wish.drop()
    assert wish.number != number and wish.take() is None and not wish.is_fulfilled
    wish.make()
    wish.fulfil(wish.take())
    assert wish.is_fulfilled


def test_translate_soon_after_stop_is_not_lost(parts, picture):  # noqa: F811
    controls, wish = parts.controls, Wish()
    inputs = picture, "day2sunset", list(METHODS), 64, None

    def asked():
        controls.ask(wish)
        run = parts.compare.run(wish, *inputs)
        assert next(run) == gr.skip() and "translating, 1 of 3" in next(run)[controls.status.place]["value"]
        return run

    first = asked()
    assert controls.leave_off(wish)[controls.go]["visible"]
    assert list(first) == [controls.idle()]  # its last word may have come after the answer to Stop
    second = asked()
    controls.leave_off(wish)
    controls.ask(wish)
    assert list(second) == []  # nothing over what comes now
    assert after(parts.compare.run(wish, *inputs))[parts.visit.subject].methods == METHODS
    assert list(parts.compare.run(wish, *inputs)) == [gr.skip()]  # nobody has asked


def test_a_full_line_is_told_under_the_button_and_on_the_page(parts, picture, subject, monkeypatch):  # noqa: F811
    monkeypatch.setattr(parts.models.line, "most", -1)
    done = after(parts.compare.run(wished(), picture, "day2sunset", ["cut"], 64, None))
    assert "are waiting here already" in done[parts.controls.status.place]["value"]
    assert done[parts.controls.status.place]["visible"] and done[parts.controls.go]["visible"]
    page, looking = parts.pages[0], wished()
    parts.views.kept.clear()
    done = after(page.made(looking, subject, chosen()))
    assert "are waiting here already" in done[page.status.place]["value"] and not looking.is_fulfilled
    assert list(page.followed(looking, subject, chosen(), None, None)) == [gr.skip()]


def test_what_a_page_needs_is_made_in_the_line_and_a_click_waits_for_nobody(parts, subject):  # noqa: F811
    page, looking, line = parts.pages[1], Wish(), parts.models.line
    parts.views.kept.clear()
    line.join(me := object())
    assert page.turn_to(looking) == page.page.name
    made = page.made(looking, subject, chosen())
    assert next(made) == gr.skip()
    assert "1 request before yours" in next(made)[page.status.place]["value"]
    line.leave(me)
    assert "CUT: reading features" in next(made)[page.status.place]["value"]
    list(made)
    filled = after(page.followed(looking, subject, chosen(), None, None))
    shown = filled[page.shown]
    line.join(me)
    event = gr.EventData(page.stage, {"x": 3, "y": 5})
    clicked = after(page.aimed(subject, shown[1], shown, subject, event))
    assert clicked[page.shown][1].x == 3
    line.leave(me)


def test_what_was_at_work_is_no_longer_said_once_it_is_made(parts, subject):  # noqa: F811
    """Even if the page is as it should be already, as when a tab is left and opened again, or an address asks twice."""
    parts.views.kept.clear()
    for page in parts.every():
        shown = after(page.fill(subject, chosen(), None, None))[page.shown]
        assert list(page.needs(*shown)) == [], page.page.name  # nothing is slow: nobody waits in the line for it
        assert list(page.made(wished(), *shown)) == [gr.skip()]  # and nothing that is said there is wiped away
        parts.views.kept.clear()  # as after many other pictures
        said = list(page.made(wished(), *shown))[1:]
        assert said or page.page.name == "film"  # which needs no model
        assert all(done[page.status.place]["visible"] for done in said[:-1])
        assert not any(done[page.status.place]["visible"] or page.stage in done for done in said[-1:])


def test_old_results_are_known_by_every_setting(parts, subject, tmp_path):  # noqa: F811
    now = subject, subject.path, subject.family, list(subject.methods), subject.size, None
    assert not parts.outdated.follow(*now)["visible"]
    other = dict(enumerate((str(tmp_path / "none.png"), "horse2zebra-drawn", ["cut"], 384), 1))
    for number, value in other.items():
        changed = parts.outdated.follow(*(value if n == number else was for n, was in enumerate(now)))
        assert changed["visible"] and "press Translate" in changed["value"]
    assert not parts.outdated.follow(None, *now[1:])["visible"]  # there is nothing yet


# --- in the browser ---


@pytest.fixture(scope="module")
def served(checkpoints, tmp_path_factory):
    """(address, line) of an app in this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("files")))
        models = Models(checkpoints, "cpu")  # noqa: F811
        demo = App(models).build()
        look = dict(theme=theme(), css_paths=[STATIC / "app.css"])
        demo.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **look)
        yield f"http://127.0.0.1:{port}/", models.line
        demo.close()


def test_waiting_stopping_and_asking_again(browser, served):
    address, line = served
    page = visit(browser, address)
    line.join(me := object())
    page.get_by_label("384").check()
    page.wait_for_selector("#outdated .outdated")
    assert float(page.evaluate("getComputedStyle(document.querySelector('#cards')).opacity")) < 0.6
    page.locator("#go").click()
    page.wait_for_selector("#controls .status:has-text('Waiting: 1 request before yours.')")
    for _ in range(2):
        page.locator("#stop").click()
        page.wait_for_selector("#go:visible")
        page.locator("#go").click()
        page.wait_for_selector("#controls .status:has-text('Waiting: 1 request before yours.')")
    line.leave(me)
    page.wait_for_selector(".summary:has-text('384 ×')")
    page.wait_for_selector("#outdated .outdated", state="detached")
    assert page.locator("#go").is_visible() and not page.locator("#stop").is_visible()
    assert page.wrong == []
    page.close()


def test_a_page_waits_in_the_line_too(browser, served):
    address, line = served
    page = visit(browser, address)
    line.join(me := object())
    page.get_by_role("tab", name="Loss", exact=True).click()
    page.wait_for_selector(".tabitem:visible .status:has-text('Waiting: 1 request before yours.')")
    line.leave(me)
    page.wait_for_selector("#stage-loss .fig.cut .stack", timeout=40000)
    assert page.wrong == []
    page.close()
