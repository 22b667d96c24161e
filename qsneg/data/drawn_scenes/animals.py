"""Horses and zebras out of ribbons.

One idea: every part of an animal is a ribbon, two smooth curves (the top and
the bottom of the trunk and neck, the front and the back of a leg) that are
paired point by point.  The ribbon's outline is the silhouette.  A place on it
has two coordinates, the way along and the way across, so a stripe is a band
at one way along, a coat patch is a disc, the light falls on the band near the
top; and all of them follow the body in whatever pose it stands.

Lengths are in heights at the withers, x forward, y upwards, hooves at y = 0.
"""

from functools import lru_cache

import numpy as np

from qsneg.data.drawn_scenes.scene import Animal

ACROSS = np.linspace(0, 1, 7)


@lru_cache
def _catmull_rom(n: int, per: int) -> np.ndarray:
    """Matrix ((n-1)*per+1, n) that turns n control points into a smooth curve."""
    rows = []
    for i in range(n - 1):
        for t in np.arange(per) / per:
            row = np.zeros(n)
            w = 0.5 * np.array([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
            np.add.at(row, np.clip([i - 1, i, i + 1, i + 2], 0, n - 1), w)
            rows.append(row)
    rows.append(np.eye(n)[-1])
    return np.array(rows)


def smooth(points, per: int = 5) -> np.ndarray:
    """Catmull-Rom curve (m, k) through control points (n, k)."""
    points = np.asarray(points, float)
    return _catmull_rom(len(points), per) @ points


class Ribbon:
    """A strip between two paired curves, each (m, 2)."""

    def __init__(self, top: np.ndarray, bottom: np.ndarray):
        self.top, self.bottom = top, bottom
        self.pairs = np.concatenate([top, bottom - top], 1)
        self.steps = np.diff(self.pairs, axis=0)
        middle = 0.55 * top + 0.45 * bottom
        step = np.sqrt((np.diff(middle, axis=0) ** 2).sum(1))
        self.along = np.concatenate([[0], np.cumsum(step)])
        self.length = self.along[-1]

    def at(self, s, v) -> np.ndarray:
        """Points (..., 2) a length s along and a share v across (0 top, 1 bottom)."""
        i = np.interp(s, self.along, np.arange(len(self.along)))
        k = np.minimum(i.astype(int), len(self.along) - 2)
        pair = self.pairs[k] + self.steps[k] * (i - k)[..., None]
        return pair[..., :2] + pair[..., 2:] * np.asarray(v)[..., None]

    def outline(self) -> np.ndarray:
        return np.concatenate([self.top, self.bottom[::-1]])

    def between(self, s0, s1, v0=0.0, v1=1.0, n=14) -> np.ndarray:
        """Outline of the piece from s0 to s1 along and v0 to v1 across."""
        s = s0 + (s1 - s0) * np.arange(n) / (n - 1)
        v = np.empty(2 * n)
        v[:n], v[: n - 1 : -1] = v0, v1
        return self.at(np.concatenate([s, s[::-1]]), v)

    def bands(self, centre, half, bow=0.0, taper=0.0, v0=0.0, v1=1.0) -> np.ndarray:
        """Outlines (n, 14, 2) of n bands across: half widths and bows (n,), in lengths.

        A band narrows by the share `taper` towards v = 1 and is pushed along by
        `bow` in its middle.
        """
        v = v0 + (v1 - v0) * ACROSS
        middle = np.asarray(centre)[:, None] + np.asarray(bow).reshape(-1, 1) * (4 * v * (1 - v))
        wide = np.asarray(half)[:, None] * (1 - np.asarray(taper).reshape(-1, 1) * v**2)
        s = np.concatenate([middle - wide, (middle + wide)[:, ::-1]], 1)
        return self.at(s, np.concatenate([v, v[::-1]]))

    def disc(self, s, v, radius, lobes) -> np.ndarray:
        """Outline of a lobed patch with its middle at (s, v)."""
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        r = radius * (1 + 0.22 * np.sin(2 * angle + lobes) + 0.16 * np.sin(3 * angle + 2.3 * lobes))
        return self.at(s + r * np.cos(angle), np.clip(v + 2.1 * r * np.sin(angle), 0, 1))


def _turn(points, angle, origin):
    """Points given along and left of a direction (radians), from an origin."""
    c, s = np.cos(angle), np.sin(angle)
    points = np.asarray(points, float)
    return np.asarray(origin) + points @ np.array([[c, s], [-s, c]])


def _leg(root, lengths, angles, widths, ground, lifted):
    """Ribbon of a leg (top: front edge) and its hoof (4, 2).

    root: (2,) top joint; lengths and angles (3,): segments, radians from down;
    widths (7, 2): front and back half widths at seven stations from the root
    to the hoof; ground: height of the ground under this leg.
    """
    a = np.asarray(angles)
    steps = np.stack([np.sin(a), -np.cos(a)], 1) * np.asarray(lengths)[:, None]
    knee, fetlock, end = root + np.cumsum(steps, 0)
    chain = np.array(
        [root, (root + knee) / 2, knee, knee + 0.25 * (fetlock - knee), knee + 0.7 * (fetlock - knee), fetlock, end]
    )
    hoof = 0.045
    if lifted:
        chain[:, 1] += max(0, ground + hoof + 0.03 - chain[:, 1].min())
    else:  # planted: stretched or shortened to the ground
        chain[:, 1] = root[1] + (chain[:, 1] - root[1]) * (root[1] - ground - hoof) / (root[1] - end[1])
    line = smooth(np.concatenate([chain, widths], 1), 4)
    line, front, back = line[:, :2], line[:, 2:3], line[:, 3:]
    way = np.gradient(line, axis=0)
    way /= np.sqrt((way**2).sum(1, keepdims=True))
    normal = np.stack([-way[:, 1], way[:, 0]], 1)  # forwards for a leg that points down
    ribbon = Ribbon(line + normal * front, line - normal * back)
    tip = line[-1]
    if lifted:
        shape = [(-0.01, -0.034), (-0.01, 0.034), (hoof, 0.052), (hoof, -0.034)]
        shape = _turn(shape, np.arctan2(way[-1, 1], way[-1, 0]), tip)
    else:
        shape = tip + np.array([(-0.034, 0.008), (0.032, 0.012), (0.056, -hoof), (-0.04, -hoof)])
    return ribbon, shape


# Half widths to the front and to the back, from the top of a leg to its hoof.
FORE_WIDTHS = np.array([
    (0.1, 0.1), (0.062, 0.062), (0.044, 0.04), (0.03, 0.03), (0.026, 0.028), (0.032, 0.036), (0.03, 0.03),
])  # fmt: skip
HIND_WIDTHS = np.array([
    (0.15, 0.13), (0.105, 0.085), (0.042, 0.052), (0.033, 0.034), (0.028, 0.03), (0.033, 0.038), (0.03, 0.03),
])  # fmt: skip

# Stations of the trunk: top x, top y, bottom x, bottom y.  The first ones fan
# around the flank, so bands turn from upright on the trunk to level on the haunch.
TRUNK = np.array([
    (-0.475, 0.58, -0.245, 0.50),
    (-0.515, 0.70, -0.225, 0.515),
    (-0.515, 0.81, -0.20, 0.525),
    (-0.46, 0.92, -0.17, 0.53),
    (-0.36, 0.985, -0.12, 0.525),
    (-0.24, 1.0, -0.05, 0.505),
    (-0.10, 0.965, 0.03, 0.485),
    (0.03, 0.945, 0.12, 0.475),
    (0.14, 0.96, 0.21, 0.475),
    (0.225, 1.0, 0.30, 0.49),
])  # fmt: skip

# Stations of the head: along, forehead side, jaw side, before HEAD_SIZE.
HEAD_SIZE = 1.1
HEAD = np.array([
    (-0.02, 0.055, -0.085), (0.05, 0.072, -0.11), (0.12, 0.076, -0.115), (0.19, 0.068, -0.092), (0.25, 0.056, -0.066),
    (0.31, 0.05, -0.055), (0.36, 0.05, -0.06), (0.395, 0.04, -0.056), (0.412, 0.012, -0.036),
])  # fmt: skip


class Body:
    """All parts of one animal in its pose, in heights at the withers."""

    def __init__(self, a: Animal):
        self.body, self.neck_from = self._body(a)
        self.legs = []
        for i, (hip, knee, fetlock, lifted) in enumerate(a.legs):
            far, fore = i < 2, i % 2
            root = np.array([0.27, 0.60]) if fore else np.array([-0.315, 0.68])
            root = root + ([0.05, 0.0] if far else [0, 0])
            lengths = (0.30, 0.205, 0.075) if fore else (0.42, 0.215, 0.075)
            widths = (FORE_WIDTHS if fore else HIND_WIDTHS) * (1 + 0.08 * a.build)
            angles = np.radians([hip, knee, fetlock])
            self.legs.append(_leg(root, lengths, angles, widths, 0.03 if far else 0.0, bool(lifted)))
        self._tail(a)

    def _body(self, a):
        neck, head = np.radians(a.neck), np.radians(a.head)
        along, up = np.array([np.cos(neck), np.sin(neck)]), np.array([-np.sin(neck), np.cos(neck)])
        base, reach = np.array([0.345, 0.835]), 0.55
        low = a.neck < 0
        arch = np.array([0.05, 0.07, 0.045]) if not low else np.array([0.03, 0.02, 0.0])
        share = np.array([0.4, 0.7, 1.0])
        middle = base + share[:, None] * reach * along + arch[:, None] * up
        top = middle + np.array([0.135, 0.10, 0.075])[:, None] * up
        bottom = middle - np.array([0.13, 0.095, 0.075])[:, None] * up
        poll = middle[-1]
        if low:
            withers, chest = [(0.28, 1.0), (0.34, 0.985), (0.40, 0.955)], [(0.37, 0.505), (0.44, 0.55), (0.485, 0.60)]
        else:
            withers, chest = [(0.27, 1.015), (0.305, 1.02), (0.34, 1.03)], [(0.38, 0.515), (0.455, 0.60), (0.475, 0.70)]
        trunk = TRUNK.copy()
        trunk[4:, 3] -= 0.018 * a.build
        stations = np.concatenate([trunk, np.concatenate([withers, chest], 1), np.concatenate([top, bottom], 1)])
        line = smooth(stations, 5)
        split = (len(TRUNK) + 2) * 5  # where the neck leaves the trunk
        h = HEAD_SIZE * smooth(HEAD, 4)
        origin = poll + 0.02 * along
        forehead, jaw = _turn(h[:, [0, 1]], head, origin), _turn(h[:, [0, 2]], head, origin)
        self.head = Ribbon(forehead, jaw)
        place = lambda points: _turn(HEAD_SIZE * np.array(points), head, origin)  # noqa: E731
        self.ear = place(
            [(0.045, 0.055), (-0.025, 0.055), (-0.085, 0.125), (-0.06, 0.155), (0.0, 0.125), (0.04, 0.085)]
        )
        self.far_ear = self.ear + 0.028 * np.array([np.cos(head + 0.5), np.sin(head + 0.5)])
        inner = [(0.025, 0.07), (-0.01, 0.075), (-0.06, 0.125), (-0.052, 0.138), (0.0, 0.108)]
        self.inner_ear = place(inner)
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        self.eye = place(np.stack([0.125 + 0.022 * np.cos(angle), 0.028 + 0.014 * np.sin(angle)], 1))
        self.nostril = place(np.stack([0.37 + 0.013 * np.cos(angle), 0.012 + 0.012 * np.sin(angle)], 1))
        self.forelock = place([(-0.05, 0.07), (0.0, 0.10), (0.09, 0.083), (0.06, 0.06), (0.0, 0.04)])
        self.mouth = place([(0.41, -0.02), (0.345, -0.022), (0.345, -0.03), (0.40, -0.03)])
        ribbon = Ribbon(line[:, :2], line[:, 2:])
        # The mane stands on the crest, from the withers to the poll.
        first = (len(TRUNK) - 1) * 5 + 3
        crest = line[first:, :2]
        t = np.linspace(0, 1, len(crest))
        out = line[first:, :2] - line[first:, 2:]
        out /= np.sqrt((out**2).sum(1, keepdims=True))
        high = 0.068 * np.minimum(1, np.minimum(t * 3.5, 0.55 + (1 - t) * 4))
        tooth = 1 + 0.12 * np.sin(np.arange(len(crest)) * 2.1)
        self.mane = Ribbon(crest + out * (high * tooth)[:, None], crest - out * 0.02)
        self.crest = ribbon.along[first:]  # where on the body each point of the mane stands
        return ribbon, ribbon.along[split]

    def _tail(self, a):
        swing = 0.06 + 0.14 * max(a.tail, 0)
        line = smooth(
            [
                (-0.49, 0.90),
                (-0.545 - 0.3 * swing, 0.84),
                (-0.565 - 0.8 * swing, 0.68),
                (-0.56 - 1.1 * swing, 0.50),
                (-0.55 - 1.2 * swing, 0.34),
                (-0.555 - 1.4 * swing, 0.27),
            ],
            4,
        )
        wide = smooth([[0.03], [0.028], [0.034], [0.055], [0.042], [0.004]], 4)
        way = np.gradient(line, axis=0)
        way /= np.sqrt((way**2).sum(1, keepdims=True))
        normal = np.stack([-way[:, 1], way[:, 0]], 1)
        self.tail = Ribbon(line + normal * wide, line - normal * wide)

    def silhouettes(self):
        """Outlines that together cover the animal, for its shadow."""
        yield self.tail.outline()
        for ribbon, hoof in self.legs:
            yield ribbon.outline()
            yield hoof
        yield from self.torso()
        yield self.mane.outline()
        yield self.head.outline()
        yield self.ear

    def torso(self):
        """Trunk and neck as two outlines that do not cross themselves."""
        b = self.body
        yield b.between(0, self.neck_from, n=48)
        yield b.between(self.neck_from - 0.22, b.length, n=24)
