"""The doors by the thousand: odd pictures, odd calls of the endpoints, many visitors. No part of the tests' run.

    python -m tests.fuzz --pictures 10000 --calls 5000 --requests 1000 --clients 32

Prints a table: how many ended in an answer, how many in one sentence, and everything that ended otherwise.
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.bulk.files import translate_files
from qsneg.image_io import read, upright_rgb
from qsneg.ui.uploads import Sources
from qsneg.weights import save
from tests import visitors
from tests.conftest import tiny
from tests.odd_calls import OddCalls, Outcome, judged
from tests.odd_pictures import odd_picture
from tests.ui.conftest import start

SLOW = 20  # seconds for one picture or call that count as wrong


# --- pictures ---


def doors(path: Path, number: int) -> dict:
    """What reads a file, by name: reading, and one of three others."""

    def from_pillow():
        with Image.open(path) as image:
            return upright_rgb(image)

    others = {
        "a hint of the size": lambda: read(path, white=1000, short=16),
        "upright_rgb": from_pillow,
        "the app": lambda: Sources(max_pixels=1_000_000).read(path).image,
    }
    return {"read": lambda: read(path), **dict([list(others.items())[number % 3]])}


def through(door) -> Outcome:
    """What becomes of a picture at a door; Pillow's own errors on opening are not ours."""
    began = time.monotonic()
    try:
        image = door()
        right = image.mode == "RGB" and min(image.size) > 0
        outcome = Outcome("answer", "") if right else Outcome("WRONG: no RGB", f"{image.mode} {image.size}")
    except (ValueError, FileNotFoundError) as error:
        outcome = judged(re.sub(r"'[^']*/[^']*'", "'…'", str(error), flags=re.DOTALL))
    except Exception:
        outcome = Outcome("WRONG: traceback", traceback.format_exc()[-600:])
    return outcome if time.monotonic() - began < SLOW else Outcome("WRONG: slow", outcome.words)


def named(folder: Path, name: str) -> Path:
    """A file of that name, as far as the file system takes it."""
    while len(os.fsencode(name)) > 255:
        name = name[1:]
    return folder / name.replace("/", "_")


def one_picture(number: int, seed: int, folder: Path) -> list[tuple[str, Outcome]]:
    odd = odd_picture(number, seed)
    path = named(folder, odd.name)
    path.write_bytes(odd.data)
    found = []
    for name, door in doors(path, number).items():
        if name == "upright_rgb":
            with contextlib.suppress(Exception):  # Pillow's own, which opens no such file for anybody
                Image.open(path).close()
                found.append((name, odd, through(door)))
        else:
            found.append((name, odd, through(door)))
    return [(f"pictures, {name}: {odd.kind}, {number}", outcome) for name, odd, outcome in found]


def translated(numbers: range, seed: int, folder: Path, weights: Path) -> list[tuple[str, Outcome]]:
    """A folder of odd pictures, translated by one command."""
    inputs, out = folder / "in", folder / "out"
    inputs.mkdir()
    for number in numbers:
        odd = odd_picture(number, seed)
        named(inputs, odd.name).write_bytes(odd.data)
    report = translate_files(inputs, weights, out, size=16, device="cpu", progress=False)
    found = [("pictures, translated", Outcome("answer", ""))] * len(report.done)
    for _, words in report.failed:
        found.append(("pictures, translated", judged(re.sub(r"'[^']*/[^']*'", "'…'", words, flags=re.DOTALL))))
    return found


def pictures(count: int, seed: int, first: int) -> list[tuple[str, Outcome]]:
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(tiny(), folder / "cut.safetensors")
        for number in range(first, first + count):
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                found += one_picture(number, seed, Path(inner))
            if number % 1000 == 999:
                with tempfile.TemporaryDirectory(dir=folder) as inner:
                    found += translated(range(number - 199, number + 1), seed, Path(inner), folder / "cut.safetensors")
                say(f"{number + 1} pictures")
    return found


# --- calls, visitors ---


def calls(address: str, count: int, seed: int, first: int) -> list[tuple[str, Outcome]]:
    odd = {"note.png": b"hello", "w.pth": b"hello"} | {f"{n}.png": odd_picture(n, seed).data for n in range(20)}
    made = OddCalls(address, seed, odd | visitors.pictures())

    def one(number: int) -> tuple[str, Outcome]:
        began = time.monotonic()
        outcome = made.call(number)
        if number % 500 == 499:
            say(f"{number + 1} calls")
        slow = time.monotonic() - began > 10 * SLOW
        return f"calls, {number}", Outcome("WRONG: slow", outcome.words) if slow else outcome

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(first, first + count)))


def crowd(address: str, other: str, requests: int, clients: int) -> list[tuple[str, Outcome]]:
    """One visitor alone at one server, then many at a fresh one: their answers, and how long they waited."""
    each = -(-requests // clients)
    right = visitors.alone(address, range(visitors.KINDS))
    say(f"{len(right)} requests of one visitor")
    found = visitors.visit(other, clients, each)
    expected = {visit.key: visit.digest for visit in right}
    for title, visits in (("one visitor", right), (f"each of {clients}", found)):
        times = np.percentile([visit.seconds for visit in visits], [50, 90, 99])
        print(f"Seconds of a request, {title}: " + ", ".join(f"{t:.2f}" for t in times) + " (50, 90, 99 %)")
    return [(f"visitors, {visit.key}", Outcome("answer", "") if visit.digest and visit.digest == expected[visit.key]
             else Outcome("WRONG: another answer" if visit.digest else "WRONG: lost", visit.words))
            for visit in found]  # fmt: skip


# --- all of it ---


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def table(found: list[tuple[str, Outcome]]) -> str:
    """Counts by part and kind, and one example of each kind of wrong."""
    counts = Counter((name.split(",")[0], outcome.kind) for name, outcome in found)
    lines = [f"{part:10} {kind:40} {count:7}" for (part, kind), count in sorted(counts.items())]
    examples = {outcome.kind + outcome.words[-80:]: (name, outcome) for name, outcome in reversed(found)
                if outcome.kind.startswith("WRONG")}  # fmt: skip
    return "\n".join(lines + [f"{name}: {o.kind}: {o.words}" for name, o in list(examples.values())[:50]])


def in_log(printed: str) -> list[str]:
    """The tracebacks in what a server printed, each up to the line that says what it was."""
    return re.findall(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*", printed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = dict(pictures=10_000, calls=5000, requests=1000, clients=32, seed=0, first=0)
    for flag, count in usual.items():
        parser.add_argument(f"--{flag}", type=int, default=count)
    flags = parser.parse_args()
    found = pictures(flags.pictures, flags.seed, flags.first)
    if flags.calls or flags.requests:
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            for n, method in enumerate(("cut", "qs-attn", "negcut")):
                save(tiny(method, n, {"data": "day2sunset", "steps": 10}), folder / f"day2sunset/{method}.safetensors")
            addresses, logs = [], []
            for number in range(2):
                (place := folder / str(number)).mkdir()
                address, process = start(folder, place)
                stack.callback(process.terminate)
                addresses.append(address)
                logs.append(place / "log")
            found += calls(addresses[0], flags.calls, flags.seed, flags.first)
            found += crowd(*addresses, flags.requests, flags.clients) if flags.requests else []
            printed = "".join(log.read_text() for log in logs)
            found += [("log of the server", Outcome("WRONG: traceback", text[:6000])) for text in in_log(printed)]
    print(table(found))
    wrong = sum(outcome.kind.startswith("WRONG") for _, outcome in found)
    sys.exit(f"{wrong} ended wrong." if wrong else 0)


if __name__ == "__main__":
    main()
