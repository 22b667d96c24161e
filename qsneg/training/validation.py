"""What a run is judged by on its way, and its best step chosen: pictures that it neither trains on nor is reported on.

    validation = Validation("data/horse2ink")
    validation.measure(translate)["val_swd"]

Of a folder these are valA and valB, of horse2zebra-drawn scenes of seeds of their own. Test pictures stay unseen until
`evaluate`. Figures are those of `qsneg.metrics.score` and, of a folder, KID on EfficientNet-Lite0 features where that
is installed; in metrics.jsonl and cards their names begin with "val_". The first of FIGURES that there is decides which
step is best (lower is better).
"""

from pathlib import Path

import torch
from torch import Tensor

from qsneg.config import DRAWN
from qsneg.filesystem import find_images
from qsneg.metrics import fidelity
from qsneg.metrics.score import Recorder, Translate, drawn_figures, sliced_wasserstein, squares
from qsneg.metrics.structure import agreements

PREFIX = "val_"
FIGURES = ("val_kid_lite0", "val_swd", "val_background")
SCENES, SCENE_SIZE = 64, 128
MOST, SIZE = 200, 256  # pictures of each domain of a folder, and the side of their middle squares
HINT = (
    "No validation pictures, so no step is chosen as the best: put some pictures of trainA and trainB aside in valA "
    "and valB (`python -m qsneg data NAME --from FOLDER --out NEW` does it)."
)


class Validation:
    """The validation pictures of a data set; `words` says which, and is empty where there are none."""

    def __init__(self, data: str):
        self.words, self.drawn, self.network = "", data == DRAWN, None
        folders = [Path(data) / name for name in ("valA", "valB")]
        if self.drawn:
            self.words = f"{SCENES} drawn scenes of seeds of their own, {SCENE_SIZE}×{SCENE_SIZE}"
        elif all(map(find_images, folders)):
            self.a, self.b = (squares(folder, MOST, SIZE) for folder in folders)
            self.words = f"{len(self.a)} pictures of valA against {len(self.b)} of valB, {SIZE}×{SIZE}"
            self.before = sliced_wasserstein(self.a, self.b)
            self.prepare_kid()

    def prepare_kid(self) -> None:
        """The network and what it makes of valB; KID of the untranslated pictures joins the words."""
        if min(len(self.a), len(self.b)) < fidelity.FEWEST:
            return
        try:
            self.network = fidelity.lite0()
        except ValueError:
            return
        self.real = fidelity.features(self.network, self.b)
        before, counts = self.kid(self.a), fidelity.kid_in_words(len(self.a), len(self.b))
        self.words += f"; {fidelity.KID_LITE0}: {counts}; untranslated {before['kid_lite0']:.1f}"

    def kid(self, pictures: Tensor) -> dict[str, float]:
        found = fidelity.kid(fidelity.features(self.network, pictures), self.real)
        return {name.replace("kid", "kid_lite0"): value for name, value in found.items()}

    def measure(self, translate: Translate) -> dict[str, float]:
        """The figures of translations now; {} without validation pictures."""
        if not self.words:
            return {}
        recorder = Recorder(translate)
        if self.drawn:
            found = drawn_figures(recorder, SCENES, SCENE_SIZE, "val")
            sources, results = recorder.pictures()
        else:
            sources, results = self.a, torch.cat([recorder(x[None]) for x in self.a]).clamp(-1, 1)
            found = self.kid(results) if self.network else {}
            found["swd"] = sliced_wasserstein(results, self.b) / self.before
        return {PREFIX + name: value for name, value in (found | agreements(sources, results)).items()}


def best(history: list[dict]) -> dict | None:
    """The entry with the least of the figure that the last entry is judged by; None where nothing was validated."""
    figure = next((f for f in FIGURES if history and f in history[-1]), None)
    return min((h for h in history if figure in h), key=lambda h: h[figure]) if figure else None
