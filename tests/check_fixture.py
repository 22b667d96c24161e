"""Recompute every number of a fixture folder from the weights in it.

    python -m tests.check_fixture tests/fixtures/qs_global --dtype float64

A folder holds weights in the layout of the published files (latest_net_G.pth, _F, _D, and for NEGCUT _N
and the slow heads _F_) and expected.npz: input images, random positions and noise, and what one step
must give. Prints one line per key with its largest absolute and relative difference; exits 1 if any
is over tolerance. Everything (width, blocks, K, N, batch, image size) is read off the folder.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from qsneg.attention import entropy, local_rows, select
from qsneg.config import ModelConfig
from qsneg.methods import CUT, create
from qsneg.networks import tokens

LAYERS = (0, 4, 8, 12, 16)


class Recorded:
    """Stands in for `Draws`: the positions and the noise that the folder recorded."""

    def __init__(self, expected: dict[str, torch.Tensor]):
        self.expected, self.step = expected, 0

    def positions(self, layer: int, size: int, num: int) -> torch.Tensor:
        return self.expected[f"ids_{layer}"]

    def noise(self, *shape: int) -> torch.Tensor:
        noise = self.expected[f"noise_step_{self.step}"]
        self.step += 1
        return noise


def load(folder: Path, dtype: torch.dtype) -> tuple[CUT, dict[str, torch.Tensor]]:
    """The method with the folder's weights, and the folder's arrays."""
    with np.load(folder / "expected.npz") as z:
        expected = {k: torch.from_numpy(np.asarray(z[k])) for k in z.files}
    expected = {
        k: v.to(dtype) if v.is_floating_point() and k.startswith(("real", "noise")) else v for k, v in expected.items()
    }
    weights = {
        part: torch.load(path, map_location="cpu", weights_only=True)
        for part in ("G", "F", "D", "N", "F_")
        if (path := folder / f"latest_net_{part}.pth").exists()
    }
    blocks = sum(k.endswith("conv_block.1.weight") for k in weights["G"])
    layers = tuple(int(k.removeprefix("feat_")) for k in expected if k.startswith("feat_")) or LAYERS
    if "N" in weights:
        method = "negcut"
    elif any(k.startswith("anchors_") for k in expected):
        method = "qs-attn"
    else:
        method = "cut"
    attention, window = attention_mode(expected) if method == "qs-attn" else ("global", 7)
    config = ModelConfig(
        method=method,
        attention=attention,
        width=len(weights["G"]["model.1.weight"]),
        disc_width=len(weights["D"]["model.0.weight"]),
        blocks=blocks,
        layers=layers,
        dim=len(weights["F"]["mlp_0.2.weight"]),
        patches=patches(expected),
        noise_dim=weights["N"]["mlp_0.0.weight"].shape[1] - len(weights["N"]["mlp_0.2.weight"])
        if "N" in weights
        else 64,
        window=window,
    )
    method = create(config, Recorded(expected)).to(dtype)
    for part, net in parts(method).items():
        net.load_state_dict(weights[part])
    return method, expected


def parts(method: CUT) -> dict[str, torch.nn.Module]:
    nets = {"G": method.generator, "F": method.heads, "D": method.discriminator}
    if method.config.method == "negcut":
        nets |= {"N": method.negative_generator, "F_": method.slow_heads}
    return nets


def patches(expected: dict) -> int:
    if "noise_step_0" in expected:
        return expected["noise_step_0"].shape[1]
    counts = [v.shape[-1] for k, v in expected.items() if k.startswith(("ids_", "anchors_"))]
    return max(counts)


def attention_mode(expected: dict) -> tuple[str, int]:
    """The attention mode and window whose selection from the folder's own features comes closest."""
    layer = next(int(k.removeprefix("anchors_")) for k in expected if k.startswith("anchors_"))
    features = expected[f"feat_{layer}"].double()
    rows, log = expected[f"attention_{layer}"], expected[f"log_entropy_{layer}"].double()
    side = round(rows.shape[-1] ** 0.5)
    candidates = []
    for mode, window in (("global", 7), ("local+global", 7), ("local", side)):
        if (mode == "local" or rows.shape[-1] == log.shape[1]) and window % 2:
            candidates.append(((entropy(features, mode, window).log - log).abs().mean().item(), mode, window))
    if side % 2 and side**2 == log.shape[1] and len(candidates) == 3:  # window as large as the picture: rows tell
        anchors = expected[f"anchors_{layer}"]
        is_local = (local_rows(features, anchors, side) - rows).abs().max() < 1e-3
        candidates = [c for c in candidates if (c[1] == "local") == bool(is_local)]
    return min(candidates)[1:]


