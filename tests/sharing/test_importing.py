"""Published files into qsneg's format: the fixtures' weights give the fixtures' images; every format; refusals."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from qsneg import methods, weights
from qsneg.config import ModelConfig
from qsneg.inspect import inspect, observe, query
from qsneg.inspect.summary import summary
from qsneg.networks import Generator, ProjectionHeads
from qsneg.sharing import importing
from qsneg.sharing.importing import convert, open_file
from qsneg.translate import Translator
from tests.conftest import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
PARTS = {"generator": "G", "heads": "F", "negatives": "N", "slow_heads": "F_"}


def files(name: str) -> dict[str, Path]:
    """A fixture's weights, as the arguments of `convert`."""
    found = {part: FIXTURES / name / f"latest_net_{letter}.pth" for part, letter in PARTS.items()}
    return {part: path for part, path in found.items() if path.is_file()}


def state(name: str = "cut", letter: str = "G") -> dict[str, torch.Tensor]:
    return torch.load(FIXTURES / name / f"latest_net_{letter}.pth", weights_only=True)


def images(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A fixture's source and the translation that it says is right."""
    with np.load(FIXTURES / name / "expected.npz") as arrays:
        return torch.from_numpy(arrays["real_A"]).float(), torch.from_numpy(arrays["fake_B"]).float()


def differs(model: weights.Weights, name: str = "cut") -> float:
    """Largest difference of a fixture's image, in steps of 1/255 of the range."""
    source, right = images(name)
    return float((Translator(model, "cpu", "off").translate_tensor(source) - right).abs().max()) * 127.5


@pytest.mark.parametrize("name, method, attention", [
    ("cut", "cut", "global"), ("cut", "fastcut", "global"), ("negcut", "negcut", "global"),
    ("qs_global", "qs-attn", "global"), ("qs_local", "qs-attn", "local"),
    ("qs_local_global", "qs-attn", "local+global"),
])  # fmt: skip
def test_fixtures_weights_give_the_fixtures_images(name, method, attention, tmp_path):
    made = convert(method, **files(name), attention=attention)
    assert differs(made, name) < 0.01
    weights.save(made, tmp_path / "a.safetensors")
    again = weights.load(tmp_path / "a.safetensors")
    assert differs(again, name) < 1  # saved in float16
    weights.save(made, tmp_path / "exact.safetensors", exact=True)
    assert differs(weights.load(tmp_path / "exact.safetensors"), name) == differs(made, name)
    assert again.config == made.config and again.config.dim == 32 and again.config.width == 4
    assert again.card["imported"]["generator"] == "latest_net_G.pth" and not again.lacks
    assert (again.negative_generator is not None) == (method == "negcut")
    for part, file in files(name).items():
        net = {"negatives": "negative_generator"}.get(part, part)
        for key, tensor in torch.load(file, weights_only=True).items():
            torch.testing.assert_close(made.parts()[net].state_dict()[key], tensor.float())


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", ["new", "old", "safetensors", "half", "no filters", "old norms", "parameters"])
def test_formats(kind, prefix, tmp_path):
    tensors = {prefix + k: v for k, v in state().items()}
    path = tmp_path / f"G.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "half":
        tensors = {k: v.half() for k, v in tensors.items()}
    if kind == "no filters":
        tensors = {k: v for k, v in tensors.items() if not k.endswith("filt")}
    if kind == "old norms":
        tensors[f"{prefix}model.2.running_mean"] = torch.zeros(4)
        tensors[f"{prefix}model.2.num_batches_tracked"] = torch.tensor(3)
    if kind == "parameters":
        tensors = {k: torch.nn.Parameter(v.clone()) for k, v in tensors.items()}
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind != "old")
    assert differs(open_file(path)) < (1 if kind == "half" else 0.01)


