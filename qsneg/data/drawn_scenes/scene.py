"""What is in a drawn scene: a description made from one integer seed.

Every random choice of a scene is made here, in one fixed order, before
anything is drawn.  Nothing below knows the size of the picture or the domain,
which is why the same seed is the same scene at 128 and at 256 pixels, and why
the horse picture and the zebra picture of one seed have the same geometry.

Lengths are in picture units (the picture is 1 wide and 1 high, y downwards);
inside an animal the unit is its height at the withers (y upwards).

    python -c "from qsneg.data.drawn_scenes.scene import describe; print(describe(7).animals[0])"
"""

from dataclasses import dataclass

import numpy as np

GAITS = ("stand", "walk", "trot", "graze", "alert")

# Angles in degrees from straight down, forward positive, of the three segments
# of a leg: forearm or gaskin, cannon, pastern; then whether the hoof is lifted.
FORE = {
    "square": (1, -1, 28, 0),
    "forward": (20, 15, 38, 0),
    "back": (-17, -20, 8, 0),
    "swing": (30, -38, -48, 1),
    "reach": (38, 20, 22, 1),
}
HIND = {
    "square": (-20, 4, 30, 0),
    "forward": (-4, 14, 36, 0),
    "back": (-38, -24, 6, 0),
    "swing": (-10, -44, -40, 1),
    "push": (-44, -42, -34, 1),
}
# Hind then fore leg of one side, then of the other side.
LEGS = {
    "stand": (("square", "square"), ("forward", "square")),
    "walk": (("back", "forward"), ("forward", "swing")),
    "trot": (("push", "swing"), ("forward", "back")),
    "graze": (("square", "forward"), ("back", "back")),
    "alert": (("square", "square"), ("square", "forward")),
}
# Neck and head directions in degrees above the horizontal.
NECK = {"stand": (30, 46), "walk": (24, 40), "trot": (40, 54), "graze": (-47, -40), "alert": (52, 62)}
HEAD = {"stand": (-56, -40), "walk": (-50, -36), "trot": (-62, -46), "graze": (-80, -66), "alert": (-36, -22)}


@dataclass
class Light:
    side: float  # where the sun stands, -1 left to 1 right
    cast: float  # length of a shadow for a height of 1
    warmth: float  # -1 cool to 1 warm, shifts both palettes the same way
    level: float  # overall brightness, about 1


@dataclass
class Plant:
    kind: str  # "round", "tall", "flat" (trees) or "bush"
    x: float  # middle of the foot
    y: float  # ground line of the foot
    height: float
    blobs: np.ndarray  # (n, 3): centre x, centre y, radius in heights, y upwards
    shade: float  # -1 darker to 1 lighter foliage


@dataclass
class Stone:
    x: float
    y: float  # lowest point
    outline: np.ndarray  # (n, 2) offsets from (x, y)
    shade: float  # -1 darker to 1 lighter


@dataclass
class Fence:
    posts: np.ndarray  # (n, 3): x, y of the foot, height
    rails: tuple  # heights of the rails in post heights


@dataclass
class Animal:
    x: float  # middle of the trunk
    y: float  # ground line of the near hooves
    height: float  # at the withers, in picture units
    facing: int  # 1 right, -1 left
    gait: str
    legs: np.ndarray  # (4, 4): far hind, far fore, near hind, near fore; three angles and lifted
    neck: float  # degrees above the horizontal
    head: float  # degrees above the horizontal
    build: float  # -1 slender to 1 stout
    tail: float  # swing of the tail, backwards positive
    coat: int  # index into the palette of coats (domain A)
    tone: float  # -1 darker to 1 lighter coat
    patches: np.ndarray  # (n, 3): place along, place down, radius; empty for a solid coat
    socks: np.ndarray  # (4,) bool, cream lower legs (domain A)
    blaze: bool  # cream stripe down the face (domain A)
    stripe: float  # period of the stripes on the trunk (domain B)
    phase: float  # shift of the stripes, 0 to 1
    warp: np.ndarray  # (40, 3) jitter of place, width and bow of single stripes, -1 to 1


