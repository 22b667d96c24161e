"""The pages beside Compare, in a browser."""

import itertools
import random
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from qsneg.inspect.features import Grid

PAGES = {
    "anchors": "Anchors",
    "attention": "Attention",
    "negatives": "Negatives",
    "loss": "Loss",
    "what-if": "What if",
    "film": "Film",
}


def turn_to(page, name: str) -> None:
    """Choose a tab and wait until its page is filled."""
    page.get_by_role("tab", name=PAGES[name], exact=True).click()
    page.wait_for_selector(f"#stage-{name} .fig.cut .stack", timeout=40000)


def calm(page) -> None:
    """Wait until what the page has asked is answered: who leaves before is told so on the console."""
    page.wait_for_timeout(1500)
    for _ in range(300):
        if not page.asked:
            break
        page.wait_for_timeout(100)


def query_is(page, name: str, row: int, column: int) -> None:
    """Wait until a page says that its query is there, in its words and in its fields."""
    page.wait_for_selector(f"#stage-{name} .fig.source:has-text('row {row}, column {column}')", timeout=15000)
    values = [page.locator(f".tabitem:visible .control.{c} input").input_value() for c in ("row", "column")]
    assert values == [str(row), str(column)]


def aim(page, name: str, x: float, y: float) -> None:
    """Click the source of a page at a pixel of the picture."""
    stack = page.locator(f"#stage-{name} .fig.source .aim").first
    stack.scroll_into_view_if_needed()
    box, width, height = stack.bounding_box(), *(int(stack.get_attribute(f"data-{s}")) for s in ("width", "height"))
    page.mouse.click(box["x"] + (x + 0.5) / width * box["width"], box["y"] + (y + 0.5) / height * box["height"])


def test_pages_are_filled_for_a_first_visitor(page):
    for name in PAGES:
        turn_to(page, name)
        methods = ["cut", "qs-attn"] if name == "film" else ["cut", "qs-attn", "negcut"]
        boxes = [page.locator(f"#stage-{name} .fig.{m} .stack").first.bounding_box() for m in ("source", *methods)]
        assert len({(round(b["y"]), round(b["width"]), round(b["height"])) for b in boxes}) == 1  # one row, equal sizes
        assert max(b["x"] + b["width"] for b in boxes) <= 1440
        assert page.locator(f"#stage-{name} .bar").count() >= 3
        page.locator(".tabitem:visible .formula summary").click()
        assert page.locator(".tabitem:visible .formula a").first.get_attribute("href").startswith("https://arxiv.org")
    assert "NEGCUT: no film beside its weights" in page.locator("#stage-film").inner_text()


def test_a_drawn_scene_in_all_pages(page):
    turn_to(page, "anchors")
    page.get_by_title("Example: a dark horse trotting").click()  # the page that is looked at follows
    page.wait_for_selector(".tabitem:visible .summary:has-text('Drawn horse to zebra')", timeout=40000)
    for name in ("anchors", "attention", "negatives", "loss"):
        turn_to(page, name)
        page.wait_for_selector(".tabitem:visible .summary:has-text('256 × 256')", timeout=20000)
        if name != "negatives":  # where all papers' weightings are shown
            assert page.locator(f"#stage-{name} .fig.negcut").count() == 0  # it has no weights
    page.get_by_role("tab", name="Film", exact=True).click()
    page.wait_for_selector("#stage-film:has-text('CUT: no film')")


