"""Many visitors at once: what each gets must equal what one alone would get. For `tests/fuzz.py`.

alone = Visitor(address).answers(range(60))
crowd = visit(address, clients=32, each=30)          # [Visit(key, digest, seconds, words)]
"""

import hashlib
import io
import json
import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx
import numpy as np
from PIL import Image

KINDS = 60  # different requests
ENDPOINTS = ("translate", "translate", "compare", "compare", "anchors", "attention", "negatives", "draw")


class Visit(NamedTuple):
    """A request, the digest of its answer ("" if there was none), the seconds that it took, what was said."""

    key: int
    digest: str
    seconds: float
    words: str = ""


def pictures() -> dict[str, bytes]:
    """Five photographs of noise, by name."""
    found = {}
    for seed in range(5):
        cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(cells).resize((96 + 8 * seed, 80), Image.Resampling.BICUBIC).save(file := io.BytesIO(), "PNG")
        found[f"{seed}.png"] = file.getvalue()
    return found


def endpoint_of(key: int) -> str:
    return random.Random(f"endpoint {key}").choice(ENDPOINTS)


class Visitor:
    """One client, with its own connection and its own uploads."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=address, timeout=600)
        uploads = ((name, ("files", (name, data))) for name, data in pictures().items())
        self.paths = [self.client.post("/gradio_api/upload", files=[part]).json()[0] for _, part in uploads]

    def request(self, key: int) -> tuple[str, list]:
        """The endpoint and the values of a request: a pure function of its key."""
        rng = random.Random(f"visit {key}")
        picture = {"path": self.paths[key % len(self.paths)], "meta": {"_type": "gradio.FileData"}}
        family, size, x, y = "day2sunset", rng.choice([64, 72, 80]), rng.randrange(60), rng.randrange(60)
        methods = rng.sample(["cut", "qs-attn", "negcut"], rng.randint(1, 3))
        endpoint = endpoint_of(key)
        rest = methods, family, size, rng.choice([12, 16]), "global"
        values = {
            "translate": (picture, methods[0], family, size), "compare": (picture, methods, family, size),
            "anchors": (picture, *rest, 32, key), "attention": (picture, x, y, *rest, 4, 2),
            "negatives": (picture, x, y, *rest, key), "draw": (key, size),
        }  # fmt: skip
        return endpoint, list(values[endpoint])

    def answer(self, key: int) -> Visit:
        """Make a request and wait for the answer."""
        began = time.monotonic()
        try:
            endpoint, values = self.request(key)
            joined = self.client.post(f"/gradio_api/call/{endpoint}", json={"data": values})
            event = joined.raise_for_status().json()["event_id"]
            text = self.client.get(f"/gradio_api/call/{endpoint}/{event}").text
            kind, _, data = text.rpartition("event: ")[2].partition("\ndata: ")
            if kind != "complete":
                return Visit(key, "", time.monotonic() - began, data[:300])
            answer = json.loads(data)
            above = heading(answer[1]["width"]) if endpoint == "compare" else 0
            parts = [self.pixels(part, above) if isinstance(part, dict) and "path" in part else told(part)
                     for part in answer]  # fmt: skip
            digest = hashlib.sha256("".join(parts).encode()).hexdigest()
            return Visit(key, digest, time.monotonic() - began)
        except (httpx.HTTPError, ValueError, KeyError, OSError) as error:
            return Visit(key, "", time.monotonic() - began, f"{type(error).__name__}: {error}"[:300])

    def pixels(self, part: dict, above: int) -> str:
        """The digest of a picture that was answered, from the row `above` on; of other files, the name."""
        data = self.client.get(f"/gradio_api/file={part['path']}").raise_for_status().content
        if not part["path"].endswith(".png"):
            return part["orig_name"] or ""
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.crop((0, above, *image.size))
        return hashlib.sha256(image.tobytes()).hexdigest()


def heading(width: int) -> int:
    """Rows of a comparison in which its seconds stand, see `qsneg.rendering.sheets.columns`."""
    text = max(13, width // 18)
    return max(8, width // 24) + text + text // 2


def told(part) -> str:
    """Facts without the seconds that they took."""
    return json.dumps({k: v for k, v in part.items() if k != "seconds"} if isinstance(part, dict) else part)


def alone(address: str, keys: Iterable[int]) -> list[Visit]:
    visitor = Visitor(address)
    return [visitor.answer(key) for key in keys]


def visit(address: str, clients: int, each: int) -> list[Visit]:
    """`clients` visitors at once, with `each` requests one after the other."""
    begin = threading.Barrier(clients)

    def one(number: int) -> list[Visit]:
        visitor, rng = Visitor(address), random.Random(number)
        begin.wait()
        return [visitor.answer(rng.randrange(KINDS)) for _ in range(each)]

    with ThreadPoolExecutor(clients) as pool:
        return [found for visits in pool.map(one, range(clients)) for found in visits]
