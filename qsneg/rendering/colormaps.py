"""Colours and markers of methods, with their names; colour maps, the font beside them, and scales of several maps,
linear, logarithmic or by rank, with raw values at the ticks.

for name, scaled in by_log({"cut": log_entropy, "negcut": other}, "logarithmic", "entropy, nats").items():
    scaled.values       # 0…1, to be coloured
    scaled.ticks        # the raw values at 0, ½ and 1
"""

import functools
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import colormaps
from PIL import ImageFont

from qsneg.config import METHODS

MAP, RANKS = "viridis", "plasma"
INK, PAPER = "#1b1f24", "#ffffff"
VERMILION, GREY = "#D55E00", "#8A8A8A"
COLOURS = {  # of methods, by the key in their row of `config.METHODS`, and of what stands beside them
    "cut": "#0072B2",
    "qs-attn": "#009E73",
    "negcut": "#D55E00",
    "monce": "#E69F00",
    "hdce": "#56B4E9",
    "cyclegan": "#333333",
    "own": "#CC79A7",
    "source": "#8A8A8A",
    "counterpart": "#333333",
}
MARKERS = {"cut": "o", "qs-attn": "s", "negcut": "^", "monce": "D", "hdce": "v", "cyclegan": "X", "own": "P"}
NAMES = {"own": "Your weights", "source": "Source", "counterpart": "True counterpart"}
# own: what a visitor of the app has opened
CLIPPED = 2  # percent of the values clipped at each end of a logarithmic scale
OUTSIDE = 0.5  # percent that may lie beyond an end of a linear scale
LOWEST = -690.0  # natural logarithm of the smallest value that float64 can hold, about


def colour_of(key: str) -> str:
    """The colour of a method, or of what stands beside methods; grey for anything else."""
    return COLOURS.get(METHODS[key].colour if key in METHODS else key, GREY)


def marker_of(key: str) -> str:
    """The marker of a method in plots, as matplotlib names it; a circle for anything else."""
    return MARKERS.get(METHODS[key].colour if key in METHODS else key, "o")


def look_of(key: str) -> dict[str, str]:
    """Colour and marker of a method, as matplotlib's plots take them."""
    return {"color": colour_of(key), "marker": marker_of(key)}


def title_of(key: str) -> str:
    """The title of a method, or of what stands beside methods; anything else is its own."""
    return METHODS[key].title if key in METHODS else NAMES.get(key, key)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: Pillow's own font lacks superscripts and signs such as ≤."""
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def colours(values: np.ndarray, limits: tuple[float, float], name: str = MAP) -> np.ndarray:
    """Values as uint8 colours …×3 on a colour map between two limits."""
    low, high = limits
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return (colormaps[name](scaled)[..., :3] * 255).round().astype(np.uint8)


def hexes(values: np.ndarray, name: str) -> list[str]:
    """Values 0…1 as colours for HTML."""
    return [f"#{bytes(colour).hex()}" for colour in colours(values, (0, 1), name)]


RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """A value for an axis: three digits, without a long tail of zeros; far from 1 as 9.2·10⁻⁴."""
    if value == 0 or 1e-3 <= abs(value) < 1e4 or not np.isfinite(value):
        return (f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}").replace("-", "−")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10".replace("-", "−") + str(int(exponent)).translate(RAISED)


def percent(share: float, digits: int = 0) -> str:
    """A share in words: "42 %"."""
    return f"{100 * share:.{digits}f}\u202f%"


@dataclass(frozen=True)
class Bar:
    """A colour bar: raw values at evenly spaced ticks, what they are, the colour map."""

    ticks: list[str]
    label: str
    name: str = MAP


@dataclass(frozen=True)
class Scaled(Bar):
    """One map ready to be coloured: its bar, values 0…1, the limits."""

    values: np.ndarray = None
    limits: tuple[float, float] = (0.0, 1.0)  # in the scale's own units: raw, natural logarithm, or share of positions
    raw: np.ndarray | None = None  # what the values are, as numbers or as their natural logarithms
    is_log: bool = False
    unit: str = ""  # what `raw` is, in words


