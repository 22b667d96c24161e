"""Calls of the app's endpoints as nobody should make them, and what came of each. For `tests/fuzz.py`.

calls = OddCalls("http://127.0.0.1:7860", seed=0)
outcome = calls.call(17)             # Outcome(kind="sentence", words="The seed must be a whole number, not nan.")
"""

import json
import random
import string
from typing import NamedTuple

import httpx

NUMBERS = [
    0, 1, 2, -1, 3.5, 64, 64.0, 255.999, 256, 2048, 2049, 1e9, 2**31, 2**63, 10**30, 10**400, -(10**400), 1e308, -1e308,
    5e-324, float("nan"), float("inf"), -float("inf"), True, False,
]  # fmt: skip
TEXTS = [
    "", " ", "64", "0x40", "1e400", "big", "nan", "none", "cut", "CUT", "own", "../cut", "day2sunset/cut", "\0", "ä€🐎",
    "\u202e", "\ud800", "<b>", "{x}", "%s", "a" * 5000, "global", "local+global", "one\ntwo", "/etc/passwd",
]  # fmt: skip
NESTED = [
    [], [[]], {}, {"a": 1}, {"value": 64}, {"path": None}, [None], ["cut"], ["cut", "cut"], [["cut"]], [{}], [1.5],
    ["cut"] * 3000, json.loads("[" * 400 + "]" * 400), {"__type__": "update"}, {"__type__": "update", "value": 1},
]  # fmt: skip
ANY = [None, *NUMBERS, *TEXTS, *NESTED]
FORBIDDEN = ("Traceback", "Error(", 'File "', "/site-packages", "object at 0x", "<class")


class Outcome(NamedTuple):
    """kind: "answer", "sentence", "4xx" (of the protocol: JSON), or "WRONG: …"; words: what was said."""

    kind: str
    words: str


