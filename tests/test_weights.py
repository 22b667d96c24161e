"""Weights files: round trip, names, errors; the Hugging Face Hub through a local stand-in."""

import http.server
import json
import threading

import pytest
import torch
from safetensors.torch import save_file

import qsneg
from qsneg import weights
from qsneg.config import ModelConfig
from qsneg.weights import Weights, find, load, read_metadata, save

CONFIG = ModelConfig(method="negcut", width=4, disc_width=4, dim=16, blocks=5)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    made = Weights.empty(CONFIG)
    made.card = {"steps": 12, "data": "horse2zebra-drawn"}
    save(made, tmp_path / "family" / "negcut.safetensors")
    return tmp_path


def test_round_trip(folder):
    torch.manual_seed(0)
    made, read = Weights.empty(CONFIG), load("family/negcut", folder)
    assert read.config == CONFIG and read.card["steps"] == 12 and read.title == "NEGCUT"
    assert set(read.parts()) == {"generator", "heads", "negative_generator", "slow_heads"}
    for part, net in read.parts().items():
        for name, tensor in net.state_dict().items():
            want = getattr(made, part).state_dict()[name]
            torch.testing.assert_close(tensor, want if name.endswith("filt") else want.half().float(), rtol=0, atol=0)
    assert not read.generator.training and not any(p.requires_grad for p in read.generator.parameters())


def test_names_and_paths(folder):
    path = folder / "family" / "negcut.safetensors"
    assert find("family/negcut", folder) == find(path) == find("family/negcut.safetensors", folder) == path
    assert [weights.model_name(p) for p in weights.available(folder)] == ["family/negcut"]
    assert find(folder / "family" / "negcut", folder / "elsewhere") == path  # a path without its ending
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="has no model.safetensors"):
        find(run)
    save(Weights.empty(CONFIG), run / "model.safetensors")
    assert find(run) == run / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="No weights called 'family/cut'.*which has family/negcut"):
        find("family/cut", folder)
    with pytest.raises(FileNotFoundError, match="No weights called 'nothing'"):
        load("nothing", folder)


def test_what_is_not_ours_is_refused_in_one_sentence(folder, tmp_path):
    (tmp_path / "text.safetensors").write_text("no tensors here")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("text", "other"):
        with pytest.raises(ValueError, match="is not a weights file of qsneg") as error:
            load(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(error.value) and "qsneg import" in str(error.value)
    for odd in ({"config": "[1]"}, {"config": "{}", "card": "[1]"}, {"config": '{"width": "x"}'}, {"config": "{"}):
        save_file({"a": torch.zeros(2)}, tmp_path / "odd.safetensors", odd)
        with pytest.raises(ValueError, match="metadata of '.*odd.safetensors' cannot be read"):
            load(tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match="cannot be written"):
        save(Weights.empty(CONFIG), tmp_path / "text.safetensors" / "x.safetensors")
    metadata = {
        "config": json.dumps({"method": "cut", "width": 4, "dim": 16, "blocks": 5, "layers": [0, 4]}),
        "card": "{}",
    }
    save_file({"generator.model.1.weight": torch.zeros(4, 3, 7, 7)}, tmp_path / "part.safetensors", metadata)
    with pytest.raises(ValueError, match="incomplete"):
        load(tmp_path / "part.safetensors")
    save_file({"generator.model.1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "wide.safetensors", metadata)
    with pytest.raises(ValueError, match="do not fit"):
        load(tmp_path / "wide.safetensors")


def test_unknown_settings_of_a_newer_version_are_ignored(folder):
    path = folder / "family" / "negcut.safetensors"
    assert read_metadata(path)[0].layers == (0, 4, 8, 12, 16)


def test_load_translates(folder):
    from PIL import Image

    model = qsneg.load(folder / "family" / "negcut.safetensors", device="cpu")
    assert model.translate(Image.new("RGB", (30, 21))).size == (30, 21)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        qsneg.nothing


def test_hub_through_a_local_server(folder, tmp_path, monkeypatch):
    """The real hub client, against a stand-in that serves one file the way the hub does."""
    data = (folder / "family" / "negcut.safetensors").read_bytes()
    commit = "0" * 40

    class Hub(http.server.BaseHTTPRequestHandler):
        def answer(self, body: bool):
            known = self.path == "/somebody/model/resolve/main/model.safetensors" or self.path.startswith(
                "/somebody/model/resolve/" + commit
            )
            self.send_response(200 if known else 404)
            if known:
                self.send_header("ETag", '"abc"')
                self.send_header("X-Repo-Commit", commit)
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
            self.end_headers()
            if body and known:
                self.wfile.write(data)

        def do_HEAD(self):
            self.answer(False)

        def do_GET(self):
            self.answer(True)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    code = f"import qsneg.weights as w; print(w.load({{name!r}}, {str(folder)!r}).title)"
    import os
    import subprocess
    import sys

    env = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
    env.pop("HF_HUB_OFFLINE", None)

    def run(name):
        return subprocess.run([sys.executable, "-c", code.format(name=name)], env=env, capture_output=True, text=True)

    done = run("somebody/model")
    assert done.stdout.strip() == "NEGCUT", done.stderr
    missing = run("somebody/else")
    assert (
        "FileNotFoundError: No weights called 'somebody/else'" in missing.stderr
        and "could not be fetched" in missing.stderr
    )
    server.shutdown()
