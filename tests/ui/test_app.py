"""The page Compare and About in a browser."""

from tests.ui.conftest import shown, start


def test_a_first_visitor_sees_a_finished_comparison(page):
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    boxes = [page.locator(f".card.{key} img").first.bounding_box() for key in ("source", "cut", "qs-attn", "negcut")]
    assert len({(round(b["y"]), round(b["width"]), round(b["height"])) for b in boxes}) == 1  # one row, equal sizes
    assert max(b["x"] + b["width"] for b in boxes) <= 1440
    assert page.locator("#go").bounding_box()["y"] + page.locator("#go").bounding_box()["height"] <= 900
    page.wait_for_timeout(300)


def test_choosing_an_example_and_translating(page):
    page.get_by_title("Example: a lion").click()
    page.wait_for_selector(".summary:has-text('256 × 256')")
    page.get_by_label("384").check()
    page.locator("#go").click()
    page.wait_for_selector(".summary:has-text('384 × 384')")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    page.locator("#wipe select.right").select_option(label="NEGCUT")
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "qsneg-comparison-day2sunset-384.png"


def test_a_drawn_example_brings_its_counterpart_and_says_what_is_missing(page):
    page.get_by_title("Example: a dark horse trotting").click()
    page.wait_for_selector(".card.counterpart img")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "True counterpart"]
    assert "NEGCUT: no weights" in page.locator("#settings .note").inner_text()


def test_errors_stand_by_their_control_and_the_last_result_stays(page, tmp_path):
    for method in ("cut", "qs-attn", "negcut"):
        page.locator(f"#methods input[name='{method}']").uncheck()
    page.locator("#go").click()
    page.wait_for_selector("#settings .refused:has-text('tick at least one')")
    page.locator("#methods input[name='cut']").check()
    page.locator("#picture .icon-button").last.click()  # the cross
    page.locator("#go").click()
    page.wait_for_selector("#controls .refused:has-text('no picture yet')")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    (tmp_path / "note.png").write_text("hello")
    page.locator("#picture input[type=file]").first.set_input_files(tmp_path / "note.png")
    page.wait_for_selector("#controls .refused:has-text('cannot be read')")  # said at once
    page.locator("#go").click()
    page.wait_for_selector("#controls .refused:has-text('cannot be read')")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    assert not any("Traceback" in text for text in page.wrong)
    page.wrong.clear()  # refused requests are on the console


def test_the_phone_page_does_not_overflow(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector(".card.negcut img")
    for tab in ("Compare", "About"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="Compare").click()
    cards = ("source", "cut", "qs-attn", "negcut")
    tops = [page.locator(f".card.{key} img").first.bounding_box()["y"] for key in cards]
    assert tops == sorted(tops) and len(set(tops)) == 4  # stacked


def test_the_about_page_has_papers_and_cards(page):
    page.get_by_role("button", name="Model cards").click()
    page.wait_for_selector("#about:visible")
    text = page.locator("#about").inner_text()
    assert "Wang, Zhou" in text and "day2sunset" in text and "CPU" in text


def test_the_app_starts_without_weights(browser, tmp_path):
    address, process = start(tmp_path / "nothing", tmp_path, by_flag=False)
    try:
        page = browser.new_page()
        page.goto(address)
        assert "no weights in the folder 'nothing'" in page.wait_for_selector(".refused").inner_text()
        page.close()
    finally:
        process.terminate()
        process.wait(10)