@dataclass
class Scene:
    seed: int
    light: Light
    horizon: float  # height of the far edge of the ground
    roll: np.ndarray  # (3, 2) amplitude and phase of the ground's far edge
    hills: np.ndarray  # (3, 3, 2) layers of distant hills, amplitude and phase of three waves
    clouds: np.ndarray  # (n, 3) puffs: x, y, radius
    mottle: np.ndarray  # (24, 10) noise grid for the ground, -1 to 1
    tufts: np.ndarray  # (n, 5) grass strokes: x, y, length, lean, tone
    plants: list
    stones: list
    fence: Fence | None
    animals: list  # far to near
    front: list  # of each animal, (n, 5) grass strokes in front of its hooves


def describe(seed: int) -> Scene:
    """Return the scene of a non-negative integer seed."""
    rng = np.random.default_rng(seed)
    light = Light(
        side=float(rng.choice([-1, 1]) * rng.uniform(0.35, 1)),
        cast=rng.uniform(0.35, 0.8),
        warmth=rng.uniform(-1, 1),
        level=rng.uniform(0.92, 1.06),
    )
    horizon = rng.uniform(0.34, 0.5)
    roll = np.stack([rng.uniform(0, [0.014, 0.007, 0.003]), rng.uniform(0, 6.3, 3)], 1)
    hills = np.stack([rng.uniform(0.3, 1, (3, 3)), rng.uniform(0, 6.3, (3, 3))], 2)
    clouds = _clouds(rng, horizon)
    mottle = rng.uniform(-1, 1, (24, 10)).astype(np.float32)
    animals = _animals(rng, horizon)
    plants = _plants(rng, horizon)
    fence = _fence(rng, horizon)
    stones = _stones(rng, horizon)
    tufts = _tufts(rng, 50, horizon + 0.03, 1.02)
    front = [_front(rng, a) for a in animals]
    return Scene(seed, light, horizon, roll, hills, clouds, mottle, tufts, plants, stones, fence, animals, front)


def _clouds(rng, horizon):
    puffs = []
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(0, 1), rng.uniform(0.05, horizon - 0.12)
        width = rng.uniform(0.1, 0.22) * (1.2 - y / horizon * 0.6)
        for t in np.linspace(-1, 1, 6):
            radius = width * (0.42 - 0.24 * abs(t)) * rng.uniform(0.8, 1.2)
            puffs.append((x + t * width + rng.uniform(-0.01, 0.01), y - 0.55 * radius, radius))
    return np.array(puffs)


def _animals(rng, horizon):
    count = 1 + int(rng.random() < 0.35)
    slope = rng.uniform(1.15, 1.45)  # height of an animal over its distance below the horizon
    first = _animal(rng, horizon, slope, rng.uniform(0.36, 0.62), None)
    second = _animal(rng, horizon, slope, first.height * rng.uniform(0.55, 0.85), first)
    return [first] if count == 1 else sorted([first, second], key=lambda a: a.y)


def _animal(rng, horizon, slope, height, other):
    gait = GAITS[rng.choice(5, p=[0.24, 0.24, 0.14, 0.24, 0.14])]
    facing = int(rng.choice([-1, 1]))
    neck, head = rng.uniform(*NECK[gait]), rng.uniform(*HEAD[gait])
    sides = LEGS[gait] if rng.random() < 0.5 else LEGS[gait][::-1]
    legs = np.array([(HIND if i == 0 else FORE)[side[i]] for side in sides for i in (0, 1)], float)
    legs[:, :3] += rng.uniform(-3, 3, (4, 3))
    # Head room: the ears of a raised head are about 1.5 heights above the hooves.
    top = 1.12 if gait == "graze" else 1.1 + 0.5 * np.sin(np.radians(neck)) + 0.08
    height = min(height, (horizon - 0.02) / max(top - 1 / slope, 0.1), 0.95 * (0.97 - horizon) * slope)
    y = horizon + height / slope
    # The animal reaches from -0.6 (tail) to 1.0 (muzzle) heights around its middle.
    low, high = (0.62, 1.0) if facing > 0 else (1.0, 0.62)
    low, high = low * height + 0.01, 1 - high * height - 0.01
    x = rng.uniform(low, high) if low < high else (low + high) / 2
    if other is not None:  # on the emptier side of the picture
        x = min(max(x, 0.1), 0.9)
        if abs(x - other.x) < 0.35:
            x = other.x + (0.42 if other.x < 0.5 else -0.42)
    patched = rng.random() < 0.3
    patches = np.stack([rng.uniform(0.05, 1.0, 5), rng.uniform(0, 0.9, 5), rng.uniform(0.07, 0.15, 5)], 1)
    return Animal(
        x=float(x),
        y=float(y),
        height=float(height),
        facing=facing,
        gait=gait,
        legs=legs,
        neck=float(neck),
        head=float(head),
        build=rng.uniform(-1, 1),
        tail=rng.uniform(-0.3, 1),
        coat=int(rng.integers(0, 6)),
        tone=rng.uniform(-1, 1),
        patches=patches if patched else patches[:0],
        socks=rng.random(4) < 0.25,
        blaze=bool(rng.random() < 0.4),
        stripe=rng.uniform(0.13, 0.16),
        phase=rng.uniform(0, 1),
        warp=rng.uniform(-1, 1, (40, 3)),
    )


