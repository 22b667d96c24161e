"""The best of what was kept, and steps that are recorded on CUDA."""

import json
import shutil

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from qsneg.config import build
from qsneg.training import cuda_graph
from qsneg.training.cuda_graph import RecordedStep
from qsneg.training.resuming import resume
from qsneg.training.validation import Validation
from qsneg.weights import load, read_metadata
from tests.conftest import run
from tests.training.runs import folder, tiny


def test_the_best_of_what_was_kept_is_chosen(tmp_path, monkeypatch):
    data = folder(tmp_path / "data", domains=("trainA", "trainB", "valA", "valB"))
    trainer = tiny(tmp_path / "run", data=str(data), steps=4, keep=4)
    trainer.run(progress=False)
    figures = iter((0.3, 0.1, 0.2, 0.4, 0.3, 0.1, 0.2, 0.05))
    monkeypatch.setattr(Validation, "measure", lambda self, translate: {"val_swd": next(figures)})
    monkeypatch.setattr("qsneg.device.machine", lambda device: "another machine")  # that did not train
    said = run("choose", tmp_path / "run", "--device", "cpu").out
    assert "step 2: val_swd 0.1" in said
    best, last = tmp_path / "run" / "best.safetensors", tmp_path / "run" / "model.safetensors"
    for path in (best, last):
        card = read_metadata(path)[1]
        assert card["machine"] == trainer.machine
        assert (card["best"]["step"], card["last"]["step"]) == (2, 4) and "2 pictures of valA" in card["validation"]
    kept = load(tmp_path / "run" / "kept" / "0000002.safetensors").generator.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in load(best).generator.state_dict().items())
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    assert {line["step"]: line["val_swd"] for line in lines if "val_swd" in line} == {1: 0.3, 2: 0.1, 3: 0.2, 4: 0.4}
    assert all("NCE" in line for line in lines if line["step"] % 2 == 0)  # what was there stays
    run("choose", tmp_path / "run", "--device", "cpu")  # now the last is the best
    assert best.read_bytes() == last.read_bytes() and resume(tmp_path / "run").best()["step"] == 4
    shutil.rmtree(tmp_path / "run" / "kept")
    assert "kept no weights on its way" in run("choose", tmp_path / "run", "--device", "cpu").err


def test_the_average_is_torchs_moving_average(tmp_path):
    trainer = tiny(tmp_path, "negcut")

    def mix(average, value, count):
        return torch.lerp(value, average, min(0.999, (1 + float(count)) / (10 + float(count))))

    expected = AveragedModel(trainer.exported, avg_fn=mix)
    for x, y, _ in (trainer.data[i] for i in range(3)):
        trainer.train_step(x, y)
        expected.update_parameters(trainer.exported)
    ours, theirs = trainer.average.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_steps_that_change_are_not_recorded(tmp_path):
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    model, config = build("qs-attn", "small")
    assert cuda_graph.why_not(model, config, cuda) == ""
    assert "CUDA device, not on cpu" in cuda_graph.why_not(model, config, cpu)
    build_anew = build("cut", "small", gradient_checkpointing=True)
    assert "--gradient-checkpointing" in cuda_graph.why_not(*build_anew, cuda)
    assert "several processes" in cuda_graph.why_not(model, config, cuda, 2)
    for method, settings in (("fastcut", {}), ("hdce", {}), ("cut", {"disc_crop": 64}), ("cut", {"disc_noise": 0.1})):
        assert "cannot be recorded" in cuda_graph.why_not(*build(method, "small", **settings), cuda)
    assert cuda_graph.why_not(*build("hdce", "small", gamma_end=50.0), cuda) == ""
    with pytest.raises(ValueError, match="leave out --graph"):
        tiny(tmp_path, graph=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA device is needed to record steps")
@pytest.mark.parametrize("method", ["cut", "qs-attn", "negcut"])
def test_recorded_steps_lose_the_same(tmp_path, method):
    plain, recorded = (tiny(tmp_path / str(graph), method, device="cuda", graph=graph) for graph in (False, True))
    for x, y, _ in (plain.data[i] for i in range(8)):
        a, b = ({k: float(v) for k, v in t.train_step(x, y).items()} for t in (plain, recorded))
        assert a == pytest.approx(b, rel=1e-3)
    assert isinstance(recorded.recorded, RecordedStep) and recorded.recorded.graph is not None
