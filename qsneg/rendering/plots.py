"""Small plots as SVG, for a page in light or dark (ink is the text's own colour) and, with `standalone`, as files.

histogram(logs, cut, limits, ticks, "#0072B2")      one method's entropies, the cut-off marked
strip({"positive": [0.9], "in_image": cosines}, (-1, 1))
scatter(query.points)
course([(0, 0.2), (0.5, 0.7), (1, 0.9)], 0.11, [(0, "10"), (1, "8,000")], "#0072B2", "step")
"""

from collections.abc import Sequence

import numpy as np

from qsneg.rendering.colormaps import VERMILION, colour_of, number

WIDTH = 260
GROUPS = {"positive": "positive", "in_image": "in-image", "generated": "generated"}
FILLS = {"in_image": "#8A8A8A", "generated": VERMILION}


def svg(height: int, body: str, label: str) -> str:
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{label}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="currentColor">{body}</svg>'
    )


def standalone(plot: str) -> str:
    """A plot as a file of its own: dark ink on white, at twice the size."""
    width_height = plot.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    size = f'width="{2 * int(width_height[0])}" height="{2 * int(width_height[1])}" '
    return plot.replace("<svg ", f'<svg {size}style="color:#333;background:#fff" ', 1)


def axis(y: float, left: float, right: float, ticks: Sequence[tuple[float, str]], label: str) -> str:
    """A horizontal axis at y with ticks (place 0…1, text), and what it shows under them."""
    lines = [f'<path d="M{left} {y}H{right}" stroke="currentColor" stroke-opacity=".45"/>']
    for place, text in ticks:
        x = left + place * (right - left)
        anchor = "start" if place < 0.02 else "end" if place > 0.98 else "middle"
        lines.append(
            f'<path d="M{x:.1f} {y}v4" stroke="currentColor" stroke-opacity=".45"/>'
            f'<text x="{x:.1f}" y="{y + 15}" text-anchor="{anchor}" opacity=".8">{text}</text>'
        )
    lines.append(f'<text x="{(left + right) / 2}" y="{y + 30}" text-anchor="middle" opacity=".8">{label}</text>')
    return "".join(lines)


def levels(left: float, right: float, top: float, bottom: float, names: list[str]) -> str:
    """A vertical axis: pale lines at even distances from the bottom to the top, their names at the left."""
    drawn = ""
    for at, name in enumerate(names):
        y = bottom - at / (len(names) - 1) * (bottom - top)
        drawn += f'<text x="{left - 5}" y="{y + 4:g}" text-anchor="end" opacity=".8">{name}</text>'
        drawn += f'<path d="M{left} {y:g}H{right}" stroke="currentColor" stroke-opacity=".15"/>'
    return drawn


def histogram(
    values: np.ndarray,
    cut: float,
    limits: tuple[float, float],
    ticks: list[str],
    colour: str,
    unit: str,
    most: float,
    bins: int = 40,
) -> str:
    """How many positions have which value (values beyond the limits count in the end bins), the cut-off marked.

    The bars below `cut`, the anchors', are full, the others pale. `most` is the share of positions at the top.
    """
    low, high = limits
    span = max(high - low, 1e-12)
    counts = shares(values, limits, bins)
    top, bottom, left, right = 22, 104, 2, WIDTH - 2
    step = (right - left) / bins
    at = min(max((cut - low) / span, 0), 1)
    drawn = ""
    for n, share in enumerate(counts):
        height = (bottom - top) * share / max(most, 1e-9)
        full = (n + 0.5) / bins <= at
        drawn += (
            f'<rect x="{left + n * step:.1f}" y="{bottom - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}" '
            f'fill="{colour}" opacity="{1 if full else 0.38}"/>'
        )
    x = left + at * (right - left)
    anchor, shift = ("start", 4) if at < 0.5 else ("end", -4)
    drawn += (
        f'<path d="M{x:.1f} {top - 14}V{bottom}" stroke="currentColor" stroke-width="1.4" stroke-dasharray="3 2"/>'
        f'<text x="{x + shift:.1f}" y="{top - 6}" text-anchor="{anchor}">cut-off of the anchors</text>'
    )
    places = [(n / (len(ticks) - 1), tick) for n, tick in enumerate(ticks)]
    return svg(140, drawn + axis(bottom, left, right, places, unit), "Histogram of entropies")


