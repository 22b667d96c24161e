"""The colours of an animal: horse coats in domain A, zebra stripes in domain B.

Both paint the same `Body`, part by part and back to front; they differ only in
the colours and in what lies inside the silhouette.
"""

import numpy as np

from qsneg.data.drawn_scenes.animals import Body
from qsneg.data.drawn_scenes.scene import Animal

# Coat, mane and tail, lower legs: bay, chestnut, seal brown, sorrel, buckskin, liver. All are browns, as stones,
# fences and clouds are not: so that a horse can be told by its colour.
COATS = (
    ((0.52, 0.27, 0.12), (0.13, 0.09, 0.08), (0.16, 0.11, 0.09)),
    ((0.64, 0.31, 0.13), (0.52, 0.25, 0.11), (0.58, 0.29, 0.14)),
    ((0.30, 0.17, 0.11), (0.12, 0.09, 0.09), (0.20, 0.13, 0.10)),
    ((0.74, 0.39, 0.16), (0.62, 0.33, 0.15), (0.70, 0.38, 0.18)),
    ((0.76, 0.52, 0.24), (0.20, 0.13, 0.09), (0.30, 0.20, 0.13)),
    ((0.42, 0.21, 0.13), (0.30, 0.15, 0.10), (0.36, 0.19, 0.12)),
)
CREAM = np.array([0.91, 0.75, 0.50])  # a horse's markings: pale, but as warm as its coat
WHITE = np.array([0.95, 0.93, 0.89])
BLACK = np.array([0.11, 0.095, 0.09])
HOOF = np.array([0.26, 0.22, 0.19])
MUZZLE = 0.73  # share of the head where the dark muzzle begins


def paint(pen, body: Body, a: Animal, domain: str):
    """Paint an animal with `pen(points, colour)`, colours RGB from 0 to 1."""
    (_horse if domain == "A" else _zebra)(pen, body, a)


def shade(pen, body: Body, a: Animal, sun: float):
    """Paint the light on an animal with `pen(points, grey)`, 0.5 for no change.

    sun: where the light comes from in the animal's own frame, -1 behind to 1
    in front.  What is painted is meant to be blurred afterwards.
    """
    b = body.body
    for ribbon, _ in body.legs[:2]:
        pen(ribbon.outline(), 0.12)
    for ribbon, _ in body.legs[2:]:
        pen(ribbon.outline(), 0.5)
        bright, dim = ((0, 0.45), (0.6, 1)) if sun > 0 else ((0.55, 1), (0, 0.4))
        pen(ribbon.between(0.15, ribbon.length, *bright), 0.6)
        pen(ribbon.between(0.12, ribbon.length, *dim), 0.3)
    for outline in body.torso():
        pen(outline, 0.5)
    n = b.length
    pen(b.between(0.12, n, 0.0, 0.24), 0.66)
    pen(b.between(0.42, body.neck_from + 0.02, 0.7, 1.0), 0.24)
    pen(b.between(body.neck_from + 0.05, n, 0.66, 1.0), 0.3)
    if sun > 0:
        pen(b.between(0.0, 0.3, 0.0, 0.4), 0.34)
    else:
        pen(b.between(0.0, 0.34, 0.0, 0.4), 0.66)
    pen(body.head.outline(), 0.52)
    pen(body.head.between(0, body.head.length, 0, 0.35), 0.64)
    pen(body.head.between(0.02, body.head.length, 0.72, 1.0), 0.3)