def linear(maps: dict, unit: str, limits: tuple[float | None, float | None] = (None, None)) -> dict[str, Scaled]:
    """Maps under one linear scale. An end that `limits` leaves open is that of all values together, of which a few,
    OUTSIDE percent, may lie beyond it; its tick says so."""
    values = np.concatenate([m.ravel() for m in maps.values()])
    found = np.percentile(values, (OUTSIDE, 100 - OUTSIDE))
    low, high = (float(f if given is None else given) for f, given in zip(found, limits))
    least = 1e-3 * (high - low)  # no more than rounding, if nearer to the end
    beyond = bool((values < low - least).any()), bool((values > high + least).any())
    ticks = ends([number(v) for v in (low, (low + high) / 2, high)], *beyond)
    scale = (low, high)
    return {k: Scaled(ticks, unit, MAP, unit_interval(m, low, high), scale, m, unit=unit) for k, m in maps.items()}


def ends(ticks: list[str], below: bool, above: bool) -> list[str]:
    """Ticks of a scale beyond whose ends there are values."""
    return ["≤ " * below + ticks[0], *ticks[1:-1], "≥ " * above + ticks[-1]]


def by_log(logs: dict[str, np.ndarray], scale: str, unit: str) -> dict[str, Scaled]:
    """Maps given as natural logarithms under one scale; nan stays nan.

    linear: from 0 to the largest of all values. logarithmic: between percentiles of all values together, since the
    tails are long. by rank: every map by its own order, with its own raw values at the ticks.
    """
    if scale == "linear":
        return linear(
            {k: np.exp(np.maximum(m, LOWEST)) for k, m in logs.items()},
            f"{unit}, linear",
            (0.0, max(float(np.exp(np.nanmax(m))) for m in logs.values())),
        )
    if scale == "by rank":
        return {k: ranked(m, unit) for k, m in logs.items()}
    low, high = shared_limits(logs)
    ticks = ends([power(v) for v in (low, (low + high) / 2, high)], True, True)
    label, scale = f"{unit}, log (ends clip {CLIPPED}\u202f% each)", (low, high)
    return {k: Scaled(ticks, label, MAP, unit_interval(m, low, high), scale, m, True, unit) for k, m in logs.items()}


def decades(logs: dict, unit: str, count: int = 4, name: str = MAP) -> dict[str, Scaled]:
    """Maps given as natural logarithms under one scale: `count` powers of ten that end at the largest of all values."""
    high = max(float(m.max()) for m in logs.values())
    low = high - count * np.log(10)
    ticks = ends([power(v) for v in (low, (low + high) / 2, high)], any((m < low).any() for m in logs.values()), False)
    label = f"{unit}, log"
    return {k: Scaled(ticks, label, name, unit_interval(m, low, high), (low, high)) for k, m in logs.items()}


def shared_limits(logs: dict[str, np.ndarray]) -> tuple[float, float]:
    """Percentiles of all maps together; every map counts alike."""
    values = np.concatenate([m.ravel() for m in logs.values()])
    ends = np.percentile(values[np.isfinite(values)], (CLIPPED, 100 - CLIPPED))
    return float(ends[0]), float(max(ends[1], ends[0] + 1e-9))


def ranked(log: np.ndarray, unit: str) -> Scaled:
    """A map by rank, 0 the lowest; the ticks say which raw value has that rank. Equal values share their mean rank."""
    there = np.isfinite(log)
    values, inverse, counts = np.unique(log[there], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle = (last - counts + last - 1) / 2  # mean rank of each value
    ranks = np.full(log.shape, np.nan)
    ranks[there] = (middle / max(1, inverse.size - 1))[inverse]
    ticks = [power(float(v)) for v in np.percentile(log[there], (0, 50, 100), method="nearest")]
    label = f"{unit}, by rank (least, middle, most)"
    return Scaled(ticks, label, MAP, ranks, raw=log, is_log=True, unit=unit)


def unit_interval(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def power(log: float) -> str:
    """A value given as natural logarithm, in words for an axis: 0.52, 5·10⁻⁴, or its order of magnitude, 10⁻¹⁷, where
    it is so small that nothing but that tells."""
    exponent = log / np.log(10)
    if exponent > -2.5:
        return number(float(np.exp(log)))
    digit = ""
    if exponent > -9:
        mantissa = round(10 ** (exponent - np.floor(exponent)))  # 1 to 10
        digit = f"{mantissa}·" if 1 < mantissa < 10 else ""
        exponent = np.floor(exponent) + (mantissa == 10)
    return f"{digit}10" + f"{exponent:.0f}".translate(RAISED)