def course(
    points: Sequence[tuple[float, float]], chance: float, ticks: Sequence[tuple[float, str]], colour: str, label: str
) -> str:
    """Shares 0…1 at places 0…1 of an axis as a line with dots; dashed, the share that comes about by chance."""
    top, bottom, left, right = 8, 104, 34, WIDTH - 8
    at = [(left + x * (right - left), bottom - y * (bottom - top)) for x, y in points]
    drawn = levels(left, right, top, bottom, [f"{share:.0%}" for share in (0, 0.5, 1)])
    y = bottom - chance * (bottom - top)
    drawn += f'<path d="M{left} {y:.1f}H{right}" stroke="currentColor" stroke-opacity=".7" stroke-dasharray="3 2"/>'
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    drawn += f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
    drawn += f'<path d="{circles(at, 2.4)}" fill="{colour}"/>'
    return svg(140, drawn + axis(bottom, left, right, ticks, label), "Course of a share over training")


def shares(values: np.ndarray, limits: tuple[float, float], bins: int = 40) -> np.ndarray:
    """The share of the values in each of `bins` equal bins between the limits; those beyond count in the end bins."""
    low, high = limits
    high = max(high, low + 1e-6 * max(1.0, abs(low)))  # all values may be the same
    counts = np.histogram(np.clip(values.astype(np.float64), low, high), bins, (low, high))[0]
    return counts / max(1, values.size)