def _horse(pen, body, a):
    coat, hair, points = (np.array(c) * (1 + 0.1 * a.tone) for c in COATS[a.coat])
    b = body.body
    patched = len(a.patches) > 0
    pen(body.tail.outline(), hair)
    pen(body.far_ear, coat * 0.8)
    for i, (ribbon, hoof) in enumerate(body.legs):
        pen(hoof, HOOF)
        pen(ribbon.outline(), coat)
        knee = ribbon.length - 0.27
        for k in range(1, 6):
            pen(ribbon.between(knee - 0.12 + 0.025 * k, ribbon.length, n=8), coat + (points - coat) * k / 5)
        if a.socks[i] or patched:
            pen(ribbon.between(ribbon.length - (0.2 if patched else 0.13), ribbon.length, n=8), CREAM)
    for outline in body.torso():
        pen(outline, coat)
    for i, (s, v, r) in enumerate(a.patches):
        pen(b.disc(s * 1.35, v, r, 6 * s + i), CREAM)
    pen(body.head.outline(), coat)
    nose = coat + (points * 0.8 - coat) * 0.55
    pen(body.head.between(MUZZLE * body.head.length, body.head.length), nose)
    if a.blaze:
        pen(body.head.between(0.09, 0.4, 0.0, 0.16), CREAM)
    _face(pen, body, coat * 0.72)
    # The mane stands a little and hangs over the near side.
    pen(body.mane.outline(), hair)
    s0, s1 = body.crest[0], body.crest[-1]
    t = np.linspace(0, 1, 26)
    edge = (0.34 + 0.08 * np.sin(t * 17 + 6 * a.phase)) * np.minimum(1, 6 * t + 0.15)
    pen(b.between(s0, s1 - 0.03, 0.0, edge, n=26), hair)
    for k in np.linspace(0.2, 0.85, 5):  # strands
        s = s0 + (s1 - s0) * k
        pen(b.at(np.array([s, s + 0.012, s - 0.02]), np.array([0.0, 0.0, 0.27])), hair * 0.82 + 0.02)
    pen(body.ear, coat)
    pen(body.inner_ear, coat * 0.6)
    pen(body.forelock, hair)


def _zebra(pen, body, a):
    b, p = body.body, a.stripe
    w = a.warp
    pen(body.tail.outline(), WHITE)
    tail = body.tail
    for q in tail.bands(np.arange(0.06, 0.26, 0.065), np.full(4, 0.016)):
        pen(q, BLACK)
    pen(tail.between(0.32, tail.length, n=10), BLACK)
    pen(body.far_ear, BLACK)
    for i, (ribbon, hoof) in enumerate(body.legs):
        pen(ribbon.outline(), WHITE)
        pen(hoof, BLACK * 1.2)
        centre = ribbon.length - np.arange(0.06, ribbon.length - 0.12, 0.085) - 0.02 * a.phase
        half = 0.0198 + 0.003 * w[10 * i : 10 * i + len(centre), 1]
        for q in ribbon.bands(centre[: len(half)], half, bow=-0.02):
            pen(q, BLACK)
        pen(ribbon.between(ribbon.length - 0.035, ribbon.length, n=4), BLACK)  # above the hoof
    for outline in body.torso():
        pen(outline, WHITE)
    # Along the trunk and neck: wider on the haunch, closer on the neck.
    at, centres, periods, i = 0.02 + 0.6 * p * a.phase, [], [], 0
    while at < b.length + 0.02:
        haunch = max(0, 1 - at / 0.5)
        period = p * (1 + 0.18 * haunch - 0.12 * (at > body.neck_from)) * (1 + 0.1 * w[i, 0])
        centres.append(at)
        periods.append(period)
        at, i = at + period, i + 1
    centres, periods = np.array(centres), np.array(periods)
    n = len(centres)
    half = periods * (0.262 + 0.03 * w[:n, 1])
    trunk = (centres > 0.5) & (centres < body.neck_from - 0.1)
    taper = np.where(trunk, 0.85, np.where(centres <= 0.5, 0.35, 0.25))
    bow = 0.02 * w[:n, 2] + np.where(centres < 0.5, -0.03, 0.025)
    for q in b.bands(centres, half, bow, taper):
        pen(q, BLACK)
    # Standing mane: the stripes of the neck go on, with dark tips.
    m = body.mane
    pen(m.outline(), WHITE)
    edges = np.interp([centres - half, centres + half], body.crest, m.along)
    for c0, c1 in edges.T:
        if c1 > c0:
            pen(m.between(c0, c1, n=3), BLACK)
    pen(m.between(0, m.length, 0.0, 0.22, n=24), BLACK)
    h = body.head
    pen(h.outline(), WHITE)
    for q in h.bands(np.linspace(0.05, 0.28, 5), np.full(5, 0.0148), bow=0.03, taper=0.4, v0=0.3):
        pen(q, BLACK)
    for v in (0.02, 0.17):
        pen(h.at(np.array([0.066, 0.33, 0.33, 0.066]), np.array([v, v + 0.03, v + 0.09, v + 0.07])), BLACK)
    pen(h.between(MUZZLE * h.length, h.length), BLACK)
    _face(pen, body, BLACK)
    pen(body.ear, WHITE)
    pen(body.inner_ear, BLACK * 1.6)
    pen(body.ear[1:5], BLACK)


def _face(pen, body, nose):
    pen(body.eye, (0.05, 0.04, 0.04))
    pen(body.nostril, np.asarray(nose) * 0.5)
    pen(body.mouth, np.asarray(nose) * 0.6)
