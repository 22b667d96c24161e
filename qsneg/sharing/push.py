"""Weights to the Hugging Face Hub, with a model card made from what the file says of itself.

    python -m qsneg push checkpoints/day2sunset/cut.safetensors somebody/day2sunset-cut --licence cc-by-4.0
    python -c "import qsneg; qsneg.load('somebody/day2sunset-cut')"

Both go through huggingface_hub: the address is HF_ENDPOINT's, the token that of `hf auth login` or HF_TOKEN.
"""

from pathlib import Path

from qsneg import hub, weights
from qsneg.sharing.hub_card import hub_card


def push(
    file: Path | str,
    repository: str,
    licence: str | None = None,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a weights file and its card in one commit, making the repository if it is not there; returns its address.

    Args:
        file: a weights file of qsneg's; it is read whole, so that nothing is uploaded that cannot be loaded.
        repository: "user/name".
        licence: licence of the weights as the Hub spells it ("cc-by-4.0"); None: that of the file's card or of the
            DATA.md beside it, or unsaid.
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
    text = hub_card(repository, model, licence)
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
        files = {hub.FILE: Path(file), "README.md": text.encode()}
        api.create_commit(
            repository,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=f"{model.title}: weights and card, by qsneg",
        )
    except Exception as error:  # the client raises its own errors, httpx's, OSError and RuntimeError
        raise ValueError(f"'{file}' could not be uploaded to '{repository}': {hub.reason(error)}.") from None
    return str(address)
