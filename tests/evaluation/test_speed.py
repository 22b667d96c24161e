"""The benches: what they print holds together, and a checkout that cannot be measured gets one sentence."""

import re

import numpy as np
import pytest
import torch

from qsneg.bulk.tiles import TILE
from qsneg.evaluation import speed, speed_growth, tile_speed
from qsneg.evaluation.speed_before import HERE, Side, bench_against, in_turns
from qsneg.translate import MARGIN

CPU = torch.device("cpu")


def test_operations_are_counted_forwards_and_backwards():
    net = torch.nn.Conv2d(3, 5, 3, padding=1)
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    forward = 2 * 64 * 5 * 3 * 9
    assert speed.operations(lambda: net(x)) == forward
    assert speed.operations(lambda: net(x).sum().backward()) == 3 * forward


def test_the_share_is_that_of_a_product_s_rate():
    assert speed.line({"plain": 4.0, "qsneg": 2.0}, 500_000_000, 1e9).split() == ["4.000", "2.000", "0.50", "0", "25%"]


def test_a_checkout_beside_itself():
    sides = [Side(HERE, "cut", 32, 4, "cpu", "float32", *options) for options in ((), ("checkpointing",))]
    for seconds, memory in in_turns(sides, 1):
        assert 0 < seconds < 60 and memory > 1000
    assert all(side.process.poll() is not None for side in sides)


def test_one_sentence_each(tmp_path):
    with pytest.raises(ValueError, match="is no checkout of qsneg that can be measured"):
        bench_against(tmp_path)
    (tmp_path / "qsneg").mkdir()
    (tmp_path / "qsneg" / "__init__.py").write_text("raise RuntimeError('too old')")
    with pytest.raises(ValueError, match=r"cannot be measured \(RuntimeError: too old\): choose a nearer version"):
        in_turns([Side(tmp_path, "cut", 32, 4, "cpu", "float32")], 1)


def test_growth_has_a_row_for_each_case(capsys, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # processes cost seconds each
    speed_growth.bench_growth(64, 4, 1, "cpu", "float32")
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [re.sub(r" {2,}.*", "", row) for row in rows] == [
        "1 together, 64×64", "2 together, 64×64", "4 together, 64×64", "1 alone, 32×32", "1 alone, 128×128",
    ]  # fmt: skip
    assert all(float(rate) > 0 for row in rows for rate in row.split()[-2:])


def test_tiles_are_measured_beside_one_piece(capsys):
    tile_speed.bench_tiles(64, 4, 1, "cpu", "float32")
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert "random weights, 64×64 pixels" in first
    assert [row[:42].strip() for row in rows] == list(tile_speed.WAYS)
    one, tiles, _ = ([float(value) for value in row[42:].split()] for row in rows)
    assert one[2:4] == [0, 0] and tiles[3] <= 3 and one[1] > 0


def test_edges_find_a_seam():
    flat = np.full((8, 2048, 3), 100, np.uint8)
    seam = flat.copy()
    seam[:, TILE - MARGIN :] += 10  # where the second tile begins, a margin beyond the picture being cut off
    assert tile_speed.edges(flat) == 0 and tile_speed.edges(seam) > 2
