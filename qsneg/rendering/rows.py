"""What is shown, as data: rows of panels, each a picture with map, marks, bar, plot and words. Nothing is drawn here.

    panel = Panel("cut", "anchors", Picture("source", lambda: view.source), grid, scaled, (Dots(result.anchors),))
    Row("Anchors", "Brighter dots rank higher.", (panel,))

`qsneg.ui.figures` draws rows as HTML, `overlays` and `report` as files. Both draw a mark's `shapes`, so that a dot
that is hollow in one is hollow in the other. Shapes are in pixels of the picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from qsneg.inspect import Grid
from qsneg.rendering.colormaps import INK, MAP, PAPER, RANKS, VERMILION, Bar, Scaled, hexes

BINS = 16  # colours of ranked dots
LEVELS = 24  # sizes and colours of bubbles
PALE, MIDDLE = "#c9ced6", "#6b7280"  # dots without a rank; the rim of hollow ones
OPACITY = 0.75  # of a map over its picture


@dataclass(frozen=True)
class Shape:
    """Circles of one look around points N×2, or polygons of one look, N×K×2; or one word that stands at a point."""

    kind: str  # circles, polygons or word
    points: np.ndarray
    size: float = 0.0  # radius of circles, height of a word
    fill: str = ""  # "" for none
    edge: str = ""
    width: float = 0.0  # of the edge, half of it on each side of the outline
    text: str = ""
    at_end: bool = False  # the point is where the word ends


def unit(grid: Grid) -> float:
    """Length in pixels of the picture for marks: about 1 at 256."""
    return min(max(grid.size), 2 * min(grid.size)) / 256


def centres(grid: Grid, positions: np.ndarray) -> np.ndarray:
    """The middles of cells (row, column) N×2 as points (x, y) N×2."""
    return np.array([np.array(grid.box(*map(int, p))).reshape(2, 2).mean(0) for p in positions]).reshape(-1, 2)


def lines(starts: np.ndarray, ends: np.ndarray, edge: str, width: float) -> Shape:
    """Lines between points (x, y) N×2."""
    return Shape("polygons", np.stack([starts, ends], axis=1), edge=edge, width=width)


def dot_unit(grid: Grid, count: int) -> float:
    """`unit` for so many dots: many are drawn smaller."""
    return unit(grid) * min(1.0, 16 / max(1, count) ** 0.5 + 0.35)


class Mark:
    """Positions (row, column) N×2 on a grid, and how they look."""

    positions: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        """What is drawn for it, from bottom to top."""


@dataclass(frozen=True)
class Dots(Mark):
    """Dots: coloured by rank (the first is brightest and on top), grey, or open and grey."""

    positions: np.ndarray
    ranked: bool = True
    hollow: bool = False

    def shapes(self, grid: Grid) -> list[Shape]:
        count = len(self.positions)
        u = dot_unit(grid, count)
        bins = np.array_split(np.asarray(self.positions), min(BINS, count) if self.ranked and count else 1)
        plain = [MIDDLE if self.hollow else PALE]
        fills = hexes(np.linspace(1, 0.1, len(bins)), RANKS) if self.ranked else plain
        drawn = []
        for part, fill in reversed(list(zip(bins, fills))):
            points = centres(grid, part)
            drawn.append(Shape("circles", points, 2.3 * u, PAPER if self.hollow else INK))
            drawn.append(Shape("circles", points, 1.6 * u, fill))
            if self.hollow:
                drawn.append(Shape("circles", points, 0.8 * u, PAPER))
        return drawn


@dataclass(frozen=True)
class Trails(Mark):
    """Where positions were at T times, T×N×2, the last of them now: lines from place to place, older ones thinner."""

    positions: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        u, drawn, moves = unit(grid), [], list(zip(self.positions[:-1], self.positions[1:]))
        for colour, extra in ((INK, 1.0), (PAPER, 0.0)):
            for number, (start, end) in enumerate(moves, 1):
                moved = (start != end).any(1)
                width = u * (0.4 + 0.9 * number / len(moves) + extra)
                drawn.append(lines(centres(grid, start[moved]), centres(grid, end[moved]), colour, width))
        return drawn


@dataclass(frozen=True)
class Values(Mark):
    """Dots in the colours of a map, by their values 0…1; the highest on top."""

    positions: np.ndarray
    values: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        u, drawn = dot_unit(grid, len(self.positions)), []
        bins = (np.clip(self.values, 0, 1) * (BINS - 1)).round().astype(int)
        for number, fill in enumerate(hexes(np.linspace(0, 1, BINS), MAP)):
            points = centres(grid, np.asarray(self.positions)[bins == number])
            drawn += [Shape("circles", points, r * u, colour) for r, colour in ((3, INK), (2.3, fill)) if len(points)]
        return drawn


@dataclass(frozen=True)
class Givers(Mark):
    """What is gathered at positions N×2: each tied to the one that gives most to it, a filled dot, the larger the more
    of them it gives to. Those that give most to themselves are open dots without a tie."""

    positions: np.ndarray
    givers: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        away = (self.positions != self.givers).any(1)
        starts, ends, u = centres(grid, self.positions[away]), centres(grid, self.givers[away]), unit(grid)
        drawn = [lines(starts, ends, colour, width * u) for colour, width in ((INK, 1.1), (PALE, 0.6))]
        drawn += Dots(self.positions, ranked=False, hollow=True).shapes(grid)
        places, counts = np.unique(self.givers[away], axis=0, return_counts=True)
        for count in np.unique(counts):
            points, r = centres(grid, places[counts == count]), u * min(1.8 + 0.6 * count**0.5, 7)
            drawn += [Shape("circles", points, r + u * rim, colour) for rim, colour in ((0.7, PAPER), (0, INK))]
        return drawn


@dataclass(frozen=True)
class Cross(Mark):
    """A position apart from the query: a white cross with a dark edge."""

    positions: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        at, r = centres(grid, np.atleast_2d(self.positions)), 5 * unit(grid)
        strokes = [(at - r, at + r), (at - (r, -r), at + (r, -r))]
        looks = ((INK, 3.6), (PAPER, 1.8))
        return [lines(*stroke, colour, width * unit(grid)) for colour, width in looks for stroke in strokes]


@dataclass(frozen=True)
class Ring(Mark):
    """The query: a white ring with a dark edge; filled, its positive."""

    positions: np.ndarray
    filled: bool = False

    def shapes(self, grid: Grid) -> list[Shape]:
        at, u = centres(grid, np.atleast_2d(self.positions)), unit(grid)
        drawn = [Shape("circles", at, 6 * u, "", colour, w * u) for colour, w in ((INK, 3.6), (PAPER, 1.8))]
        return drawn + ([Shape("circles", at, 2.5 * u, PAPER, INK, u)] if self.filled else [])


@dataclass(frozen=True)
class Boxes(Mark):
    """Cells as numbered boxes, a cell of margin around each."""

    positions: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        u, drawn = unit(grid), []
        for number, position in enumerate(self.positions, 1):
            left, top, right, bottom = grid.box(*map(int, position))
            pad = max(grid.stride, 3 * u)
            left, right, upper, lower = left - pad, right + pad, top - pad, bottom + pad
            box = np.array([[(left, upper), (right, upper), (right, lower), (left, lower)]])
            inside = right + 12 * u < grid.size[0]
            at = np.array([right + 2 * u if inside else left - 2 * u, top + 6 * u])
            drawn += [Shape("polygons", box, 0, "", colour, w * u) for colour, w in ((INK, 3), (PAPER, 1.4))]
            drawn.append(Shape("word", at, 9.5 * u, PAPER, INK, 2.2 * u, str(number), not inside))
        return drawn


@dataclass(frozen=True)
class Triangles(Mark):
    """Generated negatives at their nearest patches; the more of them at one place, the larger."""

    positions: np.ndarray

    def shapes(self, grid: Grid) -> list[Shape]:
        places, counts = np.unique(self.positions, axis=0, return_counts=True)
        r = (unit(grid) * np.minimum(3 + np.sqrt(counts), 12))[:, None, None]
        corners = centres(grid, places)[:, None] + r * np.array([(0, -1), (1, 0.8), (-1, 0.8)])
        return [Shape("polygons", corners, 0, VERMILION, PAPER, 0.8 * unit(grid))]


@dataclass(frozen=True)
class Bubbles(Mark):
    """Values at positions, such as forces on negatives: areas are as shares of their sum, colours as they are. Open
    triangles instead of dots stand near what has no place of its own; of several at one position the sum is drawn."""

    positions: np.ndarray
    values: np.ndarray  # N, 0 or more
    scale: Scaled  # of their natural logarithms
    open: bool = False

    def shapes(self, grid: Grid) -> list[Shape]:
        places, at = np.unique(self.positions, axis=0, return_inverse=True)
        values, u, (low, high) = np.bincount(at.ravel(), self.values), unit(grid), self.scale.limits
        shares = values / max(values.sum(), 1e-300)
        steps, drawn = (LEVELS * np.maximum(shares, 1e-4) ** 0.25).round(), []
        for step in np.unique(steps):  # the smallest first; what is about as large is of one look
            part = steps == step
            level = np.clip((np.log(max(values[part].mean(), 1e-300)) - low) / (high - low), 0, 1)
            (colour,), r = hexes(np.array([level]), self.scale.name), u * (1.3 + 9 * shares[part].mean() ** 0.5)
            points = centres(grid, places[part])
            if self.open:
                corners = points[:, None] + (r + 1.6 * u) * np.array([(0, -1), (1, 0.8), (-1, 0.8)])
                drawn += [Shape("polygons", corners, 0, "", c, w * u) for c, w in ((INK, 2.4), (colour, 1.2))]
            else:
                drawn += [Shape("circles", points, r + 0.6 * u, INK), Shape("circles", points, r, colour)]
        return drawn


@dataclass(frozen=True)
class Picture:
    """What lies under maps and marks: its name, by which a page that has it refers to it; and how to get it."""

    name: str
    read: Callable[[], Image.Image]
    part: tuple[int, int] = (0, 1)  # which of how many, where the page has them side by side under that name


@dataclass(frozen=True)
class Patch:
    """A small square of a picture around a cell, with what it is in words, and a word under it."""

    position: Sequence[int]
    title: str
    under: Picture
    grid: Grid
    caption: str = ""
    side: int = 44  # pixels on a page


@dataclass(frozen=True)
class Panel:
    """One column of a row. All but the key may be missing: a panel without picture and title explains its row."""

    key: str  # a method, or "source": its colour, its title, its folder among files; "" for an explanation
    name: str = ""  # of its files
    under: Picture | None = None
    grid: Grid | None = None
    map: Scaled | None = None
    marks: tuple[Mark, ...] = ()
    bar: Bar | None = None  # of the marks' colours; a map brings its own
    plot: str = ""  # SVG
    patches: tuple[Patch, ...] = ()
    words: str = ""
    title: str = ""  # "" for the key's own
    label: str = ""  # what the picture shows, for those who do not see it
    grey: bool = True
    aim: tuple[float, float] | None = None  # the query's pixel, where the picture is a place to choose it
    absent: str = ""  # why a method cannot be shown
    span: tuple[int, int] | None = None  # first and last step of a film between which it is shown, as indices

    @property
    def scale(self) -> Bar | None:
        return self.bar or self.map


@dataclass(frozen=True)
class Row:
    """A row of a page: its title, how to read it, its panels in columns. Panels of one key that have a span are frames
    of a film and share a column; `steps` are what it counts. Without a title it is a remark."""

    title: str
    note: str
    panels: tuple[Panel, ...] = ()
    steps: tuple[int, ...] = ()
