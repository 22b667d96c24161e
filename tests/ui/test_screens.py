"""The page on screens of all widths, by keyboard, and how it comes: small, compressed, without jumping."""

import gzip
import random
import urllib.request

import pytest

from qsneg.ui.about import about
from qsneg.ui.models import Models
from tests.ui.conftest import ROOT, cut_off, visit

SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) shift += e.value; })
  .observe({type: "layout-shift", buffered: true});"""
COLLIDING = """[...document.querySelectorAll(".ticks")].filter((t) => t.offsetParent).filter((t) => {
  const boxes = [...t.children].filter((c) => c.offsetParent).map((c) => {
    const range = document.createRange(); range.selectNodeContents(c); return range.getBoundingClientRect(); });
  return boxes.some((box, n) => n && box.left < boxes[n - 1].right + 2); }).length"""
SMALL = """[...document.querySelectorAll("button, summary, nav a, input, .aim")].filter((e) => e.offsetParent)
  .map((e) => [e.outerHTML.slice(0, 80), (e.closest("label") || e).getBoundingClientRect()])
  .filter(([, box]) => box.width > 2 && box.height > 2 && (box.width < 24 || box.height < 24)).map(([html]) => html)"""


def turn_to(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_selector(f"#stage-{name.lower().replace(' ', '-')} .fig.cut .stack", timeout=60000)


@pytest.fixture
def phone(browser, app):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.add_init_script(SHIFTS)
    page.goto(app)
    page.wait_for_selector(".card.negcut img")
    yield page
    page.close()


def test_the_page_is_sent_compressed(app):
    request = urllib.request.Request(app, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
    assert answer.headers["Content-Encoding"] == "gzip" and len(body) < 150_000 < len(gzip.decompress(body))


def test_about_has_contents_findings_before_cards_and_no_makers_notes(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    text = about(Models(ROOT / "checkpoints", "cpu"))
    places = [text.index(f'<h2 id="{name}">') for name in ("methods", "findings", "models", "settings")]
    assert text.startswith("<nav") and places == sorted(places)
    assert all(f'href="#{name}"' in text for name in ("methods", "findings", "models", "settings"))
    assert "data:image" not in text and 'loading="lazy"' in text  # pictures come when they are seen
    assert "python -m qsneg train" not in text and "What was tried" not in text


def test_nothing_jumps_while_the_page_comes(phone):
    phone.wait_for_timeout(500)
    assert phone.evaluate("shift") < 0.1
    assert not phone.locator("#go").evaluate("e => e.getBoundingClientRect().y > 844")  # the settings are folded


@pytest.mark.parametrize("width, height", [(390, 844), (820, 1100), (1440, 900)])
def test_nothing_jumps_in_whatever_order_its_files_come(browser, app, width, height):
    page, held, chance = browser.new_page(viewport={"width": width, "height": height}), [], random.Random(1)
    page.add_init_script(SHIFTS)

    def hold(route):
        is_late = route.request.resource_type in ("script", "stylesheet", "image") and chance.random() < 0.4
        held.append(route) if is_late else route.continue_()

    page.route("**/*", hold)
    page.goto(app, wait_until="commit")
    for _ in range(600):
        page.wait_for_timeout(50)
        if held and chance.random() < 0.5:
            held.pop(chance.randrange(len(held))).continue_()
        elif not held and page.locator(".card.negcut img").count():
            break
    page.wait_for_timeout(500)
    assert page.locator("#go").is_visible()
    assert page.evaluate("shift") < 0.1
    page.close()


def test_the_source_stays_in_sight_on_a_phone(phone):
    turn_to(phone, "Attention")
    stack = phone.locator("#stage-attention .fig.negcut .stack").last
    stack.scroll_into_view_if_needed()
    lookout = phone.locator("#stage-attention .lookout")
    box, below = lookout.bounding_box(), stack.bounding_box()
    assert box["y"] == 0 and box["height"] < 844 / 2 and lookout.locator(".ring").count() == 1
    assert below["y"] < 844 and below["y"] + below["height"] > box["height"]  # a map in sight together with it
    place = lookout.locator(".stack").bounding_box()
    phone.mouse.click(place["x"] + 3, place["y"] + 3)
    phone.wait_for_selector("#stage-attention .lookout:has-text('row 1, column 1')")  # and the query is chosen on it


def test_on_a_tablet_ticks_do_not_collide_and_all_tabs_are_there(page):
    page.set_viewport_size({"width": 820, "height": 1100})
    tabs = [tab.inner_text() for tab in page.get_by_role("tab").all() if tab.is_visible()]
    assert tabs[0] == "Compare" and tabs[-1] == "About" and len(tabs) >= 7
    for name in ("Anchors", "Attention", "Loss"):
        turn_to(page, name)
        assert page.evaluate(COLLIDING) == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 820


@pytest.mark.parametrize("width", [390, 820])
def test_no_control_is_cut_off(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert cut_off(page) == []
    for name in ("Anchors", "Attention", "Negatives", "Loss", "What if", "Film"):
        turn_to(page, name)
        assert cut_off(page) == [], name


def test_by_keyboard(browser, app):
    page = visit(browser, app)
    page.keyboard.press("Tab")
    page.wait_for_function("document.activeElement.getBoundingClientRect().x > 0")
    assert page.evaluate("document.activeElement.innerText") == "To the pages"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Compare"
    for key, tab in (("ArrowRight", "Anchors"), ("End", "About"), ("ArrowRight", "Compare"), ("ArrowLeft", "About")):
        page.keyboard.press(key)
        page.wait_for_function(f"document.querySelector('[role=tab][aria-selected=true]').innerText == '{tab}'")
        assert page.evaluate("document.activeElement.innerText") == tab
    page.close()


def test_a_link_within_the_page_does_not_load_it_anew(page):
    page.get_by_title("Example: two horses").click()
    page.wait_for_function("location.search.includes('example=')")
    page.evaluate("window.mark = 1")
    page.get_by_role("tab", name="About", exact=True).click()
    page.locator("#about nav a").last.click()
    page.wait_for_function("document.activeElement.innerText === 'Settings' && document.activeElement.tagName === 'H2'")
    assert page.evaluate("window.mark") == 1 and page.evaluate("scrollY") > 0


def test_what_is_pressed_is_large_enough_and_changes_are_told(page):
    assert page.evaluate(SMALL) == []
    turn_to(page, "Attention")
    assert page.evaluate(SMALL) == []
    page.get_by_label("384").check()
    page.wait_for_function("document.querySelector('#said').innerText.includes('made with other settings')")
    assert page.locator("#said").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("name", ["Anchors", "Film"])
def test_on_a_phone_the_line_over_a_page_has_no_hole(phone, name):
    phone.get_by_role("tab", name=name, exact=True).click()
    phone.wait_for_selector(f"#stage-{name.lower()} .fig.cut")
    heights = "(e) => [...e.children].filter((c) => c.offsetParent).map((c) => c.offsetHeight)"
    line = phone.locator(".line:visible").first.evaluate(heights)
    assert len(line) >= 2 and max(line) < 60
