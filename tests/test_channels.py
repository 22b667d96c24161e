"""Other channels than RGB, from training to inspection, on height maps (one channel) and their views (three)."""

import numpy as np
import pytest
import torch

from qsneg.config import ModelConfig, trained_methods
from qsneg.data import arrays, drawn_heights
from qsneg.image_io import filled
from qsneg.networks import Generator
from qsneg.sharing import onnx as export
from qsneg.sharing.importing import convert
from qsneg.translate import Translator, load
from qsneg.weights import Weights, read_metadata, save
from tests.conftest import run, tiny

FLAGS = "--preset debug --autocast off --device cpu --width 4 --disc-width 4 --steps 2 --crop 32 --resize 36".split()
CHANNELS = {"heights": ["--channels-a", 1, "--channels-b", 3], "back": ["--channels-a", 3, "--channels-b", 1]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Height maps to views, views to height maps, and five channels to five."""
    base = tmp_path_factory.mktemp("data")
    drawn_heights.write("train", 3, 40, 0, base / "heights")
    for letter, other in ("AB", "BA"):
        (base / "back").mkdir(exist_ok=True)
        (base / "back" / f"train{letter}").symlink_to(base / "heights" / f"train{other}")
    rng = np.random.default_rng(0)
    for letter in "AB":
        for i in range(2):
            (base / "five" / f"train{letter}").mkdir(parents=True, exist_ok=True)
            np.save(base / "five" / f"train{letter}" / f"{i}.npy", rng.random((40, 44, 5)))
    return base


@pytest.mark.parametrize("method", trained_methods())
def test_every_method_trains(method, data, tmp_path):
    code, _, err = run("train", data / "heights", "--method", method, *CHANNELS["heights"], *FLAGS, "--out", tmp_path)
    assert code == 0, err
    config, card = read_metadata(tmp_path / "model.safetensors")
    assert (
        config.domains == (1, 3) and config.wide == 3 and card["channels"].startswith("1 to 3; the networks work on 3")
    )
    assert list((tmp_path / "samples").glob("*.jpg"))


@pytest.mark.parametrize("name, channels, result, ending", [
    ("heights", CHANNELS["heights"], 3, "png"), ("back", CHANNELS["back"], 1, "png"),
    ("five", ["--channels", 5], 5, "npy"),
])  # fmt: skip
def test_from_training_to_inspection(name, channels, result, ending, data, tmp_path):
    out = tmp_path / "run"
    assert run("train", data / name, "--method", "qs-attn", *channels, *FLAGS, "--out", out).code == 0
    assert run("train", "--resume", "--steps", 3, "--out", out).code == 0
    model, folder = out / "model.safetensors", data / name / "trainA"
    translate = run("translate", folder, "--checkpoint", model, "--device", "cpu", "--out", tmp_path / "results")
    assert translate.code == 0, translate.err
    source = sorted(folder.iterdir())[0]
    written, _ = arrays.read(tmp_path / "results" / f"{source.stem}.{ending}", result)
    translator = load(model, "cpu")
    x = 2 * torch.from_numpy(arrays.read(source, translator.config.domains[0])[0]).permute(2, 0, 1)[None] - 1
    y = translator.as_shown(x)
    assert y.shape == (1, result, *x.shape[2:])
    step = 1 / 255 if result == 3 else 1e-4
    assert np.abs(written - (y[0].permute(1, 2, 0).numpy() + 1) / 2).max() <= step
    seen = run("inspect", source, "--checkpoint", model, "--device", "cpu", "--layer", 8, "--out", tmp_path / "seen")
    assert seen.code == 0 and (tmp_path / "seen" / "inspection.npz").is_file(), seen.err


def test_a_narrower_domain_is_filled_and_the_result_cut():
    weights = tiny(channels_a=2, channels_b=4)
    x = torch.rand(1, 2, 16, 16) * 2 - 1
    translator = Translator(weights, "cpu")
    with torch.inference_mode():
        expected = weights.generator(filled(x, 4))
    assert torch.allclose(translator.translate_tensor(x), expected, atol=1e-6)
    narrower = Translator(tiny(channels_a=4, channels_b=2), "cpu")
    y = torch.rand(1, 4, 16, 16) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(narrower.translate_tensor(y), narrower.weights.generator(y)[:, :2], atol=1e-6)
    with pytest.raises(ValueError, match="B×4×H×W floats"):
        narrower.translate_tensor(x)


def test_weights_of_other_channels_are_imported_and_saved(tmp_path):
    torch.manual_seed(0)
    net = Generator(4, 6, channels=5)
    torch.save({k: v for k, v in net.state_dict().items() if not k.endswith(".filt")}, tmp_path / "latest_net_G.pth")
    made = convert("cut", tmp_path / "latest_net_G.pth")
    assert made.config.domains == (5, 5)
    save(made, tmp_path / "five.safetensors")
    x = torch.rand(1, 5, 16, 16) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(load(tmp_path / "five.safetensors", "cpu").translate_tensor(x), net(x), atol=5e-3)


def test_onnx_of_other_channels(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    content = export.to_onnx(tiny(channels_a=1, channels_b=2))
    assert max(export.differences(content, tiny(channels_a=1, channels_b=2).generator).values()) < export.TOLERANCE


@pytest.mark.parametrize("flags, words", [
    (["--channels", 17], "from 1 to 16"), (["--channels", 0], "from 1 to 16"), (["--channels-a", -1], "from 0 to 16"),
    (["--channels", 4], "has 3 channels and 4 are wanted"),
])  # fmt: skip
def test_errors(flags, words, data, tmp_path):
    code, _, err = run("train", data / "back", *flags, *FLAGS, "--out", tmp_path / "run")
    assert code == 2 and words in err and err.count("\n") == 1
    code, _, err = run("train", "horse2zebra-drawn", "--channels", 4, *FLAGS, "--out", tmp_path / "run")
    assert code == 2 and "RGB" in err


def test_old_weights_are_rgb():
    assert ModelConfig().rgb and Weights.empty(ModelConfig(width=4)).generator.colours == 3