def cyclegan(width: int, blocks: int, dropout: bool = False) -> torch.nn.Module:
    """The strided generator of the CycleGAN paper's appendix, written out a second time from torch's own layers."""
    nn, norm = torch.nn, torch.nn.InstanceNorm2d

    class Block(nn.Module):
        def __init__(self, c):
            super().__init__()
            drop = [nn.Dropout(0.5)] if dropout else []
            self.conv_block = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(c), nn.ReLU(), *drop,
                                            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(c))  # fmt: skip

        def forward(self, x):
            return x + self.conv_block(x)

    layers, w = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), nn.ReLU()], width
    for c in (w, 2 * w):
        layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), norm(2 * c), nn.ReLU()]
    layers += [Block(4 * w) for _ in range(blocks)]
    for c in (4 * w, 2 * w):
        layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, output_padding=1), norm(c // 2), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
    net = nn.Module()
    net.model = nn.Sequential(*layers)
    return net.eval()


@pytest.mark.parametrize("width, blocks, dropout", [(4, 9, False), (6, 6, True)])
def test_cyclegans_generators(width, blocks, dropout, tmp_path):
    torch.manual_seed(0)
    net, x = cyclegan(width, blocks, dropout), torch.rand(1, 3, 32, 48) * 2 - 1
    torch.save(net.state_dict(), tmp_path / "G.pth")
    made = open_file(tmp_path / "G.pth")
    assert (made.config.width, made.config.blocks, made.config.resampling) == (width, blocks, "strided")
    assert made.title == "CycleGAN" and made.heads is None and made.config.last_layer == 9 + blocks
    weights.save(made, tmp_path / "a.safetensors")
    again = Translator(open_file(tmp_path / "a.safetensors"), "cpu", "off")
    with torch.no_grad():
        right = net.model(x)
    assert right.std() > 0.01
    torch.testing.assert_close(made.generator(x), right, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again.translate_tensor(x), right, atol=5e-3, rtol=0)
    layers = again.config.layers
    for layer, f in zip(layers, made.generator.encode(x, layers)):
        assert [f.shape[1]] == made.generator.channels((layer,))
        assert (f.shape[2] - 6 * (layer == 0)) * made.generator.stride(layer) == 32
    with pytest.raises(ValueError, match="last residual block"):
        ModelConfig(layers=(0, 20), blocks=9, resampling="strided")


def test_names_of_files_do_not_matter_and_one_level_is_looked_into(tmp_path):
    state = cyclegan(4, 6, False).state_dict()
    torch.save(state, tmp_path / "torch.safetensors")
    save_file(state, tmp_path / "safetensors.pth")
    save_file(state, tmp_path / "upper.SAFETENSORS")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "nested.pth")
    for path in tmp_path.iterdir():
        assert open_file(path).config.blocks == 6
    weights.save(open_file(path), tmp_path / "ours.bin")
    assert open_file(tmp_path / "ours.bin").title == "CycleGAN"
    counted = state | {"model.2.running_mean": torch.zeros(4), "model.2.weight": torch.ones(4),
                       "model.2.num_batches_tracked": torch.tensor(100_000)}  # fmt: skip
    torch.save(counted, tmp_path / "batch.pth")
    with pytest.raises(ValueError, match="batch norm"):
        open_file(tmp_path / "batch.pth")
    with pytest.raises(ValueError, match="is a folder"):
        convert("cut", tmp_path)
    with pytest.raises(ValueError, match="Unknown method 'pix2pix': .*cyclegan"):
        convert("pix2pix", tmp_path / "nested.pth")


