"""Calls of the endpoints that nobody should make: each ends in one sentence, and the server logs no traceback."""

import json

import pytest

from qsneg.ui.arguments import in_words, methods_of, numbers, text, whole
from qsneg.ui.guarded import HALF, Sentences
from tests.odd_calls import OddCalls


@pytest.mark.parametrize(
    "value", [None, True, "64", "big", "", 3.7, float("nan"), float("inf"), 10**400, [], [1], {}, 63, 2049]
)
def test_whole_numbers_are_read_strictly(value):
    with pytest.raises(ValueError, match=r"^The size must be a whole number from 64 to 2048, not .{1,45}\.$"):
        whole("size", value, 64, 2048)
    assert whole("size", 64.0, 64, 2048) == 64


def test_names_are_read_strictly():
    assert text("family", "day2sunset") == "day2sunset" and methods_of(None) == [] and methods_of("cut") == ["cut"]
    assert methods_of(["cut", "negcut", "cut"]) == ["cut", "negcut"]
    for value in (None, 5, [], {}, "", "a\nb", "\0", "x" * 101, "\ud800"):
        with pytest.raises(ValueError, match=r"^The family must be a name that /models lists, not .{1,45}\.$"):
            text("family", value)
        with pytest.raises(ValueError, match=r"^The methods? must be "):
            methods_of([value])
    assert in_words("a\n\ud800" + "b" * 100) == "a" + "b" * 37 + "…" and in_words(True) == "true"


def test_events_bring_their_numbers():
    event = type("Event", (), {"x": 3, "y": 2.5})
    assert numbers(event, "x", "y") == [3, 2.5]
    for x in (None, "3", float("nan"), 10**400, [3]):
        event.x = x
        with pytest.raises(ValueError, match="without its numbers x and y"):
            numbers(event, "x", "y")
    with pytest.raises(ValueError, match="without its numbers index"):
        numbers(event, "index")


def test_half_a_character_is_refused():
    """gradio's queue would stumble over such a session's name for good."""
    for name, is_half in (("\ud800", True), ("a\udc00b", True), ("\ud83d\ude00", False), ("🐎ä", False)):
        assert bool(HALF.search(json.dumps({"session_hash": name}).encode())) == is_half

    async def queue(scope, receive, send):
        await receive()

    async def answered(text):
        said, body = [], json.dumps({"session_hash": text}).encode()

        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            said.append(message)

        await Sentences(queue)({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
        return [message.get("status") for message in said]

    anyio = pytest.importorskip("anyio")
    assert anyio.run(answered, "\ud800") == [400, None] and anyio.run(answered, "🐎") == []


class Served:
    """Calls of the app."""

    def __init__(self, address, picture):
        self.calls = OddCalls(address, 1, {"a.png": picture.read_bytes(), "note.png": b"hello"})
        self.picture = {"path": self.calls.uploads[0], "meta": {"_type": "gradio.FileData"}}

    def call(self, name, *values):
        """One call that has to end in a sentence."""
        outcome = self.calls.event(f"/gradio_api/call/{name}", {"data": list(values)})
        assert outcome.kind == "sentence", outcome
        return outcome.words


@pytest.fixture(scope="module")
def served(app, app_folder, photograph):
    yield Served(app, photograph)
    printed = (app_folder / "log").read_text()
    assert "Traceback" not in printed and "Error:" not in printed


def test_each_argument_is_told_by_its_name(served):
    p = served.picture
    usual = [["cut"], "day2sunset", 64, 12, "global"]
    for place, value, words in ((0, 5, "methods"), (0, [[]], "method"), (1, {}, "family"), (2, 64.5, "working size"),
                                (3, None, "layer"), (4, [], "mode")):  # fmt: skip
        said = served.call("anchors", p, *usual[:place], value, *usual[place + 1 :], 256, 0)
        assert said.startswith(f"The {words} must be ")
    nan = float("nan")
    assert served.call("attention", p, nan, 0, *usual, 6, 2) == "The column x must be a whole number, not nan."
    assert served.call("attention", p, 0, 0, *usual, 6.5, 2).startswith("The number of neighbours must be")
    assert "seed must be a whole number from 0" in served.call("negatives", p, 0, 0, *usual, -1)
    assert served.call("negatives", p, 0, 0, *usual, "3") == "The seed must be a whole number, not 3."
    assert served.call("draw", 1.5, 64) == "The index must be a whole number from 0 to 999999, not 1.5."
    assert served.call("translate", p, "cut", "day2sunset", True).endswith("from 64 to 2048, not true.")


def test_what_is_no_picture_is_told(served):
    rest = "cut", "day2sunset", 64
    for odd in (5, "a", [], {}, {"path": 3}, {"path": "/etc/passwd"}, served.picture | {"meta": None},
                {"path": "x", "url": "data:image/png;base64,!!"}):  # fmt: skip
        said = served.call("translate", odd, *rest)
        assert "/etc" not in said
    assert "no picture yet" in served.call("translate", None, *rest)


def test_calls_that_are_none(served):
    post = served.calls.post
    for way, body in (("call/v2/translate", {"colour": 1}), ("call/v2/nothing", {}), ("run/nothing", {"data": []}),
                      ("queue/join", {"data": [], "fn_index": 99999, "session_hash": "a"})):  # fmt: skip
        outcome = post(f"/gradio_api/{way}", body)
        assert outcome.kind == "sentence" and "not understood" in outcome.words
    assert "no picture yet" in served.call("translate")  # the rest are defaults
    handler = next(d["id"] for d in served.calls.config["dependencies"] if len(d["inputs"]) > 3)
    few = {"data": [], "fn_index": handler, "session_hash": "few"}
    assert "0 values came and" in served.calls.event("/gradio_api/queue/join", few, "few").words
    deep = b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert post("/gradio_api/call/translate", deep).kind in ("4xx", "sentence")


def test_handlers_of_the_page_get_odd_values(served):
    """As the browser calls them, by their numbers; and the same calls as `tests/fuzz.py` makes by the thousand."""
    dependencies = served.calls.config["dependencies"]
    for number in (d["id"] for d in dependencies):
        body = {"data": [{}] * 30, "fn_index": number, "session_hash": f"s{number}", "event_data": [1]}
        outcome = served.calls.event("/gradio_api/queue/join", body, f"s{number}")
        assert outcome.kind in ("sentence", "answer"), outcome
    for number in range(40):
        assert not (outcome := served.calls.call(number)).kind.startswith("WRONG"), (number, outcome)
