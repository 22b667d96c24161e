"""The tour in a browser: walked by buttons and keys, with its address, on the patch that is shared with the pages."""

import re

import pytest

from qsneg.pages.tour import TOUR
from qsneg.ui.address import read, written
from qsneg.ui.line import Wish
from tests.ui.conftest import start, visit
from tests.ui.test_address import FAMILIES, SUBJECT
from tests.ui.test_app_pages import query_is, turn_to
from tests.ui.test_screens import COLLIDING, SMALL

ON = "document.activeElement.closest('#tour') !== null"


def at_step(page, number: int) -> None:
    """Wait until a step is open and filled."""
    page.wait_for_selector(f"#step-{number}.now .band .columns", timeout=20000)
    assert page.locator("#tour .count").inner_text() == f"{number} of 6"
    page.wait_for_function(f"location.search.includes('tour={number}')")


def test_six_steps_forward_and_back(page):
    page.locator("#to-tour").click()
    for number, step in enumerate(TOUR, 1):
        at_step(page, number)
        assert page.locator(f"#step-{number} .title").inner_text() == step.title
        assert page.locator("#tour .step.now").count() == 1 and page.evaluate(SMALL) == []
        assert page.locator("#tour .leads").inner_text().lower() == f"open the page {step.leads}"
        page.wait_for_function(f"document.querySelector('#tour .unseen').innerText.startsWith('Step {number} of 6:')")
        page.locator("#tour .next").click()
    page.wait_for_selector("#tour", state="hidden")  # the last one ends it
    page.wait_for_function("!location.search.includes('tour=')")
    page.locator("#to-tour").click()
    page.locator("#tour .dots button").nth(3).click()
    at_step(page, 4)
    page.locator("#tour .back").click()
    at_step(page, 3)


def test_by_keyboard_and_focus_is_kept_and_given_back(page):
    page.locator("#to-tour").focus()
    page.keyboard.press("Enter")
    at_step(page, 1)
    tour = page.get_by_role("dialog", name="A tour in six steps")
    assert tour.get_attribute("aria-modal") == "true" and page.evaluate(ON)
    for key, number in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("ArrowLeft", 1), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        at_step(page, number)
    for _ in range(24):  # round and round
        page.keyboard.press("Tab")
        assert page.evaluate(ON)
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(ON)
    page.locator("#step-1 .fig.source .aim").focus()
    page.keyboard.press("ArrowRight")  # there it moves the patch
    page.wait_for_selector("#step-1 .fig.source:has-text('row 32, column 33')")
    assert page.locator("#tour .count").inner_text() == "1 of 6"
    page.locator("#tour .dots button").last.click()
    at_step(page, 6)
    assert page.locator("#step-6 .aim[tabindex='0']").count() == 1  # in every step the keyboard can choose a patch
    page.keyboard.press("Escape")
    page.wait_for_selector("#tour", state="hidden")
    assert page.evaluate("document.activeElement.id") == "to-tour"
    assert page.locator("[inert]").count() == 0


def test_a_patch_chosen_in_the_tour_is_that_of_the_pages(page):
    page.locator("#to-tour").click()
    at_step(page, 1)
    box = page.locator("#step-1 .fig.cut .aim").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.75)
    page.wait_for_selector("#step-1 .fig.source .words:has-text('row 48, column 16')")
    page.locator("#tour .dots button").nth(4).click()
    at_step(page, 5)
    page.locator("#tour .leads").click()
    page.wait_for_selector("#tour", state="hidden")
    page.wait_for_selector("#stage-negatives .fig.cut .stack", timeout=40000)
    query_is(page, "negatives", 48, 16)
    page.wait_for_selector('#stage-negatives .note:has-text("NEGCUT\'s features")')  # as the tour showed them
    assert page.evaluate("document.activeElement.innerText") == "Negatives"
    page.locator("#to-tour").click()
    at_step(page, 1)
    page.wait_for_selector("#step-1 .fig.source .words:has-text('row 48, column 16')")


def test_the_page_behind_follows_once_the_tour_is_closed(page):
    turn_to(page, "attention")
    page.locator("#to-tour").click()
    at_step(page, 1)
    box = page.locator("#step-1 .fig.source .aim").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.wait_for_selector("#step-1 .fig.source .words:has-text('row 16, column 16')")
    page.mouse.click(3, 450)  # beside the tour
    page.wait_for_selector("#tour", state="hidden")
    query_is(page, "attention", 16, 16)


