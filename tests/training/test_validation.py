"""What a run is judged and its best step chosen by, and pictures that are too small to train on."""

import json
import shutil

import pytest
import torch
from torch import nn

from qsneg.data import drawn_scenes
from qsneg.metrics import fidelity
from qsneg.training import validation
from qsneg.training.validation import Validation, best
from qsneg.weights import load, read_metadata
from tests.conftest import run
from tests.training.runs import folder, tiny


class Colours(nn.Module):
    """Mean colours, in the place of a network of features."""

    def forward(self, x):
        return x.float().mean((2, 3))


def test_drawn_scenes_have_seeds_of_their_own(tmp_path):
    seeds = {
        split: {drawn_scenes.scene_seed(split, d, i, base) for base in (0, 1, 7) for d in "AB" for i in (0, 999_999)}
        for split in drawn_scenes.SPLITS
    }
    assert not any(seeds["val"] & seeds[split] for split in ("train", "test"))
    drawn_scenes.write("val", 1, 64, 0, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels", "valA", "valB"]


def test_figures_are_of_validation_pictures_alone(tmp_path, monkeypatch):
    """Whatever lies in testA and testB, and even if nothing does."""
    data = folder(tmp_path, domains=("valA", "valB"))
    seen = []
    found = Validation(str(data)).measure(lambda x: seen.append(x) or x)
    assert len(seen) == 2 and found["val_swd"] == pytest.approx(1) and found["val_edges"] == pytest.approx(1)
    (data / "testA").mkdir()
    (data / "testA" / "broken.png").write_bytes(b"no picture")
    assert Validation(str(data)).measure(lambda x: x) == found
    shutil.rmtree(data / "valB")
    assert Validation(str(data)).measure(lambda x: x) == {}
    monkeypatch.setattr(validation, "SCENES", 2)
    monkeypatch.setattr(validation, "SCENE_SIZE", 32)
    truth = [torch.from_numpy(drawn_scenes.draw(drawn_scenes.scene_seed("val", "A", i), 32, "B")) for i in range(2)]
    truth = iter([t.permute(2, 0, 1)[None] / 127.5 - 1 for t in truth])
    assert Validation("horse2zebra-drawn").measure(lambda x: next(truth))["val_background"] < 0.01


def test_kid_decides_where_it_can_be_had(tmp_path, monkeypatch):
    data = str(folder(tmp_path, sizes=[(64, 64)] * 5, domains=("valA", "valB")))
    monkeypatch.setattr(fidelity, "lite0", lambda: Colours())
    found = Validation(data).measure(lambda x: x)
    assert list(found)[:3] == ["val_kid_lite0", "val_kid_lite0_error", "val_swd"]
    dark = Validation(data).measure(lambda x: x * 0 - 1)
    assert dark["val_kid_lite0"] > 10 * found["val_kid_lite0"]
    words = Validation(data).words
    assert "KID, EfficientNet-Lite0 features: 5 against 5 pictures, × 1000, ± 1.96 standard deviations" in words
    history = [{"step": 1, "val_kid_lite0": 3, "val_swd": 1}, {"step": 2, "val_kid_lite0": 2, "val_swd": 2}]
    assert best(history)["step"] == 2 and best([{"step": 0, "val_swd": 0}, *history])["step"] == 2
    assert best([{"step": 1, "val_swd": 2}, {"step": 2, "val_swd": 1}])["step"] == 2 and best([]) is None


def test_the_best_step_is_kept_beside_the_last(tmp_path, monkeypatch):
    """By the first figure; of two that are equally good, the first."""
    trainer = tiny(tmp_path / "run", steps=4, evaluate_every=1, save_every=100)
    figures = iter([0.9, 0.4, 0.7, 0.4])
    weights = []

    def measured(_, translate):
        weights.append({k: v.clone() for k, v in trainer.average.module["generator"].state_dict().items()})
        return {"val_background": next(figures), "val_luminance": 1 / len(weights)}

    monkeypatch.setattr(Validation, "measure", measured)
    trainer.run(progress=False)
    config, card = read_metadata(tmp_path / "run" / "best.safetensors")
    assert card["steps"] == 2 and card["best"]["step"] == 2 and "64 drawn scenes" in card["validation"]
    assert read_metadata(tmp_path / "run" / "model.safetensors")[1]["best"]["step"] == 2
    best = load(tmp_path / "run" / "best.safetensors").generator.state_dict()
    assert all(torch.equal(best[k], v.half().float()) for k, v in weights[1].items() if k in best)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["val_background"] for line in lines] == [0.9, 0.4, 0.7, 0.4]


def test_without_validation_pictures_there_is_no_best_and_a_line_says_how_to_make_them(tmp_path):
    data = folder(tmp_path / "mine", domains=("trainA", "trainB", "testA", "testB"))
    flags = "--crop 64 --resize 64 --preset debug --steps 2 --width 4 --disc-width 4 --device cpu --no-film".split()
    code, _, err = run("train", data, *flags, "--evaluate-every", 1, "--out", tmp_path / "run")
    assert code == 0 and err.count("No validation pictures, so no step is chosen as the best") == 1
    assert "valA" in err and "data NAME --from FOLDER" in err
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert not {"best", "last"} & read_metadata(tmp_path / "run" / "model.safetensors")[1].keys()


def test_pictures_smaller_than_the_crop(tmp_path):
    """Refused, with the option that leaves them out; left out, they are counted, on the screen and in the card."""
    data = folder(tmp_path / "mine", sizes=((80, 90), (63, 200), (100, 80)))
    (data / "trainB" / "1.png").unlink()
    flags = "--crop 64 --resize 64 --preset debug --steps 1 --width 4 --disc-width 4 --device cpu --no-film".split()
    command = ["train", data, *flags, "--evaluate-every", 0, "--out", tmp_path / "run"]
    code, _, err = run(*command)
    assert code == 2 and "(63×200); remove them, leave them out with --skip-small, or set a smaller --crop" in err
    code, out, err = run(*command, "--skip-small")
    assert code == 0 and "Left out, smaller than the crop of 64 pixels: 1 of trainA." in out, err
    assert "2 pictures of domain A and 2 of domain B" in out
    assert read_metadata(tmp_path / "run" / "model.safetensors")[1]["left_out"] == {"trainA": 1}
    code, _, err = run(*command[:-1], tmp_path / "other", "--skip-small", "--crop", 96, "--resize", 96)
    assert code == 2 and "Every picture in" in err and "trainA' is smaller than the crop of 96" in err
