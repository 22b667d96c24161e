"""The app from outside: its endpoints through gradio_client, its page through a browser. Models are tiny and random."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from qsneg.rendering import sample_pictures
from qsneg.ui.about import about, demoted
from qsneg.ui.compare import Comparison, compare, labelled, pictures
from qsneg.ui.models import Models
from qsneg.ui.uploads import Refused, Source, Sources
from qsneg.weights import load, save
from tests.ui.conftest import handle, shown, start


@pytest.fixture(scope="module")
def models(checkpoints):
    return Models(checkpoints, "cpu")


# --- compare.py ---


def test_families_and_methods_come_in_order(models):
    assert models.families() == {"day2sunset": ["cut", "qs-attn", "negcut"], "horse2zebra-drawn": ["cut", "qs-attn"]}


def test_compare_says_each_step_and_ends_with_pictures_of_one_size(models, photograph):
    *steps, result = compare(models, Sources().read(photograph), "day2sunset", ["negcut", "cut"], 64)
    assert steps == ["CUT: translating, 1 of 2", "NEGCUT: translating, 2 of 2"]
    assert isinstance(result, Comparison) and result.counterpart is None
    assert {image.size for _, _, image in pictures(result)} == {(96, 64)}
    assert 0 < result.seconds < 30


def test_a_drawn_scene_is_known_by_its_text_and_brings_its_counterpart(models, tmp_path):
    example = next(e for e in sample_pictures.examples() if e.index is not None)
    image = example.picture(128)
    source = Source.of(image)
    assert source.seed == sample_pictures.test_seed(example.index)
    *_, result = compare(models, source, "horse2zebra-drawn", ["cut"], 64)
    assert result.counterpart.tobytes() == sample_pictures.scene(source.seed, 64, "B").tobytes()
    image.putpixel((0, 0), (1, 2, 3))  # no longer that scene
    assert Source.of(image).seed is None
    *_, result = compare(models, source, "day2sunset", ["cut"], 64)
    assert result.counterpart is None


def test_the_labelled_picture_holds_every_picture_untouched(models, photograph):
    *_, result = compare(models, Sources().read(photograph), "day2sunset", ["cut", "qs-attn", "negcut"], 64)
    sheet = labelled(result)
    assert sheet.width > 4 * 96 and sheet.height > 64
    rows = {tuple(sheet.crop((x, y, x + 96, y + 1)).tobytes()) for x in range(60) for y in range(sheet.height)}
    assert tuple(result.source.crop((0, 10, 96, 11)).tobytes()) in rows


def test_models_are_kept_up_to_a_bound(checkpoints):
    models = Models(checkpoints, "cpu", keep=2)
    first = models.translator("day2sunset", "cut")
    assert models.translator("day2sunset", "cut") is first
    models.translator("day2sunset", "negcut"), models.translator("day2sunset", "qs-attn")
    assert models.translator("day2sunset", "cut") is not first


@pytest.mark.parametrize("control, family, methods, size", [
    ("family", "cat2dog", ["cut"], 64), ("methods", "day2sunset", [], 64),
    ("methods", "horse2zebra-drawn", ["negcut"], 64),
    ("size", "day2sunset", ["cut"], 63), ("size", "day2sunset", ["cut"], 4096), ("size", "day2sunset", ["cut"], None),
])  # fmt: skip
def test_refusals_name_the_control(models, photograph, control, family, methods, size):
    with pytest.raises(Refused) as refusal:
        list(compare(models, Sources().read(photograph), family, methods, size))
    assert refusal.value.control == control and str(refusal.value).endswith(".")


def test_a_translation_too_large_is_refused_before_it_is_made(models):
    with pytest.raises(Refused, match="megapixels") as refusal:
        list(compare(models, Source.of(Image.new("RGB", (600, 20000))), "day2sunset", ["cut"], 768))
    assert refusal.value.control == "size"


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "note.png").write_text("hello")
    for path in (None, tmp_path / "note.png", tmp_path / "none.png"):
        with pytest.raises(Refused) as refusal:
            Sources().read(path)
        assert refusal.value.control == "picture" and str(tmp_path) not in str(refusal.value)


def test_a_folder_without_weights_and_a_broken_file_are_refused(tmp_path, photograph):
    source = Sources().read(photograph)
    with pytest.raises(Refused, match="no weights"):
        list(compare(Models(tmp_path, "cpu"), source, "day2sunset", ["cut"], 64))
    (tmp_path / "day2sunset").mkdir()
    (tmp_path / "day2sunset" / "cut.safetensors").write_bytes(b"broken")
    with pytest.raises(Refused, match="cannot be read"):
        list(compare(Models(tmp_path, "cpu"), source, "day2sunset", ["cut"], 64))
    assert Models(tmp_path, "cpu").card("day2sunset", "cut") == {}


# --- about.py ---


def test_a_readme_becomes_part_of_the_page(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "sheet.webp")
    (tmp_path / "README.md").write_text(
        "---\nlicense: mit\n---\n# day2sunset\n\n## Models\n\n```\n# a comment\n```\n"
        "![a sheet](sheet.webp)![gone](gone.png)\n"
    )
    text = demoted(tmp_path / "README.md")
    assert text.startswith("#### Models") and "\n# a comment" in text
    assert "license" not in text and "day2sunset" not in text
    assert text.count("<img") == 1 and 'src="data:image/webp;base64,' in text and "gone" not in text


def test_what_comes_from_files_is_escaped(checkpoints, tmp_path):
    shutil.copytree(checkpoints / "day2sunset", tmp_path / "<b>")
    weights = load("<b>/cut", tmp_path)
    weights.card["data"] = "<script>"
    save(weights, tmp_path / "<b>" / "cut.safetensors")
    text = about(Models(tmp_path, "cpu"))
    assert "<script>" not in text and "&lt;script&gt;" in text and "<b>" not in text


# --- the app's endpoints ---


@pytest.fixture(scope="module")
def client(app, tmp_path_factory):
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(app, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def test_translate_endpoint(client, photograph):
    picture = handle(photograph)
    path = client.predict(picture=picture, method="qs-attn", family="day2sunset", size=96, api_name="/translate")
    assert Image.open(path).size == (144, 96) and Path(path).name == "qsneg-qs-attn-day2sunset-96.png"


def test_compare_endpoint_and_the_cache(client, photograph):
    first = client.predict(picture=handle(photograph), size=96, api_name="/compare")
    again = client.predict(picture=handle(photograph), size=96, api_name="/compare")
    assert list(first[1]["seconds"]) == ["cut", "qs-attn", "negcut"] and first[1]["width"] == 144
    assert first[1]["seconds"] == again[1]["seconds"]  # to the millisecond: computed once


def test_models_and_draw_endpoints(client):
    models = client.predict(api_name="/models")
    assert [m["name"] for m in models][:2] == ["day2sunset/cut", "day2sunset/qs-attn"]
    assert models[0]["card"]["steps"] == 10
    scene, counterpart = client.predict(index=5, size=64, api_name="/draw")
    assert Sources().read(scene).seed == sample_pictures.test_seed(5) and Image.open(counterpart).size == (64, 64)


def test_endpoints_are_typed_and_described(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/translate", "/compare", "/draw", "/models", "/anchors", "/attention", "/negatives"}
    names = [p["parameter_name"] for p in endpoints["/translate"]["parameters"]]
    assert names == ["picture", "method", "family", "size"]


@pytest.mark.parametrize("wrong, words", [
    ({"picture": None}, "no picture"), ({"method": "pix2pix"}, "pix2pix"), ({"family": "cat2dog"}, "cat2dog"),
    ({"family": "horse2zebra-drawn", "method": "negcut"}, "negcut"), ({"size": 7}, "not 7"),
    ({"size": "big"}, "not big"),
    ({"picture": "note"}, "cannot be read"),
])  # fmt: skip
def test_errors_are_one_sentence(client, photograph, tmp_path, wrong, words):
    (tmp_path / "note.png").write_text("hello")
    wrong = {**wrong, "picture": handle(tmp_path / "note.png")} if wrong.get("picture") == "note" else wrong
    with pytest.raises(Exception) as error:
        client.predict(**{"picture": handle(photograph), "size": 64, **wrong}, api_name="/translate")
    message = str(error.value)
    assert words in message and message.endswith(".") and "\n" not in message and "Traceback" not in message


def test_mcp_offers_the_endpoints(app):
    pytest.importorskip("mcp")
    anyio = pytest.importorskip("anyio")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def tools():
        client = streamablehttp_client(f"{app}gradio_api/mcp/")
        async with client as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return {tool.name: tool.description for tool in (await session.list_tools()).tools}

    found = anyio.run(tools)
    assert set(found) == {"translate", "compare", "draw", "list_models", "anchors", "attention", "negatives"}
    assert all(found.values())


# --- the page ---


def test_a_first_visitor_sees_a_finished_comparison(page):
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    boxes = [page.locator(f".card.{key} img").first.bounding_box() for key in ("source", "cut", "qs-attn", "negcut")]
    assert len({(round(b["y"]), round(b["width"]), round(b["height"])) for b in boxes}) == 1  # one row, equal sizes
    assert max(b["x"] + b["width"] for b in boxes) <= 1440
    assert page.locator("#go").bounding_box()["y"] + page.locator("#go").bounding_box()["height"] <= 900
    page.wait_for_timeout(300)
    assert page.wrong == []


def test_choosing_an_example_and_translating(page):
    page.get_by_title("Example: a lion").click()
    page.wait_for_selector(".summary:has-text('256 × 256')")
    page.get_by_label("384").check()
    page.locator("#go").click()
    page.wait_for_selector(".summary:has-text('384 × 384')")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "NEGCUT"]
    page.locator("#wipe-choice label:has-text('NEGCUT')").click()
    page.wait_for_selector(".ends:has-text('NEGCUT')")
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "qsneg-comparison-day2sunset-384.png"
    assert page.wrong == []


def test_a_drawn_example_brings_its_counterpart_and_says_what_is_missing(page):
    page.get_by_title("Example: a dark horse trotting").click()
    page.wait_for_selector(".card.counterpart img")
    assert shown(page) == ["Source", "CUT", "QS-Attn", "True counterpart"]
    assert "NEGCUT: no weights" in page.locator("#settings .note").inner_text()
    assert page.wrong == []


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