def test_a_click_selects_its_patch_on_a_padded_picture(page, odd):
    page.locator("#picture .icon-button").last.click()
    page.locator("#picture input[type=file]").first.set_input_files(odd)
    page.wait_for_selector("#picture img")
    page.locator("#go").click()
    page.wait_for_selector(".summary:has-text('298 × 256')")
    turn_to(page, "attention")
    for x, y in ((0, 0), (297, 255), (150, 33)):
        aim(page, "attention", x, y)
        query_is(page, "attention", y // 4, x // 4)
        ring = page.locator("#stage-attention .fig.source .ring circle").first
        assert [ring.get_attribute(c) for c in ("cx", "cy")] == [f"{4 * (v // 4) + 0.5}" for v in (x, y)]
    turn_to(page, "negatives")  # the same patch
    query_is(page, "negatives", 8, 37)
    page.locator(".tabitem:visible .control.layer label:has-text('0')").first.click()
    page.wait_for_selector("#stage-negatives .fig.source:has-text('column 153')")
    row, column = (int(page.locator(f".tabitem:visible .control.{c} input").input_value()) for c in ("row", "column"))
    # layer 0 begins 3 pixels outside the picture, which is shown smaller than it is: a click is a pixel off at most
    assert abs(row - (33 + 3)) <= 1 and column == 150 + 3
    assert "local mode is shown" in page.locator(".tabitem:visible .summary").inner_text()
    aim(page, "negatives", 297, 0)
    query_is(page, "negatives", 3, 300)
    turn_to(page, "attention")
    query_is(page, "attention", 3, 300)  # layer and query are carried over


def test_the_keyboard_moves_the_query(page):
    turn_to(page, "attention")
    row, column = (int(page.locator(f".tabitem:visible .control.{c} input").input_value()) for c in ("row", "column"))
    page.locator("#stage-attention .fig.source .aim").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    query_is(page, "attention", row + 1, column + 2)
    page.keyboard.press("ArrowUp")  # the picture has kept the focus
    query_is(page, "attention", row, column + 2)
    field = page.locator(".tabitem:visible .control.row input")
    field.fill("5")
    field.press("Enter")
    query_is(page, "attention", 5, column + 2)
    field.fill("9999")  # beyond the picture: its edge
    field.press("Enter")
    page.wait_for_function(
        "document.querySelector('#stage-attention .fig.source .words').innerText.includes('row 63,')"
    )


def test_controls_change_what_is_seen(page):
    turn_to(page, "anchors")
    page.locator(".tabitem:visible .control.layer label:has-text('16')").click()
    page.wait_for_selector("#stage-anchors .title:has-text('layer 16, global')", timeout=40000)
    assert "by rank" in page.locator("#stage-anchors .bar").first.inner_text()  # that layer's own scale
    page.locator(".tabitem:visible .control.scale label:has-text('linear')").click()
    page.wait_for_selector("#stage-anchors .bar:has-text('linear')")
    page.locator(".tabitem:visible .control.mode label:has-text('local + global')").click()
    page.wait_for_selector("#stage-anchors .title:has-text('local + global')", timeout=40000)
    number = page.locator(".tabitem:visible .control.anchors input[type=number]")
    number.fill("64")
    page.wait_for_selector("#stage-anchors .title:has-text('the 64 positions')")
    seed = page.locator(".tabitem:visible .control.seed input[type=range]")
    before = page.locator("#stage-anchors .fig.source path").first.get_attribute("d")
    for _ in range(5):
        seed.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('#stage-anchors .fig.source path').getAttribute('d') != '{before}'")
    page.wait_for_timeout(500)
    assert seed.input_value() == "5"  # a late answer does not move it back
    slider = page.locator(".tabitem:visible .control.opacity input[type=range]")
    slider.focus()
    slider.press("Home")
    page.wait_for_function("getComputedStyle(document.querySelector('#stage-anchors .over')).opacity == 0")


def test_heat_maps_are_png_with_a_pixel_per_position(page):
    turn_to(page, "loss")
    over = page.locator("#stage-loss .fig.cut img.over").first
    assert over.get_attribute("src").startswith("data:image/png")
    assert over.evaluate("e => [e.naturalWidth, e.naturalHeight, getComputedStyle(e).imageRendering]") == [
        65,  # 256 pixels from the middle of one cell: the last reaches over the edge
        65,
        "pixelated",
    ]


def test_values_are_told_under_the_pointer(page):
    """The same as the click there says, without moving anything on the page."""
    turn_to(page, "loss")
    over = page.locator("#stage-loss .fig.cut img.over").first
    over.scroll_into_view_if_needed()
    box, told = over.bounding_box(), page.locator(".value")
    assert told.is_hidden()
    page.mouse.move(box["x"] + box["width"] * (16.5 / 65), box["y"] + box["height"] * (40.5 / 65))  # of 65 cells
    assert re.fullmatch(r"row 40, column 16: \S+ contrastive loss, nats", told.inner_text())
    assert over.bounding_box() == box
    page.mouse.move(5, 5)
    assert told.is_hidden()
    turn_to(page, "what-if")
    over = page.locator("#stage-what-if .fig.cut img.over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    at = box["x"] + box["width"] * (20.5 / 65), box["y"] + box["height"] * (10.5 / 65)
    page.mouse.move(*at)
    value = told.locator("b").inner_text()
    stack = page.locator("#stage-what-if .fig.cut .aim").first.bounding_box()
    grid = Grid(12, (64, 64), (256, 256), 4, 0)
    for x, y in itertools.pairwise(random.Random(0).choices(range(256), k=60) + [0, 0, 255, 255, 0]):
        for part in (0.2, 0.8):  # wherever on a pixel: what is told is what a click there chooses
            place = (stack[c] + (v + part) / 256 * stack[s] for c, s, v in (("x", "width", x), ("y", "height", y)))
            page.mouse.move(*place)
            row, column = grid.position(x, y)
            assert told.inner_text().startswith(f"row {row}, column {column}: "), (x, y, part)
    page.mouse.move(*at)
    page.mouse.click(*at)
    page.wait_for_selector(f"#stage-what-if .fig.cut .words:has-text('At the chosen patch {value} nats')")


def test_the_film_plays_and_its_slider_moves_all_methods(page):
    turn_to(page, "film")
    shown = "[...document.querySelectorAll('#stage-film .fig.%s .layer:not([hidden])')].map(e => e.dataset.from).join()"
    slider = page.locator("#stage-film .transport input")
    assert page.evaluate(shown % "cut") == "2,2,2" and page.evaluate(shown % "qs-attn") == "2,2,2"
    slider.focus()
    slider.press("ArrowLeft")
    assert page.locator("#stage-film output").inner_text() == "step 10"
    assert page.evaluate(shown % "cut") == "1,1,1" and page.evaluate(shown % "qs-attn") == "0,0,0"
    page.locator("#stage-film .play").press("Enter")
    page.wait_for_function("document.querySelector('#stage-film output').innerText == 'step 20'")
    page.wait_for_function("document.querySelector('#stage-film .play').innerText == 'Play'")
    page.locator(".tabitem:visible .control.layer label:has-text('12')").click()
    page.wait_for_selector("#stage-film .title:has-text('layer 12')")


def test_the_address_restores_what_was_looked_at(page, app):
    turn_to(page, "attention")
    aim(page, "attention", 200, 33)
    query_is(page, "attention", 8, 50)
    page.locator(".tabitem:visible .control.layer label:has-text('16')").click()
    page.wait_for_function("location.search.includes('layer=16')")
    address = page.evaluate("location.search")
    assert re.match(r"\?family=day2sunset&example=[a-z-]+&size=256&tab=attention&methods=cut,qs-attn,negcut", address)
    assert re.search(r"at=(199|200|201),3[234]$", address)  # the picture is shown smaller or larger than it is
    page.goto(app + address)  # a pasted link
    page.wait_for_selector("#stage-attention .title:has-text('layer 16')", timeout=60000)
    query_is(page, "attention", 8, 50)
    assert page.locator(".control.layer:visible input:checked").input_value() == "16"
    turn_to(page, "loss")
    page.wait_for_function("location.search.includes('tab=loss')")
    page.go_back()
    page.wait_for_selector("#stage-attention .fig.source:has-text('row 8, column 50')", timeout=60000)


def test_the_address_holds_the_page_of_the_cards(page, app):
    page.get_by_role("tab", name="About").click()
    page.wait_for_function("location.search.includes('tab=about')")
    calm(page)
    page.goto(app + page.evaluate("location.search"))  # a pasted link
    page.wait_for_selector("#about h1, #about h2", state="visible")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_function("location.search.includes('tab=compare')")
    page.locator("#to-cards").click()
    page.wait_for_function("location.search.includes('tab=about')")
    calm(page)
    page.go_back()
    page.wait_for_selector("#go", state="visible")
    page.wait_for_function("document.querySelector('[role=tab][aria-selected=true]').innerText == 'Compare'")


def test_an_address_of_an_upload_says_so(page, app):
    calm(page)
    page.goto(f"{app}?family=day2sunset&example=upload&tab=compare")
    page.wait_for_function("location.search.includes('example=') && !document.querySelector('#stop')?.offsetParent")
    page.wait_for_selector(".summary:has-text('256 × 256')")
    said = page.locator(".refused:has-text('addresses do not hold those')")
    said.wait_for()
    page.locator("#go").click()  # a translation of what is there does not wipe it
    page.wait_for_selector("#stop", state="visible")
    page.wait_for_selector("#go", state="visible")
    assert said.is_visible()
    page.get_by_title("Example: two horses").click()
    said.wait_for(state="hidden")


def test_the_film_is_a_file_to_pass_on(page):
    turn_to(page, "film")
    assert page.locator("#stage-film h3.title", has_text="Anchors that stay").count() == 1
    for name, kind in (("WebP", "webp"), ("GIF", "gif")):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        assert download.value.suggested_filename == f"qsneg-film-day2sunset-picture-1.{kind}"
        with Image.open(download.value.path()) as film:
            assert film.n_frames == 3 and film.width > 3 * 256
    said = page.locator("#stage-film").locator("xpath=ancestor::*[contains(@class, 'tabitem')]").inner_text()
    assert "Drawing" not in said and "Writing" not in said


@pytest.mark.parametrize("name", ["attention", "film"])
def test_everything_on_a_page_can_be_downloaded(page, name):
    turn_to(page, name)
    with page.expect_download() as download:
        page.locator(".tabitem:visible .quiet:has-text('everything')").click()
    assert re.match(rf"qsneg-{name}-[\w-]+-256-day2sunset", download.value.suggested_filename)
    archive = zipfile.ZipFile(download.value.path())
    endings = {Path(n).suffix for n in archive.namelist()}
    assert {".png", ".npz", ".json"} <= endings and archive.testzip() is None


def test_a_large_picture_is_inspected_smaller_and_the_page_says_so(page):
    page.get_by_label("384").check()
    page.get_by_title("Example: a lion").click()
    page.wait_for_selector(".summary:has-text('384 × 384')")
    turn_to(page, "attention")
    text = page.locator(".tabitem:visible .summary").inner_text()
    assert "inspected at 344 × 344 pixels" in text and "384 is reduced" in text


def test_the_wipe_obeys_the_keyboard(page):
    slider = page.locator("#wipe input")
    slider.scroll_into_view_if_needed()
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    pair, left = page.locator("#wipe .pair"), page.locator("#wipe .pair .left")
    assert left.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 45% 0px 0px)"
    box = pair.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 20)  # the handle goes where the pointer is
    assert abs(float(slider.input_value()) - 25) < 1


