"""The drawn data set: same scene at every size, same geometry in both domains, seeds kept apart.

python -m pytest -q tests/test_drawn.py
"""

import numpy as np
import pytest
from PIL import Image

from qsneg.data.drawn_scenes import LABELS, draw, label_map, scene_seed, write
from qsneg.data.drawn_scenes.scene import describe

SEEDS = [scene_seed("test", "A", index) for index in range(16)]
ANIMAL = LABELS.index("animal")


def halve(picture):
    """Average of each 2 × 2 pixels."""
    h, w = picture.shape[:2]
    return picture.reshape(h // 2, 2, w // 2, 2, -1).mean((1, 3)).squeeze()


def luminance(picture):
    return picture @ np.array([0.299, 0.587, 0.114]) / 255


@pytest.fixture(scope="module")
def scenes():
    """(A, B, labels) of each seed at 128."""
    return [(draw(s, 128, "A"), draw(s, 128, "B"), label_map(s, 128)) for s in SEEDS]


def test_shapes_and_types(scenes):
    a, b, labels = scenes[0]
    assert a.shape == b.shape == (128, 128, 3) and labels.shape == (128, 128)
    assert a.dtype == b.dtype == labels.dtype == np.uint8
    assert draw(5, 60, "B").shape == (60, 60, 3)


def test_same_seed_same_picture(scenes):
    for seed, (a, b, labels) in list(zip(SEEDS, scenes))[:3]:
        assert np.array_equal(draw(seed, 128, "A"), a)
        assert np.array_equal(draw(seed, 128, "B"), b)
        assert np.array_equal(label_map(seed, 128), labels)


def test_other_seeds_other_pictures(scenes):
    for i in range(len(scenes)):
        for j in range(i):
            assert np.abs(scenes[i][0].astype(float) - scenes[j][0]).mean() > 4
            assert (scenes[i][2] != scenes[j][2]).any()


def test_same_scene_at_128_and_256(scenes):
    away, agree = [], []
    for seed, (a, b, labels) in zip(SEEDS[:10], scenes):
        away += [np.abs(halve(draw(seed, 256, d)) - p).mean() for d, p in (("A", a), ("B", b))]
        agree.append((label_map(seed, 256)[::2, ::2] == labels).mean())
    assert np.mean(away) < 4 and max(away) < 6  # other scenes are 20 and more apart
    assert min(agree) > 0.97


def test_labels_and_share_of_animals(scenes):
    for _, _, labels in scenes:
        assert 0.02 < (labels == ANIMAL).mean() < 0.45
        assert {0, 1, ANIMAL} <= set(np.unique(labels))
    assert set(np.unique([labels for _, _, labels in scenes])) == set(range(len(LABELS)))


def test_labels_fit_both_pictures(scenes):
    """Where the label says animal, zebras are neutral in colour, and what surrounds them is not."""
    for a, b, labels in scenes:
        ground = labels == 1
        # Blue over red in the sky of A; green leads on its ground, red on that of B.
        assert (a[labels == 0].mean(0)[2] - a[labels == 0].mean(0)[0]) > 20
        assert a[ground].mean(0).argmax() == 1 and b[ground].mean(0).argmax() == 0
        spread = np.ptp(b.astype(float), axis=2)
        assert spread[labels == ANIMAL].mean() < 0.5 * spread[ground].mean()


def test_background_differs_clearly(scenes):
    gaps = [np.abs(a.astype(float) - b)[labels != ANIMAL].mean() / 255 for a, b, labels in scenes]
    assert 0.12 < min(gaps) and max(gaps) < 0.35


def test_background_of_a_tells_that_of_b(scenes):
    """One colour change per label, the same for all scenes, explains most of the gap."""
    for label in (0, 1):
        gain = np.array([(b.astype(float) - a)[labels == label].mean(0) for a, b, labels in scenes])
        assert gain.std(0).mean() < 0.3 * np.abs(gain.mean(0)).mean()


def test_zebras_are_black_and_white(scenes):
    shares = []
    for a, b, labels in scenes:
        light = luminance(b)[labels == ANIMAL]
        dark, bright = (light < 0.4).mean(), (light > 0.6).mean()
        assert dark > 0.3 and bright > 0.25, "both colours of the stripes"
        shares.append((light < 0.5).mean())
    assert 0.45 < np.mean(shares) < 0.6 and np.std(shares) < 0.06


def test_solid_horses_are_not_striped():
    seeds = [s for s in range(40) if all(len(x.patches) == 0 and x.coat in (0, 1) for x in describe(s).animals)]
    assert len(seeds) >= 3
    for seed in seeds:
        inside = label_map(seed, 128) == ANIMAL
        horse, zebra = luminance(draw(seed, 128, "A"))[inside], luminance(draw(seed, 128, "B"))[inside]
        assert horse.std() < 0.6 * zebra.std()
        assert (horse > 0.6).mean() < 0.2 < (zebra > 0.6).mean()


def test_seeds_of_the_splits_never_meet():
    taken = {}
    for base in (0, 1, 2, 3, 7, 1234):
        for index in (0, 1, 2, 999_998, 999_999):
            for part in (("train", "A"), ("train", "B"), ("test", "A")):
                assert taken.setdefault(scene_seed(*part, index, base), (part, index, base)) == (part, index, base)
            assert scene_seed("test", "A", index, base) == scene_seed("test", "B", index, base)
    assert len(taken) == 6 * 5 * 3


@pytest.mark.parametrize(
    "bad",
    [
        ("trial", "A", 0, 0), ("train", "C", 0, 0), ("train", "A", 1_000_000, 0), ("train", "A", -1, 0),
        ("test", "A", 0, -1),
    ],
)  # fmt: skip
def test_seed_errors(bad):
    with pytest.raises(ValueError, match=r"\.$"):
        scene_seed(*bad)


def test_write_train(tmp_path):
    write("train", 2, 32, 3, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trainA", "trainB"]
    a, b = (sorted((tmp_path / f).iterdir()) for f in ("trainA", "trainB"))
    assert len(a) == len(b) == 2
    expected = draw(scene_seed("train", "B", 1, 3), 32, "B")
    assert np.array_equal(np.asarray(Image.open(b[1])), expected)


def test_write_test(tmp_path):
    seen = []

    def progress(scenes):
        for index in scenes:
            yield index
            seen.append((index, len(scenes)))

    write("test", 3, 64, 0, tmp_path, progress=progress)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    names = {f: sorted(p.name for p in (tmp_path / f).iterdir()) for f in ("testA", "testB", "labels")}
    assert names["testA"] == names["testB"] == names["labels"] and len(names["labels"]) == 3
    for index, name in enumerate(names["labels"]):
        seed = scene_seed("test", "A", index)
        right = {"testA": draw(seed, 64, "A"), "testB": draw(seed, 64, "B"), "labels": label_map(seed, 64)}
        for folder, expected in right.items():
            assert np.array_equal(np.asarray(Image.open(tmp_path / folder / name)), expected)


@pytest.mark.parametrize(
    "bad, says",
    [
        (("trial", 1, 64, 0), "split"), (("train", 0, 64, 0), "count"), (("train", 1, 30, 0), "size"),
        (("train", 1, 28, 0), "size"), (("train", 1, 2052, 0), "size"), (("test", 1, 66, 0), "size"),
        (("test", 1, 64, -1), "seed"),
    ],
)  # fmt: skip
def test_write_errors(tmp_path, bad, says):
    with pytest.raises(ValueError, match=rf"^The .*{says}.*\.$"):
        write(*bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_draw_errors():
    with pytest.raises(ValueError, match="domain"):
        draw(0, 64, "C")
    with pytest.raises(ValueError, match="multiple of 4"):
        draw(0, 66, "A")