def test_things_to_try(page):
    page.locator("#to-tour").click()
    page.locator("#tour .dots button").nth(1).click()
    at_step(page, 2)
    dots = "document.querySelector('#step-2 .values').innerHTML"
    before = page.evaluate(dots)
    slider = page.locator("#step-2 .control.seed input[type=range]")
    slider.focus()
    slider.press("ArrowRight")  # which does not walk on
    page.wait_for_function(f"{dots} !== {before!r}")
    assert page.locator("#tour .count").inner_text() == "2 of 6"
    page.locator("#tour .next").click()
    at_step(page, 3)
    page.locator("#step-3 .control.mode label:has-text('local')").click()
    page.wait_for_selector("#step-3 .head:has-text('Entropy, local')")


def test_the_address_opens_a_step(browser, app):
    first, second, third = (browser.new_page() for _ in range(3))
    first.goto(f"{app}?tour=3")
    at_step(first, 3)
    first.keyboard.press("ArrowRight")
    at_step(first, 4)
    first.wait_for_function("location.search.includes('family=day2sunset')")
    second.goto(app + first.evaluate("location.search"))  # a pasted link
    at_step(second, 4)
    third.goto(f"{app}?tour=99")
    third.wait_for_selector(".card.negcut img")
    assert third.locator("#tour").is_hidden()
    for page in (first, second, third):
        page.close()


def test_a_step_is_written_and_what_is_none_is_not():
    assert written(SUBJECT, read("", FAMILIES).selection, "compare", "", 3).endswith("&tour=3")
    assert "tour" not in written(SUBJECT, read("", FAMILIES).selection, "compare", "")


@pytest.mark.parametrize("width, height, theme", [(390, 844, "light"), (820, 1100, "dark"), (1440, 900, "light")])
def test_nothing_overflows_or_collides(browser, app, width, height, theme):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"{app}?__theme={theme}&tour=1")
    for number in range(1, 7):
        at_step(page, number)
        assert page.evaluate(COLLIDING) == 0
        step = page.locator(f"#step-{number}")
        assert step.evaluate("e => e.scrollWidth <= e.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in (".next", ".close"):
            box = page.locator(f"#tour {button}").bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= height and box["x"] + box["width"] <= width
        page.keyboard.press("ArrowRight")
    page.close()


@pytest.fixture(scope="module")
def with_cut_alone(checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "checkpoints"
    (folder / "day2sunset").mkdir(parents=True)
    (folder / "day2sunset" / "cut.safetensors").write_bytes((checkpoints / "day2sunset/cut.safetensors").read_bytes())
    address, process = start(folder, tmp_path_factory.mktemp("one-app"))
    yield address
    process.terminate()
    process.wait(10)


def test_with_one_method_steps_say_what_they_read(browser, with_cut_alone):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{with_cut_alone}?tour=3")
    at_step(page, 3)
    assert "QS-Attn is not among the methods here: its rule reads CUT's" in page.locator("#step-3").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    at_step(page, 5)
    assert "tick NEGCUT" in page.locator("#step-5 .fig.negcut").inner_text()
    page.close()


def test_before_anything_was_translated(browser, tmp_path):
    address, process = start(tmp_path / "nothing", tmp_path)
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.locator("#to-tour").click()
        page.wait_for_selector("#step-1.now .refused:has-text('translate a picture first')", timeout=30000)
        page.close()
    finally:
        process.terminate()
        process.wait(10)


def test_a_visitor_finds_it_beside_the_title(browser, app):
    page = visit(browser, app)
    title, button = (page.locator(s).bounding_box() for s in (".top h1", "#to-tour"))
    assert 0 < button["x"] - title["x"] - title["width"] < 40 and abs(button["y"] - title["y"]) < 20
    assert re.fullmatch("Take the tour", page.locator("#to-tour").inner_text())
    page.close()


def test_an_older_wish_that_ends_later_does_not_undo_a_newer_one():
    """As when two steps are asked for at once: the first is still at work when the second is there."""
    wish = Wish()
    wish.make()
    first = wish.take()
    wish.make()
    wish.fulfil(wish.take())
    wish.fulfil(first)
    assert wish.is_fulfilled