def test_channels_and_strides_of_every_layer():
    for resampling in ("blur", "strided"):
        last = ModelConfig(resampling=resampling, blocks=2, layers=(0,)).last_layer
        layers = tuple(range(last + 1))
        generator = Generator(4, 2, resampling)
        features = generator.encode(torch.zeros(1, 3, 32, 32), layers)
        assert [f.shape[1] for f in features] == generator.channels(layers)
        assert [32 // generator.stride(n) for n in layers[1:]] == [f.shape[3] for f in features[1:]]


def test_what_needs_heads_says_that_there_are_none():
    model = Translator(convert("cut", files("cut")["generator"]), "cpu")
    view = observe(model, Image.linear_gradient("L").resize((40, 32)))
    seen = inspect(view, 12)
    assert seen.loss is None and seen.similarity is None and seen.log_entropy.shape == (8, 10)
    assert "came without projection heads" in summary(view, seen)["in_words"] and "loss" not in seen.arrays()
    assert view.attention(12, (2, 3)).sum() == pytest.approx(1, abs=1e-4)
    for ask in (lambda: view.similarity(12, (2, 3)), lambda: query(view, 12, (2, 3)), lambda: list(view.blocks(12))):
        with pytest.raises(ValueError, match="came without projection heads"):
            ask()
    found = files("negcut")
    view = observe(Translator(convert("negcut", found["generator"], found["heads"]), "cpu"), view.source)
    assert view.similarity(12, (2, 3)).shape == (8, 10) and inspect(view, 12).loss is None
    with pytest.raises(ValueError, match="came without its negative generator"):
        query(view, 12, (2, 3))


@pytest.mark.parametrize("layers", [None, (4, 8, 12)])
def test_layers_of_heads_are_named(layers, tmp_path):
    torch.save(ProjectionHeads([8, 16, 16], 12).state_dict(), tmp_path / "F.pth")
    if layers:
        assert convert("cut", files("cut")["generator"], tmp_path / "F.pth", layers=layers).config.dim == 12
    else:
        with pytest.raises(ValueError, match="--layers"):
            convert("cut", files("cut")["generator"], tmp_path / "F.pth")


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def refused(tmp_path, kind: str):
    """A file of a kind that is not understood."""
    g = state()
    block = {k: v for k, v in g.items() if "model.12." not in k}
    tensors = {
        "unet": {"model.model.0.weight": torch.zeros(8, 3, 4, 4), "model.model.1.model.1.weight": torch.zeros(8)},
        "stylegan": {"synthesis.b4.const": torch.zeros(8, 4, 4), "mapping.fc0.weight": torch.zeros(8, 8)},
        "discriminator": state("cut", "D"), "heads": state("cut", "F"),
        "other names": block | {"model.12.conv.weight": torch.zeros(1)},
        "wrong shape": g | {"model.12.conv_block.1.weight": torch.zeros(16, 16, 5, 5)},
        "other filter": g | {"model.7.filt": torch.ones(8, 1, 3, 3) / 9},
        "batch norm": g | {"model.2.weight": torch.ones(4), "model.2.running_mean": torch.zeros(4)},
        "not finite": g | {"model.1.bias": torch.tensor([0, 0, 0, torch.nan])},
        "tensor of tensors": g | {"model.1.bias": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])},
        "sparse": g | {"model.1.bias": torch.zeros(4).to_sparse()},
        "whole numbers": g | {"model.1.bias": torch.zeros(4, dtype=torch.int64)},
        "expanded": g | {"model.1.weight": torch.zeros(1).expand(1000, 1000, 70, 70)},
        "nested": {"network": g, "step": 3}, "empty": {}, "list": [torch.zeros(3)],
        "harmful": {"model.1.weight": Harmful(tmp_path / "harmed")}, "module": torch.nn.Linear(2, 2),
    }  # fmt: skip
    path = tmp_path / "file.pth"
    if kind in tensors:
        torch.save(tensors[kind], path)
    elif kind == "old harmful":
        torch.save(tensors["harmful"], path, _use_new_zipfile_serialization=False)
    elif kind == "text":
        path.write_text("hello")
    elif kind == "cut off":
        torch.save(g, path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "broken safetensors":
        path = tmp_path / "file.safetensors"
        path.write_bytes(b"broken")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "compressed":
        import zipfile

        torch.save({"model.1.weight": torch.zeros(100_000)}, tmp_path / "whole.pth")
        with zipfile.ZipFile(tmp_path / "whole.pth") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.namelist():
                new.writestr(entry, old.read(entry))
    return path


@pytest.mark.parametrize("kind, words", [
    ("unet", "a U-Net"), ("stylegan", "a StyleGAN"), ("discriminator", "a discriminator"),
    ("heads", "projection heads"),
    ("other names", "model.12.conv.weight"), ("wrong shape", "16×16×5×5 and should be 16×16×3×3"),
    ("other filter", "model.7.filt"), ("batch norm", "batch norm"), ("not finite", "not finite"),
    ("tensor of tensors", "nested|more than tensors"), ("sparse", "sparse"), ("whole numbers", "int64"),
    ("expanded", "room for"), ("nested", r"network \(OrderedDict\), step \(int\)"),
    ("empty", "no tensors"), ("list", "a list"), ("harmful", "more than tensors"), ("old harmful", "more than tensors"),
    ("module", "more than tensors"), ("text", "cannot be read as a PyTorch file"), ("cut off", "cannot be read"),
    ("broken safetensors", "cannot be read"), ("compressed", "cannot be read"), ("missing", "There is no file"),
    ("pipe", "a pipe or a device"),
])  # fmt: skip
def test_what_is_not_understood_is_refused_in_one_sentence(kind, words, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        open_file(refused(tmp_path, kind))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    assert not (tmp_path / "harmed").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    found = files("negcut")
    for wrong, words in (
        (dict(method="cut", **found), "belongs to negcut"),
        (dict(method="negcut", generator=found["generator"], negatives=found["negatives"]), "--slow-heads"),
        (dict(method="cut", generator=found["generator"], heads=found["generator"]), "no set of projection heads"),
        (dict(method="negcut", **found | {"negatives": found["heads"]}), "no negative generator|does not fit"),
        (dict(method="pix2pix", generator=found["generator"]), "Unknown method"),
    ):
        with pytest.raises(ValueError, match=words):
            convert(**wrong)
    weights.save(convert("negcut", **found), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="needs no import"):
        importing.read(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="only imported"):
        methods.create(ModelConfig(method="cyclegan"))


def test_a_file_that_asks_for_huge_networks_is_refused_before_they_are_made(tmp_path):
    path = tmp_path / "a.safetensors"
    made = convert("cut", files("cut")["generator"])
    made.config = ModelConfig(width=4096, blocks=256)  # half a terabyte
    weights.save(made, path)
    with pytest.raises(ValueError, match="does not fit"):
        open_file(path)
    made.config = ModelConfig()
    object.__setattr__(made.config, "blocks", 10**9)
    weights.save(made, path)
    with pytest.raises(ValueError, match="blocks must be"):
        open_file(path)


def test_the_command(tmp_path):
    out, g = tmp_path / "a.safetensors", files("cut")["generator"]
    code, said, _ = run("import", "--method", "fastcut", "--generator", g, "--out", out)
    assert code == 0 and "FastCUT, width 4, 9 blocks, blur" in said and "without projection heads" in said
    assert weights.load(out).title == "FastCUT"
    code, _, err = run("import", "--method", "cut", "--generator", g, "--out", out)
    assert code == 2 and "is there already" in err
    fresh = tmp_path / "c.safetensors"
    code, _, err = run("import", "--method", "cut", "--generator", g, "--layers", "0;4", "--out", fresh)
    assert code == 2 and "Layers are numbers" in err
    other = FIXTURES / "cut" / "latest_net_D.pth"
    code, _, err = run("import", "--method", "cut", "--generator", other, "--out", tmp_path / "b.safetensors")
    assert code == 2 and "a discriminator" in err and err.count("\n") == 1
