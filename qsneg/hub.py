"""A file from the Hugging Face Hub, and why not.

    from qsneg.hub import from_hub
    path = from_hub("somebody/day2sunset-cut", "model.safetensors")

Through huggingface_hub, which is imported when it is needed: the address is HF_ENDPOINT's.
"""

import re
from pathlib import Path

FILE = "model.safetensors"  # of a repository, where no other is named


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
        name = repository if filename == FILE else f"{repository}/{filename}"
        raise FileNotFoundError(
            f"No weights called '{name}' on this computer, and '{filename}' of the Hugging Face repository "
            f"'{repository}' could not be fetched: {reason(error)}."
        ) from None


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
    if type(error) is ValueError and isinstance(error.__cause__, errors.BadRequestError):
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