class OddCalls:
    """Every call is a pure function of the seed and its number."""

    def __init__(self, address: str, seed: int = 0, files: dict[str, bytes] | None = None):
        """files: names and contents of uploads to send, pictures and others."""
        self.seed, self.client = seed, httpx.Client(base_url=address, timeout=120)
        self.config = self.client.get("/config").json()
        self.info = self.client.get("/gradio_api/info").json()["named_endpoints"]
        self.uploads = [self.upload(name, data) for name, data in (files or {}).items()]

    def upload(self, name: str, data: bytes) -> str:
        """The path under which the server keeps a file."""
        return self.client.post("/gradio_api/upload", files={"files": (name, data)}).json()[0]

    def picture(self, rng: random.Random):
        """Something in the place of a picture; half of the time one that was uploaded."""
        own = {"path": rng.choice(self.uploads), "meta": {"_type": "gradio.FileData"}}
        nowhere = "http://127.0.0.1:9/x.png"
        odd = [
            {"path": 3}, {"path": ""}, {"path": "/etc/passwd"}, {"path": "/dev/zero"}, {"path": "../../etc/passwd"},
            {"path": "/proc/self/mem"}, {"path": "a\0b"}, {"path": "x" * 5000}, {"path": nowhere}, {"url": nowhere},
            {"url": "data:image/png;base64,AA"}, {"path": "x", "url": "data:image/png;base64,!!"},
            {"path": "a", "url": "file:///etc/passwd"}, [own], [own, own], {"a": own}, own | {"meta": None},
            own | {"meta": {"_type": "x"}}, own | {"size": "large"}, own | {"orig_name": 5}, own | {"is_stream": True},
            own | {"url": 5}, own | {"mime_type": []}, *ANY,
        ]  # fmt: skip
        return own if rng.random() < 0.5 else rng.choice(odd)

    def arguments(self, rng: random.Random, parameters: list[dict]) -> list:
        """A value for each parameter: its default, or something odd."""
        values = []
        for parameter in parameters:
            usual = parameter["parameter_default"]
            if parameter["component"] in ("Image", "Picture", "File"):
                values.append(self.picture(rng))
            else:
                size = parameter["label"] == "Working size"
                odd = rng.choice(NUMBERS if rng.random() < 0.5 else ANY)
                values.append(odd if rng.random() < 0.35 else rng.choice([32, 64, 72]) if size else usual)
        return values

    def call(self, number: int) -> Outcome:
        """Make a call in one of the ways there are, and judge what comes back."""
        rng = random.Random(f"{self.seed} {number}")
        way = rng.choices(
            (self.by_name, self.by_keywords, self.directly, self.by_queue, self.malformed), (5, 1, 2, 3, 1)
        )[0]
        try:
            return way(rng)
        except httpx.HTTPError as error:
            return Outcome(f"WRONG: {type(error).__name__}", str(error))

    def by_name(self, rng: random.Random) -> Outcome:
        name, endpoint = rng.choice(list(self.info.items()))
        values = self.arguments(rng, endpoint["parameters"])
        if rng.random() < 0.05:
            values = rng.choice([values[:-1], values + [1], [], values * 2])
        return self.event(f"/gradio_api/call{name}", {"data": values})

    def by_keywords(self, rng: random.Random) -> Outcome:
        name, endpoint = rng.choice(list(self.info.items()))
        names = [p["parameter_name"] for p in endpoint["parameters"]]
        values = dict(zip(names, self.arguments(rng, endpoint["parameters"])))
        if rng.random() < 0.1:
            values[rng.choice(["", "colour", "picture", "self"])] = rng.choice(ANY)
        return self.event(f"/gradio_api/call/v2{name}", values)

    def directly(self, rng: random.Random) -> Outcome:
        name, endpoint = rng.choice(list(self.info.items()))
        return self.post(f"/gradio_api/run{name}", {"data": self.arguments(rng, endpoint["parameters"])})

    def by_queue(self, rng: random.Random) -> Outcome:
        """Any handler of the page, by its number, as the browser calls it; with other values than the browser's."""
        wanted = rng.choice(self.config["dependencies"])
        components = {c["id"]: c for c in self.config["components"]}
        values = []
        for number in wanted["inputs"]:
            kind = components[number]["type"]
            usual = components[number].get("props", {}).get("value")
            odd = self.picture(rng) if kind in ("image", "file", "picture") else rng.choice(ANY)
            values.append(odd if rng.random() < 0.5 else usual)
        session = "".join(rng.choices(string.ascii_lowercase, k=10))
        body = {"data": values, "fn_index": wanted["id"], "session_hash": session}
        if rng.random() < 0.5:
            point = {"x": rng.choice(ANY), "y": rng.choice(NUMBERS), "index": rng.choice(ANY)}
            body |= {"event_data": rng.choice([point, None, *ANY])}
        return self.event("/gradio_api/queue/join", body, session)

    def malformed(self, rng: random.Random) -> Outcome:
        name = rng.choice([*self.info, "/nothing", "/../config", "/translate/x"])
        way = rng.choice(["call", "call/v2", "run", "api"])
        if rng.random() < 0.3:
            body = {"session_hash": rng.choice(ANY), "fn_index": rng.choice([*NUMBERS, "a"]), "data": rng.choice(ANY)}
            return self.post("/gradio_api/queue/join", body)
        body = rng.choice([
            b"", b"{", b"[]", b"null", b'{"data": 5}', b'{"data": {}}', b"\xff\xfe", b'{"data": [' * 600,
            b'{"data": [NaN]}', b'{"fn_index": 99999, "data": []}', b'{"data": [], "fn_index": "a"}',
        ])  # fmt: skip
        return self.post(f"/gradio_api/{way}{name}", body)

    # --- what comes back ---

    def post(self, path: str, body) -> Outcome:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = self.client.post(path, content=data, headers={"content-type": "application/json"})
        try:
            said = response.json()
        except ValueError:
            return Outcome(f"WRONG: {response.status_code}, no JSON", response.text[:300])
        if isinstance(said, dict) and "error" in said:
            return judged(said["error"])
        if response.status_code >= 500 and response.status_code != 503:
            return Outcome(f"WRONG: {response.status_code}", response.text[:300])
        if any(word in response.text for word in FORBIDDEN) and response.status_code != 200:
            return Outcome("WRONG: inner words", response.text[:300])
        return Outcome("answer" if response.status_code == 200 else "4xx", response.text[:300])

    def event(self, path: str, body, session: str = "") -> Outcome:
        """Join the queue and wait for the end of the event."""
        joined = self.post(path, body)
        if joined.kind != "answer":
            return joined
        event = json.loads(joined.words)["event_id"]
        if session:
            stream = self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session})
        else:
            stream = self.client.stream("GET", f"/gradio_api{path.removeprefix('/gradio_api')}/{event}")
        with stream as response:
            kind = ""
            for line in response.iter_lines():
                kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
                if not line.startswith("data: "):
                    continue
                data = json.loads(line.removeprefix("data: "))
                if session and data["msg"] == "process_completed":
                    return Outcome("answer", "") if data["success"] else judged(data["output"].get("error"))
                if session and data["msg"] == "unexpected_error" or kind == "error":
                    return judged(data.get("error", data.get("message")) if isinstance(data, dict) else data)
                if kind == "complete":
                    return Outcome("answer", str(data)[:300])
        return Outcome("WRONG: no end", kind)


def judged(words) -> Outcome:
    """Whether an error is said in one sentence for people."""
    if not isinstance(words, str):
        return Outcome("WRONG: nothing is said", repr(words))
    if any(word in words for word in FORBIDDEN):
        return Outcome("WRONG: inner words", words[:300])
    if "\n" in words or len(words) > 400 or not words.endswith("."):
        return Outcome("WRONG: no sentence", words[:300])
    if words.startswith("Something went wrong"):
        return Outcome("WRONG: unexpected", words)
    return Outcome("sentence", words)
