"""Exported weights: one safetensors file per model, with its configuration and card in the metadata.

A file holds float16 tensors under `generator.`, `heads.`, for NEGCUT `negative_generator.` and `slow_heads.`, and
`discriminator.`, each a moving average: everything that translating and inspecting need. They are float32 where values
are too large for float16, and where the digits of an imported model are (see `qsneg.sharing.importing`), of which often
only the generator is there, the one part that must be; older files have no discriminator.

    from qsneg.weights import load
    weights = load("horse2zebra-drawn/cut")
    print(weights.card["steps"], weights.config.width)
"""

import dataclasses
import json
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from qsneg import hub
from qsneg.config import ModelConfig
from qsneg.filesystem import Unusable, clause, some, whole
from qsneg.networks import Discriminator, Generator, NegativeGenerator, ProjectionHeads

FOLDER = Path(os.environ.get("QSNEG_CHECKPOINTS", Path(__file__).parent.parent / "checkpoints"))

KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
PARTS = ("generator", "heads", "negative_generator", "slow_heads", "discriminator")
MISSING = {
    "heads": "This model came without projection heads, which similarities, losses and negatives need.",
    "negative_generator": "This model came without its negative generator, which its losses and negatives need.",
}


@dataclass
class Weights:
    """A model as it is shipped: networks in float32 on the CPU, in evaluation mode."""

    config: ModelConfig
    generator: Generator
    heads: ProjectionHeads | None  # None where only the generator was imported
    negative_generator: NegativeGenerator | None = None
    slow_heads: ProjectionHeads | None = None
    discriminator: Discriminator | None = None
    card: dict = field(default_factory=dict)  # data, steps, seed, time, machine, figures
    path: Path | None = None

    @property
    def title(self) -> str:
        return self.config.traits.title

    @property
    def lacks(self) -> set[str]:
        """The parts that looking inside needs and that the file did not bring: similarities need "heads", losses and
        negatives all of them."""
        needed = ("heads", *["negative_generator"] * self.config.traits.generates)
        return {part for part in needed if getattr(self, part) is None}

    def why_not(self, *needed: str) -> str:
        """Why what needs these parts (without arguments: all) cannot be computed, in one sentence; "" if it can."""
        return next((why for part, why in MISSING.items() if part in self.lacks and part in (needed or MISSING)), "")

    def parts(self) -> dict[str, nn.Module]:
        return {n: getattr(self, n) for n in PARTS if getattr(self, n) is not None}

    @classmethod
    def empty(cls, config: ModelConfig, parts: Collection[str] = PARTS[:-1]) -> "Weights":
        """Freshly initialised networks for a configuration: of `parts`, those that its method has."""
        weights = cls(config, Generator(config.width, config.blocks, config.resampling, config.wide), None)
        channels = weights.generator.channels(config.layers)
        if "heads" in parts:
            weights.heads = ProjectionHeads(channels, config.dim)
        if config.traits.generates and "negative_generator" in parts:
            weights.negative_generator = NegativeGenerator(len(config.layers), config.dim, config.noise_dim)
            weights.slow_heads = ProjectionHeads(channels, config.dim)
        if "discriminator" in parts:
            weights.discriminator = Discriminator(config.disc_width, config.wide)
        for net in weights.parts().values():
            net.eval().requires_grad_(False)
        return weights


def save(weights: Weights, path: Path | str, exact: bool = False) -> None:
    """Write a model as one safetensors file, in float16, atomically; `exact`: in float32 where that has more digits.

    Raises:
        ValueError: if it is not finite or cannot be written.
    """
    tensors = {
        f"{part}.{name}": smallest(tensor.detach().cpu(), exact).contiguous()
        for part, net in weights.parts().items()
        for name, tensor in net.state_dict().items()
        if not name.endswith(".filt")  # constants
    }
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise Unusable(path, f"is not written: its weights are not finite, in {some(bad)}.")
    metadata = {
        "format": "qsneg 1",
        "config": json.dumps(dataclasses.asdict(weights.config)),
        "card": json.dumps(weights.card),
    }
    with whole(path) as part:
        try:
            save_file(tensors, part, metadata)
        except safetensors.SafetensorError as error:
            raise OSError(str(error)) from None


def smallest(tensor: Tensor, exact: bool = False) -> Tensor:
    """In float16; in float32 where it holds values that are too large for that (`exact`: or that it would round)."""
    half = tensor.half()
    return half if (torch.equal(half.float(), tensor) if exact else half.isfinite().all()) else tensor.float()


