"""What is chosen on the pages: small, immutable, the same for all pages.

selection = Selection(layer=16).at(120, 80)          # the query, in pixels of the inspected source
selection.position(view.grid(16))                    # its row and column on that layer's grid
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qsneg.bounds import check_mode
from qsneg.inspect import Grid, View

SLOW = "layer", "mode", "method"  # what takes a while when it is another
SCALES = ("linear", "logarithmic", "by rank")


@dataclass(frozen=True)
class Selection:
    """Query, layer, and what the controls of the pages say."""

    x: float = -1.0  # pixels of the inspected source; −1: its middle
    y: float = -1.0
    size: tuple[int, int] = (0, 0)  # width and height of the picture that x and y belong to
    layer: int = 12
    mode: str = "global"
    anchors: int = 0  # 0: `patches`
    scale: str = ""  # "": the layer's own
    count: int = 6  # nearest patches
    radius: int = 2  # cells around the query that do not count as near
    seed: int = 0
    method: str = ""  # where one is looked at alone; "": the first
    methods: tuple[str, ...] = ()  # those that are looked at
    gamma: int = 10  # of hDCE's weights
    rivals: int = 0  # negatives, where they can be other than as trained; 0: `patches`
    tau: int = 0  # hundredths; 0: the model's own temperature
    away: int = 0  # negatives taken away
    first: int = 1  # the hardest of them, counted from the hardest of all
    click: int = 0  # whether a click on What if takes negatives away; else it chooses the patch
    near_x: int = -1  # pixels: those that lie nearest to there are taken away; −1: those that are hardest
    near_y: int = -1
    pixels: int = 0  # whether gradients are shown on pixels, too
    picture: int = 0  # of the film
    film_layer: int = 16
    film_scale: str = "by rank"
    patches: int = 0  # negatives of either kind: the smallest of the models' own numbers of patches; 0: each its own
    most: int = 1 << 31  # positions up to which every one is compared with every other

    @property
    def number(self) -> int | None:
        """How many anchors; None: each model's own number of patches."""
        return self.anchors or self.patches or None

    @property
    def slow(self) -> tuple[int, str, str]:
        """What takes a while when it is another: layer, mode, and the method that is looked at alone."""
        return tuple(getattr(self, name) for name in SLOW)

    def at(self, x: float, y: float) -> "Selection":
        """The query moved to a pixel."""
        return replace(self, x=float(x), y=float(y))

    def on(self, size: tuple[int, int]) -> "Selection":
        """The same for a picture of this size: the query keeps its relative place."""
        if size == self.size:
            return self
        if self.x < 0 or not self.size[0]:
            x, y = (self.x, self.y) if self.x >= 0 else (size[0] // 2, size[1] // 2)
        else:
            x, y = ((v + 0.5) * new / old - 0.5 for v, new, old in zip((self.x, self.y), size, self.size))
        inside = dict(x=min(max(x, 0.0), size[0] - 1.0), y=min(max(y, 0.0), size[1] - 1.0), size=size)
        return replace(self, **inside | (dict(near_x=-1, near_y=-1) if self.size[0] else {}))

    def position(self, grid: Grid) -> tuple[int, int]:
        """Row and column of the query on a grid."""
        return grid.position(self.x, self.y)

    def near(self, grid: Grid) -> tuple[int, int] | None:
        """Row and column of the place whose nearest negatives are taken away; None where the hardest are."""
        return grid.position(self.near_x, self.near_y) if min(self.near_x, self.near_y) >= 0 else None

    def moved(self, grid: Grid, row: int, column: int) -> "Selection":
        """The query at the middle of a position; positions outside the picture are moved to its edge."""
        rows, columns = grid.visible()
        row, column = min(max(row, rows.start), rows.stop - 1), min(max(column, columns.start), columns.stop - 1)
        return self.at(*grid.centre(row, column))

    def the_method(self, seen: Iterable[str]) -> str:
        """The method chosen, if it is there, else the first that is."""
        return self.method if self.method in seen else next(iter(seen), "")

    def the_scale(self) -> str:
        """The scale of entropies: by rank at layer 16, whose entropies are too unequal, else logarithmic."""
        return self.scale or ("by rank" if self.layer >= 16 else "logarithmic")

    def the_mode(self, view: View) -> str:
        """The mode, or "local" where there are too many positions to compare each with all."""
        rows, columns = view.grid(self.layer).shape
        return self.mode if rows * columns <= self.most else "local"

    def check(self, view: View) -> None:
        """Raises ValueError with a sentence on what is out of range."""
        view.number(self.layer)
        check_mode(self.mode)
        for name, value, least, most in (
            ("number of anchors", self.anchors, 0, 4096),
            ("seed", self.seed, 0, 2**31),
            ("number of neighbours", self.count, 1, 100),
            ("radius", self.radius, 0, 100),
            ("γ of hDCE", self.gamma, 10, 50),
            ("number of negatives", self.rivals, 0, 4096),
            ("temperature in hundredths", self.tau, 0, 100),
            ("number taken away", self.away, 0, 100),
            ("first that is taken away", self.first, 1, 4096),
        ):
            if not least <= value <= most:
                raise ValueError(f"The {name} must lie between {least} and {most}, not {value}.")
