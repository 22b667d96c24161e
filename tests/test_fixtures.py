"""Every number of the fixture folders, recomputed; and the checker itself can fail."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.check_fixture import main
from tests.conftest import lively

FOLDERS = sorted(
    p.parent for p in (Path(__file__).parent / "fixtures").glob("*/expected.npz") if p.parent.name != "before"
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_folder(folder, dtype, capsys):
    assert main([str(folder), "--dtype", dtype]) == 0, capsys.readouterr().out


def test_there_are_five():
    assert [f.name for f in FOLDERS] == ["cut", "negcut", "qs_global", "qs_local", "qs_local_global"]


@pytest.mark.parametrize("key", ["loss_G", "grad_G", "log_entropy_16", "anchors_12", "projected_0"])
def test_checker_fails_on_a_wrong_number(key, tmp_path, capsys):
    source = FOLDERS[2]
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arrays = dict(np.load(source / "expected.npz"))
    if key.startswith("anchors"):
        arrays[key] = arrays[key][:, ::-1]
    else:
        arrays[key] = arrays[key] * 1.001 + 1e-4
    np.savez(tmp_path / "expected.npz", **arrays)
    assert main([str(tmp_path), "--dtype", "float64"]) == 1
    failed = [l.split()[0] for l in capsys.readouterr().out.splitlines() if l.endswith("FAIL")]
    assert failed == [key]


def make_folder(folder, method, attention, width, dim, patches, batch, size, blocks=9):
    """A folder of any other shape, from the project's own numbers."""
    from qsneg.config import ModelConfig
    from qsneg.methods import create
    from tests.check_fixture import parts, recompute

    torch.manual_seed(1)
    config = ModelConfig(
        method=method, attention=attention, width=width, disc_width=3, dim=dim, patches=patches, blocks=blocks
    )
    model = lively(create(config).double())
    x, y = torch.rand(2, batch, 3, *size).double() * 2 - 1
    expected = {"real_A": x, "real_B": y}
    for layer, f in zip(config.layers, model.generator.encode(x, config.layers)):
        expected[f"ids_{layer}"] = torch.randperm(f.shape[2] * f.shape[3])[:patches]
    if method == "qs-attn":
        expected |= {f"anchors_{l}": torch.zeros(1) for l in (12, 16)}
    if method == "negcut":
        expected |= {f"noise_{l}": torch.randn(batch, patches, 64).double() for l in config.layers}
        expected |= {f"negatives_{l}": torch.zeros(1) for l in config.layers}
        expected |= {f"noise_step_{k}": torch.randn(batch, patches, 64).double() for k in range(20)}
    from tests.check_fixture import Recorded

    model.draws = Recorded(expected)
    expected |= recompute(model, expected)
    np.savez(folder / "expected.npz", **{k: v.detach().numpy() for k, v in expected.items()})
    for part, net in parts(model).items():
        torch.save({k: v.double() for k, v in net.state_dict().items()}, folder / f"latest_net_{part}.pth")


@pytest.mark.parametrize(
    "method, attention, size",
    [
        ("cut", "global", (36, 60)),
        ("negcut", "global", (32, 40)),
        ("qs-attn", "global", (44, 36)),
        ("qs-attn", "local", (28, 28)),
        ("qs-attn", "local+global", (28, 28)),
        ("qs-attn", "local", (40, 36)),
    ],
)
def test_any_shape(method, attention, size, tmp_path, capsys):
    """Other sizes, batch 2, odd widths; 28×28 has a 7×7 grid, where local and global rows are equally long."""
    make_folder(tmp_path, method, attention, width=5, dim=12, patches=10, batch=2, size=size)
    assert main([str(tmp_path), "--dtype", "float64"]) == 0, capsys.readouterr().out
