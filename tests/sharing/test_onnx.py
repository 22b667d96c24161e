"""Export to ONNX: onnxruntime against PyTorch at sizes that neither the exporter nor its own check has seen."""

import json
import os
import sys

import numpy as np
import pytest
import torch

from qsneg.sharing import onnx as export
from qsneg.weights import load, save
from tests.conftest import run, tiny

MODELS = {
    "blur": dict(method="qs-attn", width=8, blocks=2, layers=(0, 4, 8)),
    "strided": dict(method="cyclegan", blocks=1, layers=(0, 4, 8), resampling="strided"),
}


@pytest.fixture(scope="module")
def runtime():
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        reason = f"Export is not tested: {error.name} is missing."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return onnxruntime


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Weights files of lively tiny generators, by resampling."""
    folder = tmp_path_factory.mktemp("weights")
    for name, settings in MODELS.items():
        save(tiny(card={"data": "somewhere/skies", "steps": 7}, **settings), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module", params=MODELS)
def exported(request, runtime, models, tmp_path_factory):
    """The weights, and the ONNX file made of them."""
    path = models / f"{request.param}.safetensors"
    out, found = export.export(path, out=tmp_path_factory.mktemp("onnx") / "new" / "model.onnx")
    assert set(found) == {"384×256", "100×132"} and all(0 <= d < 1e-3 for d in found.values())
    return load(path), out


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 3, 12, 76), (1, 3, 164, 20)])
def test_any_batch_and_size_divisible_by_four(runtime, exported, shape):
    weights, path = exported
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    (y,) = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"picture": x.numpy()})
    with torch.inference_mode():
        expected = weights.generator(x)
    assert y.dtype == np.float32 and expected.std() > 0.1
    torch.testing.assert_close(torch.from_numpy(y), expected, rtol=0, atol=1e-3)


def test_the_file_says_what_it_is_and_nothing_of_this_machine(runtime, exported):
    weights, path = exported
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert set(told) == {"method", "family", "config", "card"}
    assert told["method"] == weights.config.method and told["family"] == "skies"
    assert json.loads(told["config"])["width"] == weights.config.width and json.loads(told["card"]) == weights.card
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, given.name) == ("picture", "translation")
    assert taken.shape == given.shape == ["B", 3, "4*h", "4*w"]
    assert taken.type == given.type == "tensor(float)"
    content = path.read_bytes()
    assert not any(name.encode() in content for name in ("networks.py", "layers.py", export.__file__))
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing beside it


def test_only_plain_operators(runtime, exported):
    import onnx

    weights, path = exported
    model = onnx.load(path)
    resize = "Resize" if weights.config.resampling == "blur" else "ConvTranspose"
    kinds = {node.op_type for node in model.graph.node}
    assert kinds - {"Constant"} == {"Pad", "Conv", "InstanceNormalization", "Relu", "Add", "Tanh", resize}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)] and not model.functions


def test_a_file_that_differs_from_pytorch_is_refused(exported, monkeypatch):
    weights, path = exported
    changed = load(weights.path)
    changed.generator.model[1].weight[0] += 0.5
    with pytest.raises(ValueError, match="At 384×256 pixels .* differs .* no file was written"):
        export.differences(path.read_bytes(), changed.generator)
    with pytest.raises(ValueError, match="onnxruntime .* cannot run the model"):
        export.differences(b"nothing", weights.generator)


@pytest.mark.parametrize("arguments, words", [
    (["blur.safetensors", "--format", "coreml"], "Unknown format 'coreml': choose onnx."),
    (["blur.safetensors", "--out", "a.png"], "must end in .onnx, not 'a.png'"),
    (["blur.safetensors", "--out", "taken.onnx"], "is there already"),
    (["nothing-here"], "No weights called 'nothing-here'"),
])  # fmt: skip
def test_errors_are_one_sentence(models, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "require_packages", lambda: None)
    (tmp_path / "taken.onnx").write_text("mine")
    (tmp_path / "blur.safetensors").write_bytes((models / "blur.safetensors").read_bytes())
    code, _, err = run("export", *arguments)
    assert code == 2 and words in err and err.count("\n") == 1
    assert (tmp_path / "taken.onnx").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("package", export.PACKAGES)
def test_a_missing_package_is_named(package, models, tmp_path, monkeypatch):
    for other in export.PACKAGES:
        monkeypatch.setitem(sys.modules, other, None if other == package else sys)
    code, _, err = run("export", models / "blur.safetensors", "--out", tmp_path / "a.onnx")
    assert code == 2
    assert err == f"Error: Export needs '{package}': run `pip install onnx onnxruntime onnxscript` first.\n"


def test_the_command_names_the_file_and_its_differences(runtime, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "to_onnx", lambda weights: b"model")
    monkeypatch.setattr(export, "differences", lambda content, generator: {"8×8": 1.5e-6})
    code, out, _ = run("export", models / "blur.safetensors", "--format", "onnx")
    name = f"{models.name}-blur.onnx"
    assert code == 0 and (tmp_path / name).read_bytes() == b"model"
    assert name in out and "1.5e-06 at 8×8" in out


@pytest.mark.parametrize("name, file", [
    ("day2sunset/cut", "day2sunset-cut.onnx"), ("runs/mine/model.safetensors", "mine-model.onnx"),
    ("model.safetensors", "model.onnx"), ("../model.safetensors", "model.onnx"), ("/me/net-1.5", "me-net-1.5.onnx"),
])  # fmt: skip
def test_default_file_names(name, file):
    assert export.file_name(name) == file
