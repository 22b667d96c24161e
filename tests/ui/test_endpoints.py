"""The endpoints, through gradio_client and MCP."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsneg.rendering import sample_pictures
from qsneg.ui.uploads import Sources
from tests.ui.conftest import handle


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
    assert set(endpoints) == {
        "/translate",
        "/compare",
        "/draw",
        "/models",
        "/anchors",
        "/attention",
        "/negatives",
        "/what_if",
        "/film",
    }
    names = [p["parameter_name"] for p in endpoints["/translate"]["parameters"]]
    assert names == ["picture", "method", "family", "size"]


@pytest.mark.parametrize("wrong, words", [
    ({"picture": None}, "no picture"), ({"method": "pix2pix"}, "pix2pix"), ({"family": "cat2dog"}, "cat2dog"),
    ({"family": "horse2zebra-drawn", "method": "negcut"}, "negcut"), ({"size": 7}, "not 7"),
    ({"size": "big"}, "not big"),
    ({"picture": "note"}, "cannot be read"),
])  # fmt: skip
def test_errors_of_translating_are_one_sentence(client, photograph, tmp_path, wrong, words):
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

    with ThreadPoolExecutor() as apart:  # the browser of other tests has a loop running in this thread
        found = apart.submit(anyio.run, tools).result()
    assert set(found) == {
        "translate",
        "compare",
        "draw",
        "list_models",
        "anchors",
        "attention",
        "negatives",
        "what_if",
        "film",
    }
    assert all(found.values())


def test_endpoints_return_pictures_and_numbers(client, odd):
    sheet, facts, archive = client.predict(picture=handle(odd), size=64, layer=12, number=50, api_name="/anchors")
    assert Image.open(sheet).width > 1000 and (facts["width"], facts["height"]) == (74, 64)
    assert (
        list(facts["methods"]) == ["cut", "qs-attn", "negcut"]
        and len(facts["methods"]["cut"]["anchor_positions"]) == 50
    )
    names = zipfile.ZipFile(archive).namelist()
    assert "negcut/entropy.png" in names and "cut/arrays.npz" in names
    _, facts, archive = client.predict(picture=handle(odd), x=73, y=10, methods=["cut"], size=64, api_name="/attention")
    assert facts["methods"]["cut"]["position"] == [2, 18] and len(facts["methods"]["cut"]["nearest"]["source"]) == 6
    summary = json.loads(zipfile.ZipFile(archive).read("summary.json"))
    assert summary == facts["methods"]
    assert summary["cut"]["pixel"] == [72, 8]  # the middle of its patch, as the page says
    origin = json.loads(zipfile.ZipFile(archive).read("origin.json"))
    assert (origin["picture"], origin["working_size"], origin["family"]) == ("odd", 64, "day2sunset")
    of_cut = origin["weights"]["cut"]
    assert of_cut["file"] == "day2sunset/cut.safetensors" and len(of_cut["sha256"]) == 64 and of_cut["steps"] == 10
    assert Path(archive).name == "qsneg-attention-odd-64-day2sunset-layer-12.zip"
    _, facts, archive = client.predict(
        picture=handle(odd), x=0, y=0, methods=["negcut"], size=64, seed=1, api_name="/negatives"
    )
    found = facts["methods"]["negcut"]
    assert found["position"] == [0, 0] and found["negatives"] == "generated" and found["number"] == 16
    assert list(found["forces"]) == ["cut", "hdce", "monce", "negcut"] and found["gamma"] == 10
    arrays = np.load(io.BytesIO(zipfile.ZipFile(archive).read("negcut/arrays.npz")))
    assert arrays["generated"].shape == (16,) and arrays["generated_nearest"].shape == (16, 2)


def test_the_loss_without_any_one_negative(client, odd):
    """The third hardest alone: the sheet, what the loss is here, and where that negative lies."""
    call = dict(picture=handle(odd), x=20, y=20, methods=["cut"], size=64, api_name="/what_if")
    _, facts, archive = client.predict(**call)
    whole = facts["methods"]["cut"]
    assert whole["taken_away"] == 0 and whole["loss_here_nats"] == pytest.approx(
        np.load(io.BytesIO(zipfile.ZipFile(archive).read("cut/arrays.npz")))["loss"][tuple(whole["position"])]
    )
    places = []
    for first in (1, 3):
        found = client.predict(**call, away=1, first=first)[1]["methods"]["cut"]
        assert found["taken_away"] == 1 and found["negatives"] == whole["negatives"] - 1
        assert found["loss_here_nats"] < whole["loss_here_nats"]
        places += found["taken_away_at"]
    assert len(places) == 2 and places[0] != places[1]


@pytest.mark.parametrize("name, wrong, words", [
    ("/anchors", {"layer": 13}, "no layer 13"), ("/anchors", {"number": -1}, "number of places"),
    ("/attention", {"mode": "near"}, "Unknown attention mode"), ("/negatives", {"seed": -1}, "seed"),
    ("/what_if", {"first": 0}, "first that is taken away"), ("/what_if", {"negatives": 1.5}, "number of negatives"),
    ("/negatives", {"gamma": 9}, "γ of hDCE"),
    ("/negatives", {"methods": ["pix2pix"]}, "pix2pix"), ("/attention", {"picture": None}, "no picture"),
    ("/attention", {"x": "left"}, "must be a whole number"),
])  # fmt: skip
def test_errors_of_looking_are_one_sentence(client, odd, name, wrong, words):
    with pytest.raises(Exception) as error:
        client.predict(**{"picture": handle(odd), "size": 64, **wrong}, api_name=name)
    message = str(error.value)
    assert words in message and message.endswith(".") and "Traceback" not in message


def test_the_film_and_its_numbers(client):
    """The numbers are those that the page and its zip have."""
    path, facts = client.predict(family="day2sunset", number=2, layer=12, api_name="/film")
    with Image.open(path) as film:
        assert film.format == "WEBP" and film.n_frames == 3
    assert set(facts["methods"]) == {"cut", "qs-attn"} and "negcut" in facts["absent"]
    found = facts["methods"]["cut"]
    assert (found["picture"], found["layer"], found["anchors"]) == (2, 12, 256)
    assert list(found["anchors_that_stay"]) == ["10", "20"] and found["share_by_chance"] == 0.1111
    for wrong, words in (
        ({"number": 5}, "from 1 to 4, not 5"), ({"layer": 8}, "layers 12 and 16, not 8"),
        ({"family": "cat2dog"}, "cat2dog"), ({"family": "horse2zebra-drawn"}, "There is no film"),
        ({"methods": ["negcut"]}, "There is no film"), ({"number": "two"}, "whole number"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=words) as error:
            client.predict(**{"family": "day2sunset", "number": 1, "layer": 16} | wrong, api_name="/film")
        assert "Traceback" not in str(error.value) and "\n" not in str(error.value)
