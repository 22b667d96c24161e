"""Numbers in a visitor's hands: what is typed is rounded, clamped or kept, with a word; nothing goes blank."""

import html
import inspect

import gradio as gr
import pytest

from qsneg.pages.selection import Selection
from qsneg.ui.components import Track
from tests.ui.test_parts import after, folder, models, picture, subject  # noqa: F401 (fixtures)
from tests.ui.test_parts import app as parts  # noqa: F401

TABS = {"anchors": "Anchors", "attention": "Attention", "negatives": "Negatives"}


@pytest.fixture
def numbers(parts):  # noqa: F811
    """Every field for a number of every page."""
    found = [m for page in parts.pages for m in page.controls if isinstance(m.component, gr.Number | gr.Slider)]
    assert {m.control.name for m in found} >= {"row", "column", "anchors", "seed", "count", "radius"}
    return [moved for moved in found if moved.control.fields]


def test_every_number_is_rounded_clamped_or_kept_with_a_word(numbers, subject):  # noqa: F811
    for moved in numbers:
        filled = after(moved.page.fill(subject, Selection(most=10000), None, None))
        shown, before = filled[moved.page.shown], filled[moved.component]["value"]
        least, most = moved.control.bounds(shown[1], moved.page.views.get(subject, subject.methods[0]))
        wanted = {
            3.7: 4 if least <= 4 else least,
            99999: most,
            -5: least,
            None: before,
            float("nan"): before,
            "x": before,
            10**400: before,
        }
        for typed, taken in wanted.items():
            payload = moved.component.preprocess(typed)
            event = gr.EventData(moved.component, payload)
            done = after(moved.settle(subject, shown[1], shown, subject, payload, event))
            word = html.unescape(done[moved.page.status.place]["value"])
            assert done[moved.component]["value"] == taken, (moved.page.page.name, moved.control.name, typed, shown[1])
            assert moved.control.label in word and str(taken) in word
            typing = after(moved.obey(subject, shown[1], shown, subject, payload))
            assert moved.component not in typing and html.unescape(typing[moved.page.status.place]["value"]) == word
        done = after(moved.obey(subject, shown[1], shown, subject, before))
        assert not done[moved.page.status.place]["visible"]  # an ordinary number needs no word


def test_what_gradio_has_moved_into_the_bounds_counts_as_it_was_typed(numbers, subject):  # noqa: F811
    (moved,) = [moved for moved in numbers if moved.control.name == "count"]
    assert isinstance(moved.component, Track)
    filled = after(moved.page.fill(subject, Selection(most=10000), None, None))
    shown = filled[moved.page.shown]
    done = after(moved.settle(subject, shown[1], shown, subject, 1, gr.EventData(moved.component, None)))
    assert done[moved.component]["value"] == 6  # the field was emptied: not its least number


def test_no_handler_is_silent(parts):  # noqa: F811
    """A generator that yields nothing blanks all its outputs."""
    found = []
    for page in parts.pages:
        for handler in (page.opened, page.aimed, *(h for m in page.controls for h in (m.obey, m.settle))):
            names = inspect.signature(handler).parameters
            values = dict(subject=None, selection=Selection(), shown=None, held=None, value=None, latest=None)
            event = gr.EventData(page.stage, {"x": 1, "y": 1})
            found.append(list(handler(**{n: event if n == "event" else values[n] for n in names})))
    assert len(found) > 40 and all(found)


# --- in the browser ---


@pytest.mark.parametrize("name, field", [("attention", "row"), ("negatives", "column"), ("anchors", "anchors")])
def test_clearing_and_typing_a_number_the_ordinary_way(page, name, field):
    page.get_by_role("tab", name=TABS[name], exact=True).click()
    page.wait_for_selector(f"#stage-{name} .fig.cut .stack", timeout=40000)
    number = page.locator(f".tabitem:visible .control.{field} input[type=number]")
    before = number.input_value()
    number.click()
    number.press("ControlOrMeta+a")
    number.press("Delete")
    said = page.locator(".tabitem:visible p.status")
    said.filter(has_text="there is no number in the field").wait_for()
    assert number.input_value() == ""  # nobody is disturbed while typing
    assert page.locator(f"#stage-{name} .fig.cut .stack").count()
    number.press_sequentially("20")
    said.wait_for(state="hidden")
    assert number.input_value() == "20"
    number.fill("")
    number.press("Tab")
    page.wait_for_function("e => e.value == '20'", arg=number.element_handle())
    number.fill("23.7")
    number.press("Tab")
    page.wait_for_function("e => e.value == '24'", arg=number.element_handle())
    number.fill("99999")
    number.press("Tab")
    page.wait_for_function("e => e.value != '99999'", arg=number.element_handle())
    said.filter(has_text=f"99999 became {number.input_value()}").wait_for()
    number.fill(before)
    said.wait_for(state="hidden")
    assert page.locator(f"#stage-{name} .fig.cut .stack").count() and page.wrong == []
