"""The address holds what is looked at, and restores it."""

import pytest

from qsneg.pages.selection import Selection
from qsneg.ui.address import FIELDS, read, written
from qsneg.ui.selection import Subject, chosen

FAMILIES = {"day2sunset": ["cut", "qs-attn", "negcut"], "horse2zebra-drawn": ["cut", "qs-attn"]}
SUBJECT = Subject("/a.png", "1", "horse2zebra-drawn", ("cut", "own"), 384)


def test_what_is_written_is_read():
    selection = chosen(
        x=20.0, y=31.0, layer=16, mode="local", seed=3, method="cut", gamma=20, tau=30, away=1, scale="linear"
    )
    address = written(SUBJECT, selection, "anchors", "a-lion")
    assert address.startswith(
        "?family=horse2zebra-drawn&example=a-lion&size=384&tab=anchors&methods=cut&layer=16&mode=local"
    )
    assert address.endswith("at=20,31") and "own" not in address
    wanted = read(address, FAMILIES)
    assert (wanted.family, wanted.methods, wanted.size) == ("horse2zebra-drawn", ("cut",), 384)
    assert (wanted.example, wanted.page, wanted.selection) == ("a-lion", "anchors", selection)


def test_only_what_differs_is_written():
    address = written(SUBJECT, chosen(x=20, y=31, size=(64, 40), patches=12, methods=("cut",)), "compare", "")
    assert address == "?family=horse2zebra-drawn&example=upload&size=384&tab=compare&methods=cut"
    assert set(FIELDS) == {
        "layer", "mode", "anchors", "scale", "count", "radius", "seed", "method", "gamma", "rivals", "tau", "away",
        "first", "click", "near_x", "near_y", "pixels", "picture", "film_layer", "film_scale",
    }  # fmt: skip


def test_where_negatives_were_taken_away_comes_back():
    selection = chosen(x=20.0, y=31.0, away=1, click=1, near_x=50, near_y=0)
    assert read(written(SUBJECT, selection, "what-if", ""), FAMILIES).selection == selection
    assert selection.on((64, 40)).near_x == 50  # the picture that the address is of, once it is there


@pytest.mark.parametrize("address", [
    "", "?", "?family=paintings", "?methods=pix2pix,../x", "?size=99999999", "?size=-1", "?tab=<b>", "?at=1",
    "?at=a,b",
    "?layer=x", "?layer=1e9", "?at=" + "9" * 5000, "?seed=\u0661", "&&&===", "?most=3&patches=5&size=",
])  # fmt: skip
def test_what_makes_no_sense_is_left_out(address):
    wanted = read(address, FAMILIES)
    assert (wanted.family, wanted.methods, wanted.size, wanted.page) == (None, (), None, "compare")
    assert wanted.selection == chosen()


def test_pages_that_do_not_look_inside_have_an_address_too():
    assert read("?tab=about", FAMILIES, ("about", "learn")).page == "about"
    assert read("?tab=learn", FAMILIES, ("about",)).page == "compare"


def test_what_is_out_of_range_is_for_the_page_to_refuse():
    assert read("?layer=13&mode=near", FAMILIES).selection == chosen(layer=13, mode="near")
    assert Selection().x < 0
