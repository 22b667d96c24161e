"""The segmenter: its scores, its file, its training."""

import pytest
import torch

from qsneg import weights
from qsneg.metrics import segmenter
from qsneg.metrics.segmenter import Segmenter, SegmenterConfig, accuracies, confusion
from tests.data.test_labelled import street


def test_scores_of_a_known_confusion():
    truth = torch.tensor([[0, 0, 0, 1], [1, 1, 1, 3]])
    found = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    counts = confusion(found, truth)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 4, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    got = accuracies(counts)  # label 2 does not occur and does not count
    assert got["pixel_accuracy"] == pytest.approx(6 / 8)
    assert got["class_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert got["mean_iou"] == pytest.approx((2 / 4 + 4 / 5 + 0) / 3)


def test_network_s_shapes_and_size():
    net = Segmenter().eval()
    assert net(torch.zeros(2, 3, 40, 32)).shape == (2, 4, 40, 32) and net.features(
        net.encode(torch.zeros(2, 3, 40, 32))
    ).shape == (
        2,
        64,
    )
    assert 100_000 < sum(p.numel() for p in net.parameters()) < 300_000
    labels, features = segmenter.judge(net, torch.rand(5, 3, 32, 32), batch=2)
    assert labels.shape == (5, 32, 32) and features.shape == (5, 64)


def test_it_trains_in_the_precision_that_is_asked_for(tmp_path, monkeypatch):
    seen, forward = set(), Segmenter.forward
    watched = lambda self, x: seen.add(torch.is_autocast_enabled("cpu")) or forward(self, x)  # noqa: E731
    monkeypatch.setattr(Segmenter, "forward", watched)
    for precision, used in (("float32", False), ("bfloat16", True)):
        config = SegmenterConfig(steps=1, batch=2, size=32, scenes=2, device="cpu", precision=precision)
        seen.clear()
        segmenter.train(config, tmp_path / f"{precision}.safetensors", test=2, progress=False)
        assert used in seen and (used or seen == {False})
    with pytest.raises(ValueError, match="Unknown precision"):
        segmenter.train(SegmenterConfig(precision="half"), tmp_path / "no.safetensors")


def test_training_learns_and_its_file_gives_the_network_back(tmp_path):
    folder = tmp_path / "checkpoints"
    path = folder / "segmenter.safetensors"
    card = segmenter.train(
        SegmenterConfig(steps=40, batch=4, size=32, scenes=8, device="cpu"), path, test=6, progress=False
    )
    assert card["steps"] == 40 and card["machine"] and card["figures"]["pixel_accuracy"] > 0.6  # by chance: about 0.4
    assert path.stat().st_size < 1_000_000
    net, read = segmenter.load(path, "cpu")
    assert read == card and not net.training
    pictures, labels = segmenter.scenes("test", "B", range(6), 32)
    again = accuracies(confusion(segmenter.judge(net, pictures.float() / 127.5 - 1)[0], labels))
    assert again == pytest.approx(card["figures"], abs=0.01)  # in float16
    assert path in weights.available(tmp_path) and path not in weights.available(
        folder
    )  # beside families: no translator
    with pytest.raises(ValueError, match="is not a weights file"):
        weights.load(path)


def test_one_sentence_each(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m qsneg segmenter"):
        segmenter.load(tmp_path / "nothing.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="is no segmenter"):
        segmenter.load(tmp_path / "junk.safetensors")
    with pytest.raises(ValueError, match="divisible by 8"):
        SegmenterConfig(size=100)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        SegmenterConfig(steps=0)


@pytest.mark.skipif(not segmenter.default_path().is_file(), reason="no segmenter is shipped yet")
def test_the_shipped_one_knows_true_pictures():
    net, card = segmenter.load(device="cpu")
    assert card["figures"]["mean_iou"] > 0.9
    pictures, labels = segmenter.scenes("test", "B", range(6), 128)
    assert accuracies(confusion(segmenter.judge(net, pictures.float() / 127.5 - 1)[0], labels))["mean_iou"] > 0.85


def test_photographs_with_classes(tmp_path):
    """It learns a folder's labels, and pixels that do not count count nowhere."""
    data = street(tmp_path / "street")
    config = SegmenterConfig(str(data), steps=2, batch=2, size=32, device="cpu")
    card = segmenter.train(config, tmp_path / "street.safetensors", progress=False)
    assert (card["data"], card["classes"], card["scenes"], card["test_scenes"]) == ("street, domain B", 19, 3, 3)
    net, _ = segmenter.load(tmp_path / "street.safetensors", "cpu")
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 19, 32, 32)
    truth = torch.tensor([0, 13, 255, 255])
    assert accuracies(confusion(torch.tensor([0, 13, 1, 2]), truth, 19)) == dict.fromkeys(
        ("pixel_accuracy", "class_accuracy", "mean_iou"), 1.0
    )
    with pytest.raises(ValueError, match="no data folder"):
        SegmenterConfig("nowhere")