def circles(points: Sequence[tuple[float, float]], radius: float) -> str:
    """Path data of circles around points: dots drawn in one element."""
    r = radius
    return "".join(f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0" for x, y in points)


def strip(groups: dict[str, np.ndarray], limits: tuple[float, float], key: str) -> str:
    """Cosine similarities of a query, one line of dots per group (positive, in_image, generated)."""
    low, high = limits
    left, right, top, line = 66, WIDTH - 6, 8, 34
    drawn, random = "", np.random.default_rng(0)
    for n, (name, title) in enumerate(GROUPS.items()):
        y = top + n * line + line / 2
        drawn += f'<text x="0" y="{y + 4:.0f}" opacity=".85">{title}</text>'
        drawn += f'<path d="M{left} {y}H{right}" stroke="currentColor" stroke-opacity=".15"/>'
        values = np.atleast_1d(groups[name]) if groups.get(name) is not None else ()
        if not len(values):
            drawn += f'<text x="{left + 4}" y="{y - 3:.0f}" opacity=".55">none in this method</text>'
            continue
        places = [(left + (v - low) / (high - low) * (right - left), y) for v in values]
        if name == "positive":
            ((x, y),) = places
            drawn += (
                f'<circle cx="{x:.1f}" cy="{y}" r="5.5" fill="{colour_of(key)}" stroke="currentColor" '
                'stroke-width="1.4"/>'
                f'<text x="{x:.1f}" y="{y - 9:.0f}" text-anchor="{"end" if x > WIDTH * 0.6 else "middle"}" '
                f'font-weight="600">{values[0]:.2f}</text>'
            )
            continue
        spread = random.uniform(-9, 9, len(values))
        middle = left + (float(np.median(values)) - low) / (high - low) * (right - left)
        drawn += (
            f'<path d="{circles([(x, y + s) for (x, y), s in zip(places, spread)], 1.7)}" fill="{FILLS[name]}" '
            f'opacity=".55"/><path d="M{middle:.1f} {y - 12:.1f}v24" stroke="currentColor" stroke-width="1.6"/>'
        )
    bottom = top + len(GROUPS) * line + 4
    ticks = [(n / 2, number(low + n * (high - low) / 2)) for n in range(3)]
    return svg(
        bottom + 36,
        drawn + axis(bottom, left, right, ticks, "cosine similarity to the query"),
        "Strip plot of similarities",
    )


def scatter(points: dict[str, np.ndarray], key: str) -> str:
    """The first two principal components of query (ring), positive (filled), in-image and generated negatives."""
    every = np.concatenate([np.atleast_2d(p) for p in points.values()])
    low, high = every.min(0), every.max(0)
    side, pad = WIDTH - 20, 16
    scale = (side - 2 * pad) / max(float((high - low).max()), 1e-9)
    middle = (low + high) / 2

    def place(p: np.ndarray) -> list[tuple[float, float]]:
        return [(WIDTH / 2 + (x - middle[0]) * scale, side / 2 - (y - middle[1]) * scale) for x, y in np.atleast_2d(p)]

    box = f'width="{side - 1}" height="{side - 1}" fill="none" stroke="currentColor" stroke-opacity=".3"'
    open_dots = f'fill="none" stroke="{FILLS["in_image"]}" stroke-width="1.1"'
    drawn = f'<rect x="10.5" y=".5" rx="3" {box}/><path d="{circles(place(points["in_image"]), 2.2)}" {open_dots}/>'
    if "generated" in points:
        data = "".join(f"M{x:.1f} {y - 3.4:.1f}l3 5.4h-6z" for x, y in place(points["generated"]))
        drawn += f'<path d="{data}" fill="{VERMILION}" opacity=".8"/>'
    ((px, py),) = place(points["positive"])
    ((qx, qy),) = place(points["query"])
    drawn += f'<path d="M{px:.1f} {py:.1f}L{qx:.1f} {qy:.1f}" stroke="currentColor" stroke-opacity=".5"/>'
    for x, y, filled in ((px, py, True), (qx, qy, False)):
        drawn += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="#1b1f24" stroke-width="4"/>'
        fill = colour_of(key) if filled else "none"
        drawn += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="#fff" stroke-width="2"/>'
    drawn += (
        f'<text x="{WIDTH / 2}" y="{side + 14}" text-anchor="middle" opacity=".8">first component</text>'
        f'<text transform="translate(5 {side / 2}) rotate(-90)" text-anchor="middle" opacity=".8">second '
        "component</text>"
    )
    return svg(side + 20, drawn, "Principal components of query, positive and negatives")


def curves(lines: dict[str, Sequence[tuple[float, float]]], last: float, label: str) -> str:
    """Values over steps, one line per method in its colour, from step 0 to `last`; the vertical axis begins at 0."""
    left, right, top, bottom = 30, WIDTH - 6, 8, 116
    high = round_up(max([v for points in lines.values() for _, v in points], default=0.0))
    drawn = levels(left, right, top, bottom, [number(share * high) for share in (0, 0.5, 1)])
    for key, points in lines.items():
        places = [(left + x / max(last, 1) * (right - left), bottom - y / high * (bottom - top)) for x, y in points]
        data = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        look = f'fill="none" stroke="{colour_of(key)}" stroke-width="1.8" stroke-linejoin="round"'
        drawn += f'<path d="M{data}" {look}/>' if len(places) > 1 else ""
        drawn += f'<path d="{circles(places[-1:], 2.6)}" fill="{colour_of(key)}"/>'
    ticks = [(n / 2, f"{n * last / 2:,.0f}") for n in range(3)]
    return svg(bottom + 34, drawn + axis(bottom, left, right, ticks, "step"), label)


def round_up(value: float) -> float:
    """The next number that is as round as the end of an axis; 1 for 0."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(f for f in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if f * power >= value * (1 - 1e-9)) * power)