def recompute(method: CUT, expected: dict) -> dict[str, torch.Tensor]:
    """Every key of expected.npz that is an output."""
    x, y = expected["real_A"], expected["real_B"]
    c, out = method.config, {}
    with torch.no_grad():
        out["fake_B"], features = method.generator.translate_with_features(x, c.layers)
        for i, (layer, f) in enumerate(zip(c.layers, features)):
            out[f"feat_{layer}"] = f
            read = method.reader(i, f)
            out[f"projected_{layer}"] = method.heads(read(f), i).flatten(0, 1)
            if f"anchors_{layer}" in expected:
                h = entropy(f, c.attention, c.window)
                chosen = select(f, c.patches, c.attention, c.window)
                out |= {
                    f"entropy_{layer}": h.nats,
                    f"log_entropy_{layer}": h.log,
                    f"anchors_{layer}": chosen.anchors,
                    f"attention_{layer}": chosen.rows,
                }
            if f"negatives_{layer}" in expected:
                mean = method.slow_heads.mean(tokens(f), i)
                noise = expected[f"noise_{layer}"]
                out[f"negatives_{layer}"] = method.negative_generator(mean, noise, i).flatten(0, 1)

    def norm(loss: torch.Tensor, parameters) -> torch.Tensor:
        grads = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
        return torch.stack([g.norm() for g in grads if g is not None]).norm()

    def update(name: str, loss: torch.Tensor) -> None:  # looks at gradients, moves nothing
        nets = {"G": ("G", "F"), "D": ("D",), "N": ("N",)}[name]
        for net in nets:
            out[f"grad_{net}"] = norm(loss, parts(method)[net].parameters())

    out |= {f"loss_{k}": v for k, v in method.step(x, y, update).items()}
    return out


INPUTS = ("real_", "ids_", "noise_")


def tolerance(key: str, dtype: torch.dtype) -> tuple[float, bool]:
    """The tolerance of a key, and whether it is relative."""
    double = dtype == torch.float64
    if key.startswith(("loss_", "grad_")):
        return (1e-5 if double else 1e-3), True
    if key.startswith("log_entropy_"):
        return (1e-5 if double else 1e-2), False
    return (1e-5 if double else 1e-3), False


def compare(folder: Path, dtype: torch.dtype) -> bool:
    """Print the table; True if every key is within tolerance."""
    method, expected = load(folder, dtype)
    got = recompute(method, expected)
    good = True
    for key, want in expected.items():
        if key.startswith(INPUTS):
            continue
        if key not in got:
            print(f"{key:16} not computed  FAIL")
            good = False
            continue
        a, b = got[key].double(), want.double()
        if a.shape != b.shape:
            print(f"{key:16} shape {tuple(a.shape)}, expected {tuple(b.shape)}  FAIL")
            good = False
            continue
        absolute = (a - b).abs().max().item()
        relative = ((a - b).abs() / b.abs().clamp_min(1e-12)).max().item()
        if key.startswith("anchors_"):
            ok = bool((a == b).all()) if dtype == torch.float64 else overlap(a, b) >= 0.95
        else:
            limit, is_relative = tolerance(key, dtype)
            ok = (relative if is_relative else absolute) <= limit
        good &= ok
        print(f"{key:16} absolute {absolute:9.2e}  relative {relative:9.2e}  {'ok' if ok else 'FAIL'}")
    return good


def overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Share of anchors in common: in float32 near-ties may swap places."""
    return np.mean([len(set(p) & set(q)) / len(q) for p, q in zip(a.tolist(), b.tolist())])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    args = parser.parse_args(argv)
    if not (args.folder / "expected.npz").is_file():
        parser.error(f"{args.folder} has no expected.npz")
    return 0 if compare(args.folder, getattr(torch, args.dtype)) else 1


if __name__ == "__main__":
    sys.exit(main())
