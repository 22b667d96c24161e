"""Exported weights: one safetensors file per model, with its configuration and card in the metadata.

A file holds float16 tensors (float32 where values are too large for it) under `generator.`, `heads.`, for NEGCUT
`negative_generator.` and `slow_heads.`, and `discriminator.`, each a moving average: everything that translating and
inspecting need. Only the generator must be there: of an imported model (see `qsneg.sharing.importing`) often nothing
else is, and older files have no discriminator.

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
from qsneg.filesystem import some, whole
from qsneg.networks import Discriminator, Generator, NegativeGenerator, ProjectionHeads

FOLDER = Path(os.environ.get("QSNEG_CHECKPOINTS", Path(__file__).parent.parent / "checkpoints"))

PARTS = ("generator", "heads", "negative_generator", "slow_heads", "discriminator")


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

    def lacks(self, negatives: bool = False) -> str:
        """Why similarities (with `negatives`: also losses) cannot be computed, in one sentence; "" if they can."""
        if self.heads is None:
            return "This model came without projection heads, which similarities, losses and negatives need."
        if negatives and self.config.traits.generates and self.negative_generator is None:
            return "This model came without its negative generator, which its losses and negatives need."
        return ""

    def parts(self) -> dict[str, nn.Module]:
        return {n: getattr(self, n) for n in PARTS if getattr(self, n) is not None}

    @classmethod
    def empty(cls, config: ModelConfig, parts: Collection[str] = PARTS[:-1]) -> "Weights":
        """Freshly initialised networks for a configuration: of `parts`, those that its method has."""
        weights = cls(config, Generator(config.width, config.blocks, config.resampling), None)
        channels = weights.generator.channels(config.layers)
        if "heads" in parts:
            weights.heads = ProjectionHeads(channels, config.dim)
        if config.traits.generates and "negative_generator" in parts:
            weights.negative_generator = NegativeGenerator(len(config.layers), config.dim, config.noise_dim)
            weights.slow_heads = ProjectionHeads(channels, config.dim)
        if "discriminator" in parts:
            weights.discriminator = Discriminator(config.disc_width)
        for net in weights.parts().values():
            net.eval().requires_grad_(False)
        return weights


def save(weights: Weights, path: Path | str) -> None:
    """Write a model as one safetensors file, in float16, atomically.

    Raises:
        ValueError: if it is not finite or cannot be written.
    """
    tensors = {
        f"{part}.{name}": smallest(tensor.detach().cpu()).contiguous()
        for part, net in weights.parts().items()
        for name, tensor in net.state_dict().items()
        if not name.endswith(".filt")  # constants
    }
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ValueError(f"'{path}' is not written: its weights are not finite, in {some(bad)}.")
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


def smallest(tensor: Tensor) -> Tensor:
    """In float16; in float32 where that holds values that are too large for it."""
    half = tensor.half()
    return half if half.isfinite().all() else tensor.float()


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
        raise ValueError(
            f"'{path}' is not a weights file of qsneg: give a .safetensors file that it wrote, or bring published "
            "weights in with `python -m qsneg import`."
        )
    try:
        values, card = json.loads(metadata["config"]), json.loads(metadata.get("card", "{}"))
        if not isinstance(values, dict) or not isinstance(card, dict):
            raise ValueError("config and card should be objects")
        known = {f.name for f in dataclasses.fields(ModelConfig)}
        return ModelConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}), card
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The metadata of '{path}' cannot be read ({str(error).rstrip('.')}): train or import it again."
        ) from None


def load(name: Path | str, folder: Path | str | None = None) -> Weights:
    """Load a model by name (see `find`).

    Raises:
        FileNotFoundError: if nothing is found under that name.
        ValueError: if the file is not one of qsneg's or its tensors do not fit its configuration.
    """
    path = find(name, folder)
    config, card = read_metadata(path)
    states: dict[str, dict[str, Tensor]] = {"generator": {}}
    for key, tensor in load_file(path).items():
        part, _, name = key.partition(".")
        states.setdefault(part, {})[name] = tensor
    for part, net in expected(config, states).items():
        shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith(".filt")}
        for name in shapes.keys() & states[part].keys():
            if shapes[name] != (found := tuple(states[part][name].shape)):
                raise ValueError(
                    f"The tensors in '{path}' do not fit its configuration: {part}.{name} is "
                    f"{in_words(found)} and should be {in_words(shapes[name])}."
                )
        missing, unexpected = shapes.keys() - states[part].keys(), states[part].keys() - shapes.keys()
        if missing or unexpected:
            raise ValueError(
                f"'{path}' is incomplete: {part} lacks {len(missing)} tensors and has {len(unexpected)} unknown ones."
            )
    weights = Weights.empty(config, states)
    weights.card, weights.path = card, path
    for part, net in weights.parts().items():
        net.load_state_dict({name: tensor.float() for name, tensor in states[part].items()}, strict=False)
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
    if len(parts) in (2, 3) and parts[0] not in (*families, "", ".", "..") and not Path(name).suffix == ".pth":
        return hub.from_hub("/".join(parts[:2]), parts[2] if len(parts) == 3 else hub.FILE)
    names = ", ".join(model_name(p) for p in available(folder)) or "none"
    raise FileNotFoundError(f"No weights called '{name}': neither a file nor a name in '{folder}', which has {names}.")


def available(folder: Path | str | None = None) -> list[Path]:
    """All weights files under the checkpoint folder: <family>/<method>.safetensors."""
    return sorted(Path(folder or FOLDER).glob("*/*.safetensors"))


def model_name(path: Path) -> str:
    """The name of a file under the checkpoint folder, such as "day2sunset/cut"."""
    return f"{path.parent.name}/{path.stem}"
