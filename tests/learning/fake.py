"""Stands in for `python -m qsneg` where a test is about who trains when: it counts steps instead of making them.

What it does otherwise is said by the variable FAKE: "refuse" (a sentence and exit code 2), "crash" (exit code 1 at the
third step), "deaf" (told to stop it goes on).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def save(folder: Path, step: int) -> None:
    """Weights that say at which step they are, and a checkpoint."""
    metadata = {"config": json.dumps({"method": folder.name}), "card": json.dumps({"steps": step})}
    header = json.dumps({"__metadata__": metadata}).encode()
    part = folder / "part"
    part.write_bytes(len(header).to_bytes(8, "little") + header)
    part.replace(folder / "model.safetensors")
    (folder / "checkpoint.pt").write_text(str(steps))


def stop(number: int, _) -> None:
    if does != "deaf":
        save(out, step)
        sys.exit(128 + number)


command, *flags = sys.argv[1:]
values = {name: value for name, value in zip(flags, flags[1:]) if name.startswith("--")}
does, out = os.environ.get("FAKE", ""), Path(values["--out"])
if does == "refuse":
    sys.exit(print("Left out, too.\nError: Every picture in '" + str(out) + "' is smaller.", file=sys.stderr) or 2)
out.mkdir(exist_ok=True)
if command == "train":
    resumed = "--resume" in flags
    steps = int((out / "checkpoint.pt").read_text()) if resumed else int(values["--steps"])
    header = (out / "model.safetensors").read_bytes() if resumed else b""
    step = json.loads(json.loads(header[8:])["__metadata__"]["card"])["steps"] if resumed else 0
    signal.signal(signal.SIGTERM, stop)
    while step < steps:
        step += 1
        time.sleep(0.02)
        save(out, step)
        if does == "crash" and step == 3:
            sys.exit(1)
        with (out / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "NCE": 1 / step, "seconds": step / 50}) + "\n")
