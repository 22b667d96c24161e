"""Weights to the Hugging Face Hub, with a model card made from what the file says of itself.

    python -m qsneg push checkpoints/day2sunset/cut.safetensors somebody/day2sunset-cut --licence cc-by-4.0
    python -c "import qsneg; qsneg.load('somebody/day2sunset-cut')"

Both go through huggingface_hub: the address is HF_ENDPOINT's, the token that of `hf auth login` or HF_TOKEN.
"""

import re
from pathlib import Path

from qsneg import weights
from qsneg.config import ModelConfig
from qsneg.weights import Weights

FILE = "model.safetensors"  # what `weights.find` looks for in a repository
PAPERS = {
    "cut": "[CUT](https://arxiv.org/abs/2007.15651)", "qs-attn": "[QS-Attn](https://arxiv.org/abs/2203.08483)",
    "negcut": "[NEGCUT](https://arxiv.org/abs/2108.04547)", "cyclegan": "[CycleGAN](https://arxiv.org/abs/1703.10593)",
}  # fmt: skip
FACTS = ("data", "steps", "seed", "crop", "resize", "batch", "minutes", "machine", "torch")  # of the card


def push(
    file: Path | str, repository: str, licence: str | None = None, private: bool = False,
    endpoint: str | None = None, token: str | None = None,
) -> str:  # fmt: skip
    """Upload a weights file and its card in one commit, making the repository if it is not there; returns its address.

    Args:
        file: a weights file of qsneg's; it is read whole, so that nothing is uploaded that cannot be loaded.
        repository: "user/name".
        licence: licence of the weights as the Hub spells it ("cc-by-4.0"); None: that of the file's card, or unsaid.
        private: make it private, where it has to be made.
        endpoint, token: of the Hub; None: those of huggingface_hub.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no weights file, or the upload fails: no token, no permission, a bad name, no connection.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if not Path(file).is_file():
        raise FileNotFoundError(f"There is no file '{file}'.")
    model = weights.load(file)
    text = card_text(repository, model, licence or model.card.get("licence"))
    try:
        validate_repo_id(repository)
    except HFValidationError:
        repository = ""
    if repository.count("/") != 1:
        raise ValueError("The repository must be named as user/name, in letters, digits, '-', '_' and '.'.")
    token = token or get_token()
    if not token:
        raise ValueError("There is no Hugging Face token: log in with `hf auth login`, or set HF_TOKEN.")
    api = HfApi(endpoint=endpoint, token=token, library_name="qsneg")
    try:
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        files = {FILE: Path(file), "README.md": text.encode()}
        api.create_commit(
            repository, [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=f"{model.title}: weights and card, by qsneg",
        )  # fmt: skip
    except Exception as error:  # the client raises its own errors, httpx's, OSError and RuntimeError
        raise ValueError(f"'{file}' could not be uploaded to '{repository}': {reason(error)}.") from None
    return str(address)


def fetch(name: str, folder: Path, largest: int) -> Path:
    """Download a public file into a folder, as anybody: without the token that this computer may have.

    Args:
        name: "user/repository", for its model.safetensors, or "user/repository/file".
        folder: where to write it.
        largest: bytes that it may have at most.

    Raises:
        ValueError: if the name is no such name, or the file is too large or cannot be had.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, logging

    logging.set_verbosity_error()
    parts = name.strip().removeprefix("https://huggingface.co/").rstrip("/").split("/")
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"\w[\w.-]*", part) for part in parts):
        raise ValueError("A model on the Hugging Face Hub is named user/repository, or user/repository/file.")
    repository, file = "/".join(parts[:2]), parts[2] if len(parts) == 3 else FILE
    try:
        size = get_hf_file_metadata(hf_hub_url(repository, file), token=False).size
        if size is not None and size <= largest:
            return Path(hf_hub_download(repository, file, local_dir=folder, token=False))
    except Exception as error:  # the client raises its own errors, httpx's and OSError
        raise ValueError(f"'{file}' of '{repository}' could not be fetched: {reason(error)}.") from None
    raise ValueError(f"'{file}' of '{repository}' is larger than the {largest >> 20} MB that can be opened here.")