def test_any_two_pictures_lie_under_the_wipe(page):
    before = page.locator("#wipe .pair .left img").get_attribute("src")
    page.locator("#wipe select.left").select_option("qs-attn")
    page.locator("#wipe select.right").select_option("negcut")
    files = [page.locator(f"#wipe .pair .{side} img").get_attribute("src") for side in ("left", "right")]
    assert "-qs-attn-" in files[0] and "-negcut-" in files[1] and "-source-" in before
    loaded = "document.querySelector('#wipe .pair .%s img').naturalWidth"
    page.wait_for_function(f"{loaded % 'left'} > 200 && {loaded % 'right'} > 200")
    assert page.evaluate(loaded % "left") == page.evaluate(loaded % "right")
    page.get_by_title("Example: a lion").click()  # what was chosen stays
    page.wait_for_function(f"!document.querySelector('#wipe .pair .left img').src.endsWith({files[0][-60:]!r})")
    assert page.locator("#wipe select.left").input_value() == "qs-attn"


def test_all_pictures_zoom_and_move_together(page):
    pictures = "[...document.querySelectorAll('.card .image-frame img, .wipe .pair img')]"
    where = f"{pictures}.map((e) => getComputedStyle(e).transform)"
    page.locator("#zoom button").last.click()
    page.locator("#zoom button").last.click()
    assert page.locator("#zoom output").inner_text() == "225\u202f%"
    first = page.evaluate(where)
    scale = {tuple(map(float, t[7:-1].split(",")))[0] for t in first}
    assert len(first) == 6 and scale == {2.25}
    box = page.locator(".card.cut .image-frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    page.mouse.up()
    moved = [tuple(map(float, t[7:-1].split(","))) for t in page.evaluate(where)]
    shifts = [after[4] - float(t[7:-1].split(",")[4]) for after, t in zip(moved, first)]
    assert all(abs(shift - 40) < 2 for shift in shifts[:4])  # as far as the pointer
    page.mouse.dblclick(x, y)
    page.wait_for_function("document.querySelector('#zoom output').innerText.startsWith('100')")


def test_figures_stand_under_every_translation(page):
    for method in ("cut", "qs-attn", "negcut"):
        assert re.fullmatch(
            r"Edges kept\s+\d\.\d\d\s+Shapes kept\s+\d\.\d\d\s+Like its source\s+\d\.\d\d",
            page.locator(f".card.{method} .kept").inner_text().strip(),
        )
    assert "Measured at" in page.locator(".card.source .note").inner_text()
    assert page.locator(".verdict li").count() == 4  # three figures, and that there is no spread
    page.get_by_title("Example: a dark horse trotting").click()
    page.wait_for_selector(".summary:has-text('Drawn horse to zebra')")
    page.wait_for_selector(".card.cut .kept:has-text('Off the truth')")


def test_phone_pages_do_not_overflow(page):
    page.set_viewport_size({"width": 390, "height": 844})
    calm(page)
    page.reload()
    page.wait_for_selector(".card.negcut img")
    for name in PAGES:
        turn_to(page, name)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        pictures = page.locator(f"#stage-{name} .fig.cut .stack, #stage-{name} .fig.qs-attn .stack")
        boxes = [pictures.nth(n).bounding_box() for n in range(2)]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"] and boxes[0]["width"] > 280  # stacked, wide
