"""Exported weights: one safetensors file per model, with its configuration and card in the metadata.

A file holds float16 tensors under `generator.` (the moving average), `heads.`, and for NEGCUT
`negative_generator.` and `slow_heads.`: everything that translating and inspecting need.

    from qsneg.weights import load
    weights = load("horse2zebra-drawn/cut")
    print(weights.card["steps"], weights.config.width)
"""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from qsneg.config import TITLES, ModelConfig
from qsneg.networks import Generator, NegativeGenerator, ProjectionHeads, feature_channels

FOLDER = Path(os.environ.get("QSNEG_CHECKPOINTS", Path(__file__).parent.parent / "checkpoints"))


@dataclass
class Weights:
    """A model as it is shipped: networks in float32 on the CPU, in evaluation mode."""

    config: ModelConfig
    generator: Generator
    heads: ProjectionHeads
    negative_generator: NegativeGenerator | None = None
    slow_heads: ProjectionHeads | None = None
    card: dict = field(default_factory=dict)  # data, steps, seed, time, machine, figures
    path: Path | None = None

    @property
    def title(self) -> str:
        return TITLES[self.config.method]

    def parts(self) -> dict[str, nn.Module]:
        names = ("generator", "heads", "negative_generator", "slow_heads")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}

    @classmethod
    def empty(cls, config: ModelConfig) -> "Weights":
        """Freshly initialised networks for a configuration."""
        channels = feature_channels(config.width, config.layers)
        weights = cls(config, Generator(config.width, config.blocks), ProjectionHeads(channels, config.dim))
        if config.method.endswith("negcut"):
            weights.negative_generator = NegativeGenerator(len(config.layers), config.dim, config.noise_dim)
            weights.slow_heads = ProjectionHeads(channels, config.dim)
        for net in weights.parts().values():
            net.eval().requires_grad_(False)
        return weights


def save(weights: Weights, path: Path | str) -> None:
    """Write a model as one safetensors file, in float16, atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}.{name}": tensor.detach().to("cpu", torch.float16).contiguous()
        for part, net in weights.parts().items()
        for name, tensor in net.state_dict().items()
        if not name.endswith(".filt")  # constants
    }
    metadata = {
        "format": "qsneg 1",
        "config": json.dumps(dataclasses.asdict(weights.config)),
        "card": json.dumps(weights.card),
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata)
    os.replace(part, path)


def read_metadata(path: Path | str) -> tuple[ModelConfig, dict]:
    """Configuration and card of a file, without reading its tensors.

    Raises:
        ValueError: if it is no qsneg weights file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        values = json.loads(metadata["config"])
        known = {f.name for f in dataclasses.fields(ModelConfig)}
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return ModelConfig(**values), json.loads(metadata.get("card", "{}"))
    except FileNotFoundError:
        raise
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}' is not a weights file of qsneg ({type(error).__name__}): give a .safetensors file written by "
            "`python -m qsneg train`."
        ) from None


def load(name: Path | str, folder: Path | str | None = None) -> Weights:
    """Load a model by name (see `find`).

    Raises:
        FileNotFoundError: if nothing is found under that name.
        ValueError: if the file is not one of qsneg's or its tensors do not fit its configuration.
    """
    path = find(name, folder)
    config, card = read_metadata(path)
    weights = Weights.empty(config)
    weights.card, weights.path = card, path
    tensors = load_file(path)
    for part, net in weights.parts().items():
        state = {k.removeprefix(part + "."): v.float() for k, v in tensors.items() if k.startswith(part + ".")}
        try:
            missing, unexpected = net.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise ValueError(f"The tensors in '{path}' do not fit its configuration: {str(error).splitlines()[-1].strip()}") from None
        missing = [k for k in missing if not k.endswith(".filt")]
        if missing or unexpected:
            raise ValueError(f"'{path}' is incomplete: {part} lacks {len(missing)} tensors and has {len(unexpected)} unknown ones.")
    return weights


def find(name: Path | str, folder: Path | str | None = None) -> Path:
    """The file meant by `name`: a path, a name under the checkpoint folder such as "horse2zebra-drawn/cut",
    or a Hugging Face repository id "user/repository" (its model.safetensors, or "user/repository/file").

    Raises:
        FileNotFoundError: with what was tried.
    """
    folder = Path(folder) if folder else FOLDER
    for path in (Path(name), folder / f"{name}.safetensors", folder / str(name)):
        if path.is_file():
            return path
    parts = str(name).split("/")
    families = {p.parent.name for p in available(folder)}
    if len(parts) in (2, 3) and parts[0] not in (*families, "", ".", "..") and not Path(name).suffix == ".pth":
        return from_hub("/".join(parts[:2]), parts[2] if len(parts) == 3 else "model.safetensors")
    names = ", ".join(model_name(p) for p in available(folder)) or "none"
    raise FileNotFoundError(f"No weights called '{name}': neither a file nor a name in '{folder}', which has {names}.")


def from_hub(repository: str, filename: str) -> Path:
    """Download a file of a Hugging Face repository (cached), without running anything from it.

    Raises:
        FileNotFoundError: if it cannot be had.
    """
    from huggingface_hub import hf_hub_download, logging

    logging.set_verbosity_error()  # its retries are not for the user, who gets one sentence
    try:
        return Path(hf_hub_download(repository, filename))
    except Exception as error:  # the hub's client raises its own, httpx's and OSError
        raise FileNotFoundError(
            f"No weights called '{repository}' in the checkpoint folder, and '{filename}' of the Hugging Face repository "
            f"'{repository}' could not be fetched ({type(error).__name__})."
        ) from None


def available(folder: Path | str | None = None) -> list[Path]:
    """All weights files under the checkpoint folder: <family>/<method>.safetensors."""
    return sorted(Path(folder or FOLDER).glob("*/*.safetensors"))


def model_name(path: Path) -> str:
    """The name of a file under the checkpoint folder, such as "day2sunset/cut"."""
    return f"{path.parent.name}/{path.stem}"