def _plants(rng, horizon):
    plants = []
    for _ in range(rng.integers(3, 8)):
        kind = ("round", "tall", "flat", "bush")[rng.integers(0, 4)]
        depth = rng.uniform(0, 1) ** 2
        y = horizon + 0.015 + 0.16 * depth
        height = (0.1 + 0.3 * depth) * rng.uniform(0.8, 1.25) * (0.45 if kind == "bush" else 1)
        x = rng.uniform(-0.02, 1.02)
        plants.append(Plant(kind, x, y, height, _blobs(rng, kind), rng.uniform(-1, 1)))
    return sorted(plants, key=lambda p: p.y)


def _blobs(rng, kind):
    t = np.linspace(-1, 1, 7)
    wobble = rng.uniform(-1, 1, (3, 7))
    if kind == "round":
        angle = np.arange(7) * 2 * np.pi / 6
        x, y, r = 0.2 * np.cos(angle), 0.66 + 0.17 * np.sin(angle), np.full(7, 0.17)
        x[6], y[6], r[6] = 0, 0.66, 0.26
    elif kind == "tall":
        x, y, r = 0 * t, 0.55 + 0.32 * t, 0.17 - 0.07 * np.maximum(t, 0) - 0.03 * np.maximum(-t, 0)
    elif kind == "flat":
        x, y, r = 0.42 * t, 0.82 - 0.05 * t**2, 0.15 - 0.06 * t**2
    else:
        x, y, r = 0.75 * t, 0.42 - 0.22 * t**2, 0.45 - 0.2 * t**2
    return np.stack([x + 0.03 * wobble[0], y + 0.03 * wobble[1], r * (1 + 0.12 * wobble[2])], 1)


def _fence(rng, horizon):
    wanted = rng.random() < 0.45
    y0, y1 = horizon + rng.uniform(0.03, 0.12, 2)
    start, end = (-0.05, rng.uniform(0.5, 1.05)) if rng.random() < 0.5 else (rng.uniform(-0.05, 0.5), 1.05)
    rails = (0.45, 0.85) if rng.random() < 0.6 else (0.3, 0.58, 0.86)
    t = np.linspace(0, 1, int(rng.integers(6, 11)))
    y = y0 + (y1 - y0) * t
    posts = np.stack([start + (end - start) * t, y, 0.035 + 0.55 * (y - horizon)], 1)
    return Fence(posts, rails) if wanted else None


def _stones(rng, horizon):
    stones = []
    for _ in range(rng.integers(1, 6)):
        y = rng.uniform(horizon + 0.06, 0.98)
        size = (0.012 + 0.06 * (y - horizon)) * rng.uniform(0.7, 1.6)
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        radius = size * rng.uniform(0.8, 1.15, 8)
        outline = np.stack([1.3 * radius * np.cos(angle), -np.maximum(0.75 * radius * np.sin(angle), -0.2 * size)], 1)
        stones.append(Stone(rng.uniform(0, 1), y, outline, rng.uniform(-1, 1)))
    return sorted(stones, key=lambda s: s.y)


def _tufts(rng, count, top, bottom):
    y = top + (bottom - top) * rng.uniform(0, 1, count) ** 0.8
    x = rng.uniform(0, 1, count)
    length = 0.012 + 0.045 * (y - top) * rng.uniform(0.6, 1.4, count)
    return np.stack([x, y, length, rng.uniform(-0.5, 0.5, count), rng.uniform(-1, 1, count)], 1)


def _front(rng, animal):
    n = 9
    x = animal.x + animal.height * rng.uniform(-0.6, 0.65, n)
    y = animal.y + animal.height * rng.uniform(0.02, 0.06, n)
    length = animal.height * rng.uniform(0.06, 0.11, n)
    return np.stack([x, y, length, rng.uniform(-0.5, 0.5, n), rng.uniform(-1, 1, n)], 1)
