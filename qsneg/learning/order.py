"""What a visitor orders, and what may be ordered.

bounds = Bounds(steps=2000, minutes=60)
order = Order("scenes", ("cut", "qs-attn"), steps=1000, minutes=10)
order.check(bounds)
"""

from dataclasses import dataclass

from qsneg.config import main_methods
from qsneg.rendering.colormaps import title_of

SCENES, HEIGHTS, OWN = "scenes", "heights", "own"
DOMAINS = {  # what can be trained on: its title
    SCENES: "Drawn horses to zebras",
    HEIGHTS: "Drawn height maps to views",
    OWN: "Your own, as two zips",
}


@dataclass(frozen=True)
class Bounds:
    """How much may be ordered, how long runs are kept."""

    steps: int = 2000  # of a run, for each method
    minutes: int = 60  # of training that one visitor may use in 24 hours
    waiting: int = 5  # runs that wait for the one at work
    hours: float = 24  # that a run is kept after its end
    pictures: int = 1000  # of each domain
    unpacked: int = 200 << 20  # bytes of a zip's pictures
    pixels: int = 40_000_000  # of a picture
    room: int = 4 * 10**9  # bytes of all runs together


@dataclass(frozen=True)
class Order:
    """What is to be trained."""

    domain: str  # a key of DOMAINS
    methods: tuple[str, ...]
    steps: int
    minutes: int  # of all methods together, each an equal part

    @property
    def title(self) -> str:
        """The order in words."""
        what = "Pictures of your own" if self.domain == OWN else DOMAINS[self.domain]
        return f"{what}: {', '.join(map(title_of, self.methods))}"

    def check(self, bounds: Bounds) -> None:
        """Raises ValueError, one sentence, where it is more than may be, or makes no sense."""
        if self.domain not in DOMAINS:
            raise ValueError("Choose what to train on: drawn pictures, or two zips of your own.")
        if not self.methods:
            raise ValueError("No method is chosen: tick at least one.")
        if unknown := set(self.methods) - set(main_methods()):
            raise ValueError(f"'{unknown.pop()}' is no method that is trained here: tick those that are shown.")
        for name, value, most in (("steps", self.steps, bounds.steps), ("minutes", self.minutes, bounds.minutes)):
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"The number of {name} must be a whole number from 1 to {most}, not {value}.")