def in_float32(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of a file in float32.

    Raises:
        Unusable: (a ValueError) if they are no weights: whole numbers, nested or sparse tensors, NaN, infinity.
    """
    for name, t in tensors.items():
        if t.is_nested or t.layout != torch.strided or t.dtype not in KINDS:
            kind = "nested" if t.is_nested else str(t.dtype if t.dtype not in KINDS else t.layout).split(".")[-1]
            raise Unusable(path, f"holds {kind} numbers in {name}, and weights should be floating-point numbers.")
    if 2 * sum(t.numel() for t in tensors.values()) > path.stat().st_size:  # expanded views, compression
        raise Unusable(path, "claims more numbers than it has room for: it is damaged, or made to harm.")
    tensors = {name: t.float() for name, t in tensors.items()}
    if bad := [name for name, t in tensors.items() if not t.isfinite().all()]:
        raise Unusable(path, f"has numbers that are not finite, in {some(bad)}: it is damaged, or its training was.")
    return tensors


def read_metadata(path: Path | str) -> tuple[ModelConfig, dict]:
    """Configuration and card of a file, without reading its tensors.

    Raises:
        ValueError: if it is no qsneg weights file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise
    except (safetensors.SafetensorError, OSError):
        metadata = {}
    if "config" not in metadata:
        raise Unusable(
            path,
            "is not a weights file of qsneg: give a .safetensors file that it wrote, or bring published weights in "
            "with `python -m qsneg import`.",
        )
    try:
        values, card = json.loads(metadata["config"]), json.loads(metadata.get("card", "{}"))
        if not isinstance(values, dict) or not isinstance(card, dict):
            raise ValueError("config and card should be objects")
        known = {f.name for f in dataclasses.fields(ModelConfig)}
        return ModelConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}), card
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(path, f"has metadata that cannot be read ({clause(error)}): train or import it again.") from None


def load(name: Path | str, folder: Path | str | None = None) -> Weights:
    """Load a model by name (see `find`).

    Raises:
        FileNotFoundError: if nothing is found under that name.
        ValueError: if the file is not one of qsneg's or its tensors do not fit its configuration.
    """
    path = find(name, folder)
    config, card = read_metadata(path)
    states: dict[str, dict[str, Tensor]] = {"generator": {}}
    for key, tensor in in_float32(load_file(path), path).items():
        part, _, name = key.partition(".")
        states.setdefault(part, {})[name] = tensor
    for part, net in expected(config, states).items():
        shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith(".filt")}
        for name in shapes.keys() & states[part].keys():
            if shapes[name] != (found := tuple(states[part][name].shape)):
                right = in_words(shapes[name])
                raise Unusable(
                    path, f"does not fit its configuration: {part}.{name} is {in_words(found)} and should be {right}."
                )
        missing, unexpected = shapes.keys() - states[part].keys(), states[part].keys() - shapes.keys()
        if missing or unexpected:
            raise Unusable(
                path, f"is incomplete: {part} lacks {len(missing)} tensors and has {len(unexpected)} unknown ones."
            )
    weights = Weights.empty(config, states)
    weights.card, weights.path = card, path
    for part, net in weights.parts().items():
        net.load_state_dict(states[part], strict=False)
    return weights


def expected(config: ModelConfig, parts: Collection[str] = PARTS[:-1]) -> dict[str, nn.Module]:
    """The networks of a configuration with names and shapes but no numbers: nothing of their size is allocated."""
    with torch.device("meta"):
        return Weights.empty(config, parts).parts()


def in_words(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"


def find(name: Path | str, folder: Path | str | None = None) -> Path:
    """The file meant by `name`: a path (of a file, with or without .safetensors, or of a run's folder), a name under
    the checkpoint folder such as "horse2zebra-drawn/cut", or a Hugging Face repository id "user/repository" (its
    model.safetensors, or "user/repository/file").

    Raises:
        FileNotFoundError: with what was tried.
    """
    folder = Path(folder) if folder else FOLDER
    in_folder = (folder / f"{name}.safetensors", folder / str(name))
    for path in (Path(name), *in_folder, Path(f"{name}.safetensors"), Path(name) / "model.safetensors"):
        if path.is_file():
            return path
    if Path(name).is_dir():
        raise FileNotFoundError(
            f"The folder '{name}' has no model.safetensors: give a weights file, or the folder of a run."
        )
    parts = str(name).split("/")
    families = {p.parent.name for p in available(folder)}
    is_path = Path(name).suffix == ".pth" or (Path(name).suffix == ".safetensors" and Path(parts[0]).is_dir())
    if len(parts) in (2, 3) and parts[0] not in (*families, "", ".", "..") and not is_path:
        return hub.from_hub("/".join(parts[:2]), parts[2] if len(parts) == 3 else hub.FILE)
    names = ", ".join(model_name(p) for p in available(folder)) or "none"
    raise FileNotFoundError(f"No weights called '{name}': neither a file nor a name in '{folder}', which has {names}.")


def available(folder: Path | str | None = None) -> list[Path]:
    """All weights files under the checkpoint folder: <family>/<method>.safetensors."""
    return sorted(Path(folder or FOLDER).glob("*/*.safetensors"))


def model_name(path: Path) -> str:
    """The name of a file under the checkpoint folder, such as "day2sunset/cut"."""
    return f"{path.parent.name}/{path.stem}"
