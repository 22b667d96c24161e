"""Published weights into qsneg's own format: generators of CUT, FastCUT, QS-Attn, NEGCUT and CycleGAN.

    python -m qsneg import --method cut --generator latest_net_G.pth --heads latest_net_F.pth --out cut.safetensors
    python -m qsneg import --method cyclegan --generator latest_net_G.pth --out cyclegan.safetensors

Files are PyTorch's (.pth, .pt: zip files, and the older ones before version 1.6) or safetensors, with or without a
`module.` prefix. Of a PyTorch file only tensors are read: nothing in it is run. Width, blocks and resampling are read
off the tensors; what is of another kind is refused with what was found.
"""

import pickle
import tarfile
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from qsneg import bounds, weights
from qsneg.config import METHODS, ModelConfig
from qsneg.filesystem import Unusable, existing_file
from qsneg.weights import Weights, expected, in_float32, in_words

LAYERS = ModelConfig().layers
UNDERSTOOD = (
    "understood are ResNet generators of CUT, FastCUT, QS-Attn, NEGCUT and CycleGAN (model.<index>.weight, "
    "model.<index>.conv_block.<index>.weight), without parameters in their norms"
)
Tensors = dict[str, Tensor]


def convert(
    method: str,
    generator: Path | str,
    heads: Path | str | None = None,
    negatives: Path | str | None = None,
    slow_heads: Path | str | None = None,
    layers: tuple[int, ...] | None = None,
    attention: str = "global",
) -> Weights:
    """The model in published files, in float32 with all its digits; `weights.save` makes it a file of qsneg's.

    Args:
        method: one of `config.METHODS`.
        generator: the file of the generator; the others may be missing, and what they are needed for then says so.
        heads: the file of the projection heads.
        negatives: NEGCUT's negative generator; it needs `heads` and `slow_heads`.
        slow_heads: NEGCUT's slow copy of the heads.
        layers: the generator layers that the heads belong to; None: the papers' 0, 4, 8, 12 and 16.
        attention: QS-Attn's mode: global, local or local+global.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is of another kind, or the files do not belong together.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown method '{method}': choose one of {', '.join(METHODS)}.")
    if (negatives or slow_heads) and not (heads and negatives and slow_heads and METHODS[method].generates):
        having = " or ".join(name for name, m in METHODS.items() if m.generates)
        raise ValueError(
            f"A negative generator belongs to {having}, and is imported together with its heads "
            "and slow heads: give --heads, --negatives and --slow-heads."
        )
    state = read(generator)
    values = architecture(state, generator)
    last = ModelConfig(layers=(0,), **values).last_layer
    values |= dict(method=method, attention=attention, layers=layers or tuple(n for n in LAYERS if n <= last))
    values["attention_layers"] = tuple(n for n in ModelConfig().attention_layers if n in values["layers"])
    states = {"generator": state}
    if heads:
        states["heads"] = read(heads)
        values["dim"] = heads_width(states["heads"], heads)
    if negatives:
        states |= {"negative_generator": read(negatives), "slow_heads": read(slow_heads)}
        values["noise_dim"] = noise_width(states["negative_generator"], values["dim"], negatives)
    config = ModelConfig(**values)
    files = {"generator": generator, "heads": heads, "negative_generator": negatives, "slow_heads": slow_heads}
    for part, net in expected(config, states).items():
        compare(states[part], net.state_dict(), part, files[part])
    made = Weights.empty(config, states)
    check_filters(state, made.generator.state_dict(), generator)
    for part, net in made.parts().items():
        net.load_state_dict(states[part], strict=False)
    made.card = {"imported": {part: Path(file).name for part, file in files.items() if file}}
    return made


def open_file(path: Path | str) -> Weights:
    """A file of either kind: one of qsneg's own, or a published generator, which is taken as it is, without heads.

    Raises:
        FileNotFoundError, ValueError: see `weights.load` and `convert`.
    """
    path = existing_file(path)
    if is_own(path):
        return weights.load(path)
    strided = architecture(read(path), path)["resampling"] == "strided"
    return convert("cyclegan" if strided else "cut", path)


def is_own(path: Path) -> bool:
    import safetensors

    try:
        with safetensors.safe_open(path, "pt") as file:
            return "config" in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


# --- files ---


def read(path: Path | str) -> Tensors:
    """The tensors of a file by name, in float32, without a `module.` prefix, and named as qsneg names them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no dictionary of tensors.
    """
    path = existing_file(path)
    state = load_tensors(path)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        found = type(state).__name__
        raise Unusable(path, f"holds a {found} and should hold a dictionary of tensors: {UNDERSTOOD}.")
    odd = [f"{k} ({type(v).__name__})" for k, v in state.items() if not isinstance(k, str) or not isinstance(v, Tensor)]
    if not state:
        raise Unusable(path, "holds no tensors: save the network's state_dict().")
    if odd:
        what = ", ".join(odd[:3])
        raise Unusable(path, f"holds other things than tensors, such as {what}: save the network's state_dict() alone.")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if any(name.startswith("generator.model.") for name in state):
        raise Unusable(path, "is a file of qsneg already: it needs no import.")
    return in_float32(renamed(state), path)


def is_safetensors(path: Path) -> bool:
    """By what a file begins with, since names mislead: 8 bytes and a JSON object, or else a zip file or a pickle."""
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith((b"PK", b"\x80")):
        return False
    return start[8:] == b"{" or path.suffix.lower() == ".safetensors"


def load_tensors(path: Path) -> object:
    """What is in a file, whichever its format; ValueError where it cannot be read safely."""
    if is_safetensors(path):
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            kind = type(error).__name__
            raise Unusable(path, f"cannot be read as safetensors ({kind}): it is damaged.") from None
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:  # torch never compresses
                    raise ValueError("it is compressed")
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:  # warnings of files of other kinds
            return torch.load(file, map_location="cpu", weights_only=True)  # of a path torch would look at the ending
    except Exception as error:  # unpickling raises whatever the file asks for
        asks_for_more = isinstance(error, pickle.UnpicklingError) and path.open("rb").read(2)[:1] in (b"P", b"\x80")
        if asks_for_more or tarfile.is_tarfile(path):
            raise Unusable(
                path,
                "holds more than tensors, which are all that is read, or is damaged: save the network's state_dict() "
                "alone, with PyTorch from 0.4 on.",
            ) from None
        raise Unusable(
            path, f"cannot be read as a PyTorch file ({type(error).__name__}): it is damaged, or of another kind."
        ) from None


def renamed(state: Tensors) -> Tensors:
    """Without what has no use, and with dropout variants' second convolutions, index 6, named as without, index 5.

    Instance norms saved by PyTorch before 0.4 carry running statistics, which have never been used.
    """
    affine = any(name.endswith("running_mean") and name.replace("running_mean", "weight") in state for name in state)
    dropout = any(".conv_block.6." in name for name in state) and not any(".conv_block.5." in name for name in state)
    unused = ("num_batches_tracked", *(() if affine else ("running_mean", "running_var")))
    state = {name: tensor for name, tensor in state.items() if not name.endswith(unused)}
    return {name.replace("conv_block.6.", "conv_block.5.") if dropout else name: t for name, t in state.items()}


# --- what they are ---


def architecture(state: Tensors, path: Path | str) -> dict:
    """Width, blocks, resampling and channels of a generator, as fields of ModelConfig.

    Raises:
        ValueError: with what was found, if it is another network.
    """
    blocks = sum(name.endswith(".conv_block.1.weight") for name in state)
    first = state.get("model.1.weight")
    width = first.shape[0] if first is not None and first.ndim == 4 else 0
    channels = first.shape[1] if width else 0
    if not (1 <= blocks <= 256 and 1 <= width <= 1024 and 1 <= channels <= bounds.MOST):
        raise Unusable(path, f"is {guess(state)}: {UNDERSTOOD}.")
    if any(name.endswith("running_mean") or name == "model.2.weight" for name in state):
        raise Unusable(
            path,
            "is a generator whose norms have parameters or statistics of their own (batch norm, or affine norms): "
            f"{UNDERSTOOD}.",
        )
    differ = {}
    for resampling in ("blur", "strided"):
        values = dict(width=width, blocks=blocks, resampling=resampling, channels=channels)
        net = expected(ModelConfig(layers=(0,), **values), ("generator",))["generator"].state_dict()
        odd = sorted(n for n in state.keys() ^ net.keys() if not n.endswith(".filt"))
        if not odd:
            return values
        differ[len(odd)] = [n if n in state else f"no {n}" for n in odd]
    odd = ", ".join(differ[min(differ)][:3])
    raise Unusable(path, f"is {guess(state)} with {blocks} blocks, and its names differ ({odd}): {UNDERSTOOD}.")


def guess(state: Tensors) -> str:
    """In a few words what a file seems to hold."""
    names = " ".join(state)
    some = f"{len(state)} tensors such as {', '.join(list(state)[:2])}"
    kinds = {
        "a set of projection heads or negatives": any(n.startswith("mlp_") for n in state),
        "a U-Net generator": "model.model." in names,
        "a StyleGAN": any(word in names for word in ("synthesis.", "mapping.", "style", "to_rgb")),
        "a discriminator": "model.0.weight" in state and "conv_block" not in names,
        "a ResNet generator of another kind": "conv_block" in names,
    }
    return next((f"{kind} ({some})" for kind, true in kinds.items() if true), f"something else ({some})")


def heads_width(state: Tensors, path: Path | str) -> int:
    """K of projection heads."""
    last = state.get("mlp_0.2.weight")
    if last is None or last.ndim != 2:
        what = f"{len(state)} tensors such as {', '.join(list(state)[:2])}"
        raise Unusable(path, f"is no set of projection heads (mlp_<i>.0.weight, …): it holds {what}.")
    return last.shape[0]


def noise_width(state: Tensors, dim: int, path: Path | str) -> int:
    """Width of the noise of a negative generator."""
    first = state.get("mlp_0.0.weight")
    if first is None or first.ndim != 2 or first.shape[1] <= dim:
        raise Unusable(
            path,
            f"is no negative generator for heads of width {dim}: its mlp_0.0.weight should have more columns.",
        )
    return first.shape[1] - dim


def compare(state: Tensors, net: Tensors, part: str, path: Path | str) -> None:
    """Raises ValueError with one sentence where names or shapes differ."""
    what = part.replace("_", " ")
    names, wanted = ({n for n in s if not n.endswith(".filt")} for s in (state, net))
    if names != wanted:
        raise Unusable(
            path,
            f"does not fit as {what}: {len(names - wanted)} tensors are too many and {len(wanted - names)} "
            f"are missing, such as {min(names ^ wanted)}; where it belongs to other layers of the generator, name them "
            "with --layers.",
        )
    for name, tensor in state.items():
        if name in net and tensor.shape != net[name].shape:
            found, right = in_words(tuple(tensor.shape)), in_words(tuple(net[name].shape))
            raise Unusable(path, f"does not fit as {what}: {name} is {found} and should be {right}.")


def check_filters(state: Tensors, net: Tensors, path: Path | str) -> None:
    """Raises ValueError where a blur is another filter than ours."""
    for name, tensor in state.items():
        if name.endswith(".filt") and (name not in net or not torch.allclose(tensor, net[name], atol=1e-3)):
            raise Unusable(
                path,
                f"resamples with other filters than [1 2 1] and [1 3 3 1] ({name}), the only ones understood.",
            )
