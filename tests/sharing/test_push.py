"""To the Hugging Face Hub and back: the real client against a small stand-in on this machine."""

import base64
import hashlib
import http.server
import json
import threading
from collections import Counter

import pytest
import torch
from huggingface_hub import constants

from qsneg import weights
from qsneg.config import ModelConfig
from qsneg.sharing.cards import hub_card
from qsneg.sharing.push import push
from qsneg.weights import Weights, load, save

COMMIT = "1" * 40
TOKEN = "hf_test"


class Hub(http.server.BaseHTTPRequestHandler):
    """What the Hub answers: make a repository, take files (large ones apart), give them out; `files` by repository."""

    files: dict[str, dict[str, bytes]] = {}
    stored: dict[str, bytes] = {}  # large files by digest
    commits: Counter = Counter()

    def say(self, status: int = 200, body: object = b"", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

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

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def here(address, tmp_path, monkeypatch):
    """The client's world: this address, no token but the one given, an empty cache, large files the plain way."""
    values = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN_PATH": str(tmp_path / "none"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return address


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    made = Weights.empty(ModelConfig(width=4, dim=8, blocks=5))
    made.card = {"data": "drawn", "steps": 12, "seed": 3, "last": {"step": 12, "swd": 0.71}, "machine": "a|b <c>"}
    path = tmp_path_factory.mktemp("weights") / "cut.safetensors"
    save(made, path)
    return path


def test_there_and_back(here, file, tmp_path):
    assert push(file, "somebody/zebra", "cc-by-4.0", token=TOKEN, endpoint=here) == f"{here}/somebody/zebra"
    assert set(Hub.files["somebody/zebra"]) == {"model.safetensors", "README.md"} and Hub.commits["somebody/zebra"] == 1
    again = load("somebody/zebra", tmp_path)
    assert again.title == "CUT" and again.card["steps"] == 12
    for name, tensor in load(file).generator.state_dict().items():
        assert torch.equal(tensor, again.generator.state_dict()[name])
    card = Hub.files["somebody/zebra"]["README.md"].decode()
    front = card.split("---\n")[1].splitlines()
    assert {"license: cc-by-4.0", "library_name: qsneg", "pipeline_tag: image-to-image", "- cut"} <= set(front)
    assert 'qsneg.load("somebody/zebra")' in card and "| swd, last | 0.71 (step 12) |" in card
    assert "| steps | 12 |" in card and "| seed | 3 |" in card and "a\\|b &lt;c>" in card and "heads" not in card
    push(file, "somebody/zebra", token=TOKEN, endpoint=here)  # again, into what is there; no licence is known
    assert Hub.commits["somebody/zebra"] == 2 and b"license:" not in Hub.files["somebody/zebra"]["README.md"]
    with pytest.raises(FileNotFoundError, match="has no such file"):
        load("somebody/zebra/other.safetensors", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such repository"):
        load("somebody/nothing", tmp_path)


def test_a_generator_alone_says_so(file):
    made = load(file)
    made.heads = None
    made.card = {"imported": {"generator": "latest_net_G.pth"}}
    text = hub_card("somebody/zebra", made)
    assert "came without projection heads" in text and "| imported generator | latest_net_G.pth |" in text


@pytest.mark.parametrize("wrong, words", [
    (dict(token=None), "There is no Hugging Face token"), (dict(token="hf_other"), "does not know the token"),
    (dict(repository="else/zebra"), "no permission"), (dict(repository="zebra"), "named as user/name"),
    (dict(repository="somebody/a b"), "named as user/name"), (dict(repository="a/b/c"), "named as user/name"),
    (dict(licence="no-such"), "check the licence"), (dict(licence="MIT: yes"), "is no licence"),
    (dict(endpoint="http://127.0.0.1:9"), "cannot be reached"), (dict(file="none.safetensors"), "There is no file"),
    (dict(file=__file__), "not a weights file of qsneg"),
])  # fmt: skip
def test_errors_are_one_sentence(here, file, wrong, words):
    values = dict(file=file, repository="somebody/zebra", token=TOKEN, endpoint=here) | wrong
    before = Hub.commits.copy()
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        push(**values)
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and Hub.commits == before


def test_the_command(here, file, capsys, monkeypatch):
    from tests.test_cli import run

    code, _, err = run(capsys, "push", file, "somebody/zebra")
    assert code == 2 and err.startswith("Error: There is no Hugging Face token") and err.count("\n") == 1
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, out, _ = run(capsys, "push", file, "somebody/by-command", "--licence", "mit")
    assert code == 0 and out.strip() == f"Uploaded: {here}/somebody/by-command"
    assert weights.load("somebody/by-command", "nowhere").title == "CUT"