def reason(error: BaseException) -> str:
    """Why the Hub's client failed, as a clause without a full stop, and what to do where that is known."""
    from huggingface_hub import errors

    chain = [error]
    while (inner := chain[-1].__cause__) is not None:  # the upload of large files wraps what went wrong
        chain.append(inner)
    status = next((e.response.status_code for e in chain if getattr(e, "response", None) is not None), None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, unset it"
    if isinstance(error, errors.HFValidationError):
        return "this is no valid name of a repository"
    if isinstance(error, errors.GatedRepoError):
        return "access to it must be asked for on its page"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return "the repository has no such file"
    if isinstance(error, ValueError) and "README" in str(error):
        return "the Hub does not accept the card, check the licence's name"
    if status == 401 and not isinstance(error, errors.RepositoryNotFoundError):
        return "the Hub does not know the token, log in again with `hf auth login`"
    if status == 403:
        return "the token has no permission for it, use one that may write there"
    if status in (401, 404):
        return "there is no such repository, or it is private and the token may not read it"
    if status is not None:
        return f"the Hub answered with status {status}, try again later"
    return f"the Hub cannot be reached ({type(error).__name__}), check the connection"


def card_text(repository: str, model: Weights, licence: str | None = None) -> str:
    """The model card in Markdown with the Hub's front matter: data, steps, seed, figures, how to load it.

    Raises:
        ValueError: if the licence is not spelt as the Hub's identifiers are.
    """
    if licence and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", licence):
        raise ValueError(f"'{licence}' is no licence as the Hub spells them: write it like mit, apache-2.0 or cc-by-4.0.")
    c, card = model.config, model.card
    base = c.method.removeprefix("fast")
    tags = ["qsneg", "image-to-image", "unpaired", "gan", c.method]
    front = ["library_name: qsneg", "pipeline_tag: image-to-image", "tags:", *(f"- {tag}" for tag in tags)]
    front += [f"license: {licence}"] if licence else []
    rows = [("method", model.title), ("generator", f"width {c.width}, {c.blocks} blocks, {c.resampling} resampling"),
            *((name, card[name]) for name in FACTS if name in card)]  # fmt: skip
    rows += [(f"imported {part.replace('_', ' ')}", name) for part, name in plain(card.get("imported")).items()]
    for when in ("last", "best"):
        values = plain(card.get(when))
        step = f" (step {values['step']})" if "step" in values else ""
        rows += [(f"{name}, {when}", f"{value}{step}") for name, value in values.items() if name != "step"]
    table = "\n".join(f"| {cell(name)} | {cell(value)} |" for name, value in rows)
    paper = f"\n\nPaper: {PAPERS[base]}." if base in PAPERS else ""
    lacks = f"\n\n{model.lacks(negatives=True)} It translates all the same." if model.lacks(negatives=True) else ""
    relative = "Figures are relative to the untranslated pictures (1 = nothing done, lower is better)."
    figures = f"\n\n{relative}" if card.get("last") else ""
    return f"""---
{chr(10).join(front)}
---
# {repository.split("/")[-1]}

An unpaired image-to-image translator: one feed-forward generator, saved in float16.{paper}{lacks}

| | |
| --- | --- |
{table}{figures}

## Use

```python
import qsneg
from PIL import Image

model = qsneg.load("{repository}")
model.translate(Image.open("photo.jpg")).save("translated.png")
```

On the command line: `python -m qsneg translate photos --checkpoint {repository} --out translated`.
{training(c, card)}"""


def training(config: ModelConfig, card: dict) -> str:
    """The section on how to train it again; empty where the file does not say."""
    from qsneg.sharing.publish import command

    try:
        return f"\n## Training\n\n```\n{command(config, card)}\n```\n"
    except (KeyError, TypeError, AttributeError):  # a card by others: anything may be missing
        return ""


def plain(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def cell(value: object) -> str:
    """A value in a cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
