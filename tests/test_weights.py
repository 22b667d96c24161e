"""Weights files: round trip, names, errors; the Hugging Face Hub through a local stand-in."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import qsneg
from qsneg import weights
from qsneg.config import ModelConfig
from qsneg.weights import Weights, find, load, read_metadata, save
from tests.conftest import tiny

DEEP = {"config": "{}", "card": '{"a":' * 3000 + "1" + "}" * 3000}
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


@pytest.mark.parametrize("name", ["runs/none/model.safetensors", "runs/mine/bets.safetensors", "runs/none.safetensors"])
def test_a_mistyped_path_is_not_looked_for_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qsneg.hub.from_hub", lambda *_: pytest.fail("asked the Hub"))
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f"No weights called '{name}': neither a file nor a name in"):
        find(name)


def test_what_is_not_ours_is_refused_in_one_sentence(folder, tmp_path):
    (tmp_path / "text.safetensors").write_text("no tensors here")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("text", "other"):
        with pytest.raises(ValueError, match="is not a weights file of qsneg") as error:
            load(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(error.value) and "qsneg import" in str(error.value)
    for odd in (
        {"config": "[1]"},
        {"config": "{}", "card": "[1]"},
        {"config": '{"width": "x"}'},
        {"config": "{"},
        DEEP,
    ):
        save_file({"a": torch.zeros(2)}, tmp_path / "odd.safetensors", odd)
        with pytest.raises(ValueError, match="odd.safetensors' has metadata that cannot be read"):
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
    with pytest.raises(ValueError, match="does not fit"):
        load(tmp_path / "wide.safetensors")


@pytest.mark.parametrize("spoil, words", [
    (lambda t: t.fill_(torch.nan), "not finite, in generator.model.1.bias"),
    (lambda t: t.fill_(-torch.inf), "not finite"),
    (lambda t: t.to(torch.int32), "int32 numbers"), (lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn numbers"),
])  # fmt: skip
def test_weights_that_are_no_numbers_are_refused(folder, spoil, words):
    path = folder / "family" / "negcut.safetensors"
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    tensors["generator.model.1.bias"] = spoil(tensors["generator.model.1.bias"])
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=words):
        load(path)


def test_digits_are_kept_where_asked(tmp_path):
    made = tiny("cut")
    for exact in (True, False):
        save(made, tmp_path / "a.safetensors", exact)
        pairs = zip(made.generator.parameters(), load(tmp_path / "a.safetensors").generator.parameters())
        assert all(torch.equal(a, b) for a, b in pairs) is exact
    made.generator.half().float(), made.heads.half().float()
    save(made, tmp_path / "half.safetensors", exact=True)  # what has no more digits takes no more room
    assert (tmp_path / "half.safetensors").stat().st_size == (tmp_path / "a.safetensors").stat().st_size


def test_unknown_settings_of_a_newer_version_are_ignored(folder, tmp_path):
    with safe_open(folder / "family" / "negcut.safetensors", "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | {"dropout": 0.5})
    save_file(tensors, tmp_path / "newer.safetensors", metadata)
    assert read_metadata(tmp_path / "newer.safetensors")[0] == CONFIG
    assert load(tmp_path / "newer.safetensors").config == CONFIG


def test_load_translates(folder):
    from PIL import Image

    model = qsneg.load(folder / "family" / "negcut.safetensors", device="cpu")
    assert model.translate(Image.new("RGB", (30, 21))).size == (30, 21)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        qsneg.nothing
