"""What tests share: one tiny lively model, one runner of the command line, one stand-in for the Hugging Face Hub."""

import base64
import hashlib
import json
import os
import sys
from collections import Counter
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from huggingface_hub import constants
from typer.testing import CliRunner

from qsneg.__main__ import main
from qsneg.config import ModelConfig
from qsneg.weights import Weights, save
from tests.stand_in import StandIn, served

torch.set_num_threads(1)  # tiny networks are no faster on more, and the same everywhere
os.environ["OMP_NUM_THREADS"] = "1"  # of what tests start

# --- a model ---


def lively(net: torch.nn.Module) -> torch.nn.Module:
    """The network with parameters 20 times as large: as it starts, with a gain of 0.02, its pictures are grey."""
    for p in net.parameters():
        p.data.mul_(20)
    return net


def tiny(method: str = "cut", seed: int = 0, card: dict | None = None, **settings) -> Weights:
    """Weights of width 4, with every part that the method has, that make pictures of something and never two alike."""
    torch.manual_seed(seed)
    small = dict(width=4, disc_width=4, dim=16, patches=20)
    made = Weights.empty(ModelConfig(method=method, **small | settings))
    for net in made.parts().values():
        lively(net)
    made.card = card or {}
    return made


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A checkpoint folder with one model, tiny/cut."""
    path = tmp_path_factory.mktemp("checkpoints")
    save(tiny(card={"steps": 3}), path / "tiny" / "cut.safetensors")
    return path


# --- the command line ---


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments) -> Ran:
    """`python -m qsneg` with these arguments, in this process: its exit code and what it says. Never a traceback."""
    with CliRunner().isolation() as streams, mock.patch("sys.argv", ["qsneg", *map(str, arguments)]):
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush(), sys.stderr.flush()
        ran = Ran(code, *(stream.getvalue().decode() for stream in streams[:2]))
    assert "Traceback" not in ran.err
    return ran


# --- the Hub ---

COMMIT = "1" * 40
TOKEN = "hf_test"


class Hub(StandIn):
    """What the Hub answers: make a repository, take files (large ones apart), give them out; `files` by repository."""

    files: dict[str, dict[str, bytes]] = {}
    stored: dict[str, bytes] = {}  # large files by digest
    commits: Counter = Counter()

    def do_POST(self):
        address = f"http://127.0.0.1:{self.server.server_port}"
        body, path = self.rfile.read(int(self.headers["Content-Length"] or 0)), self.path
        if path == "/api/validate-yaml":
            text = json.loads(body)["content"]
            wrong = "license: no-such" in text or not text.startswith("---\n")
            errors = [{"message": '"license" is unknown'}] if wrong else []
            return self.say(400 if wrong else 200, {"errors": errors, "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.say(401, {"error": "Invalid credentials"})
        if path == "/api/repos/create":
            made = json.loads(body)
            if made["organization"] != "somebody":
                return self.say(403, {"error": "You don't have the rights"})
            name = f"somebody/{made['name']}"
            status = 409 if name in self.files else 200
            self.files.setdefault(name, {})
            return self.say(status, {"url": f"{address}/{name}"})
        name = "/".join(path.removeprefix("/api/models").removesuffix(".git/info/lfs/objects/batch").split("/")[1:3])
        if path.endswith("/preupload/main"):
            modes = {
                f["path"]: "lfs" if f["path"].endswith("safetensors") else "regular" for f in json.loads(body)["files"]
            }
            files = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]
            return self.say(200, {"files": files})
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for o in objects:
                o["actions"] = {"upload": {"href": f"{address}/store/{o['oid']}", "header": {}}}
            return self.say(200, {"transfer": "basic", "objects": objects})
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[name][value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[name][value["path"]] = self.stored[value["oid"]]
            self.commits[name] += 1
            return self.say(200, {"commitUrl": f"{address}/{name}/commit/{COMMIT}", "commitOid": COMMIT})
        self.say(404)

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.stored[hashlib.sha256(data).hexdigest()] = data
        self.say()

    def do_GET(self):
        owner, name, _, _, file = (self.path.split("?")[0].strip("/").split("/") + [""] * 5)[:5]
        known = self.files.get(f"{owner}/{name}")
        if known is None:
            return self.say(404, X_Error_Code="RepoNotFound")
        if file not in known:
            return self.say(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        data = known[file]
        self.say(200, data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


@pytest.fixture(scope="session")
def hub_server():
    with served(Hub) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def hub(hub_server, tmp_path, monkeypatch) -> str:
    """The address of a Hub without repositories, which the real client takes for the Hub; no token, an empty cache."""
    for kept in (Hub.files, Hub.stored, Hub.commits):
        kept.clear()
    values = {
        "ENDPOINT": hub_server,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub_server + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN_PATH": str(tmp_path / "none"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return hub_server
