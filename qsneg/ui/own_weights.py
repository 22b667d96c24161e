"""A visitor's own weights: opened from a file or from the Hub, checked, kept for that visitor alone; and their place in
the left column.

    opened = Opened(device)
    token = opened.open("latest_net_G.pth")         # or opened.fetch("somebody/zebra")
    opened.find(token).translate(image)

What names them is a random token, which only the visitor's session knows. They lie in memory, up to a bound, and go
when the session ends or others need the room. Of a file only tensors are read (see `qsneg.sharing.importing`).
"""

import secrets
import tempfile
from pathlib import Path

import torch
from PIL import Image

from qsneg import hub
from qsneg.filesystem import Unusable
from qsneg.sharing import importing
from qsneg.translate import Translator
from qsneg.ui import limits
from qsneg.ui.bounded import Bounded

OWN = "own"  # stands among the methods for a visitor's own weights


class Opened(Bounded):
    """Models by token."""

    def __init__(self, device: torch.device, limit: int = limits.OWN_BYTES, precision: str = "float32"):
        super().__init__(limit, nbytes)
        self.device, self.precision = device, precision

    def open(self, path: Path | str) -> str:
        """Open a weights file of qsneg's, or a published generator; returns its token.

        Raises:
            ValueError: in one sentence, without the path's folder, if it is neither.
        """
        if not path:
            raise ValueError("No file came: choose one.")
        path = Path(path)
        try:
            if path.stat().st_size > limits.OWN_FILE_BYTES:
                most = f"{limits.OWN_FILE_BYTES >> 20} MB"
                raise Unusable(path, f"is larger than the {most} that can be opened here.")
            weights = importing.open_file(path)
            if max(weights.config.patches, weights.config.window**2) > limits.OWN_PATCHES:
                most = limits.OWN_PATCHES
                raise Unusable(path, f"asks for more than {most} negatives or window positions, too many here.")
            weights.path = None
            translator = Translator(weights, self.device, self.precision)
            translator.translate(Image.new("RGB", (64, 64)))  # whether it works
        except Unusable as error:
            raise ValueError(f"'{path.name}' {error.reason}") from None
        except OSError as error:
            raise ValueError(
                f"'{path.name}' cannot be read ({error.strerror or 'it has gone'}): choose it again."
            ) from None
        self.keep(token := secrets.token_hex(16), translator)
        return token

    def fetch(self, name: str) -> str:
        """Open a public file of the Hugging Face Hub, "user/repository" or "user/repository/file"; returns its token.

        Raises:
            ValueError: in one sentence, if it cannot be had or opened.
        """
        with tempfile.TemporaryDirectory() as folder:
            return self.open(hub.fetch(name, Path(folder), limits.OWN_FILE_BYTES))

    def close(self, own: tuple[str, str] | None) -> None:
        """Forget what a session has opened: its token and title."""
        if own:
            self.forget(own[0])


def nbytes(translator: Translator) -> int:
    """Bytes of a model's tensors."""
    return sum(t.nbytes for net in translator.weights.parts().values() for t in net.state_dict().values())
