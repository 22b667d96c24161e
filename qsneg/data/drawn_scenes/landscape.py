"""The land of a scene: sky, clouds, hills and ground as fields, things as shapes.

The two domains share every shape; `PALETTES` is all that differs.  Light and
tint shift both palettes in the same way, so that a background of one domain
tells the background of the other.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from qsneg.data.drawn_scenes.scene import Plant, Scene

PALETTES = {
    "A": {
        "sky": ((0.27, 0.56, 0.90), (0.74, 0.89, 0.98)),
        "cloud": ((1.0, 1.0, 1.0), (0.80, 0.87, 0.95)),
        "hills": ((0.58, 0.76, 0.86), (0.42, 0.65, 0.66), (0.36, 0.60, 0.43)),
        "ground": ((0.55, 0.75, 0.34), (0.25, 0.54, 0.17)),
        "mottle": (-0.03, -0.02, -0.012),
        "leaf": ((0.13, 0.36, 0.16), (0.20, 0.47, 0.20), (0.36, 0.61, 0.26)),
        "bark": (0.34, 0.30, 0.22),
        "wood": ((0.74, 0.72, 0.64), (0.51, 0.49, 0.43)),
        "stone": ((0.31, 0.37, 0.30), (0.50, 0.57, 0.47)),
        "tuft": ((0.22, 0.47, 0.15), (0.48, 0.71, 0.28)),
    },
    "B": {
        "sky": ((0.76, 0.83, 0.85), (0.99, 0.94, 0.82)),
        "cloud": ((1.0, 0.98, 0.94), (0.90, 0.87, 0.82)),
        "hills": ((0.84, 0.78, 0.72), (0.77, 0.66, 0.55), (0.72, 0.58, 0.38)),
        "ground": ((0.92, 0.79, 0.50), (0.77, 0.56, 0.27)),
        "mottle": (-0.03, -0.03, -0.025),
        "leaf": ((0.38, 0.35, 0.16), (0.51, 0.46, 0.21), (0.68, 0.60, 0.31)),
        "bark": (0.45, 0.34, 0.25),
        "wood": ((0.66, 0.58, 0.49), (0.46, 0.38, 0.31)),
        "stone": ((0.52, 0.44, 0.38), (0.78, 0.70, 0.60)),
        "tuft": ((0.68, 0.49, 0.22), (0.92, 0.80, 0.50)),
    },
}


def ground_edge(scene: Scene, x: np.ndarray) -> np.ndarray:
    """Height of the far edge of the ground over x."""
    waves = scene.roll[:, 0, None] * np.sin(np.array([2, 5, 11])[:, None] * x + scene.roll[:, 1, None])
    return scene.horizon + waves.sum(0)


def ridges(scene: Scene, x: np.ndarray) -> np.ndarray:
    """Heights (3, len(x)) of the three distant hills over x, far to near."""
    k = np.arange(3)[:, None, None]
    amplitude, phase = scene.hills[:, :, :1], scene.hills[:, :, 1:]
    waves = np.sin(np.array([3, 6, 13])[:, None] * (1 + 0.3 * k) * x + phase)
    rise = (amplitude * waves * np.array([0.035, 0.014, 0.004])[:, None]).sum(1) * (1 - 0.2 * k[:, 0])
    return scene.horizon - 0.085 + 0.03 * k[:, 0] + rise


def land(scene: Scene, size: int, domain: str) -> np.ndarray:
    """Sky, clouds, hills and bare ground: float32 (size, size, 3) from 0 to 1."""
    p = PALETTES[domain]
    mid = (np.arange(size, dtype=np.float32) + 0.5) / size
    y = mid[:, None]
    t = np.clip(y / scene.horizon, 0, 1)[..., None]
    top, low = np.float32(p["sky"])
    picture = np.broadcast_to(top + (low - top) * t**1.3, (size, size, 3)).astype(np.float32)
    _clouds(picture, scene, size, p)
    # Distant hills, far to near, each a height over x with an exact soft edge.
    for ridge, colour in zip(ridges(scene, mid).astype(np.float32), np.float32(p["hills"])):
        rows = slice(max(0, int(ridge.min() * size) - 1), None)
        cover = np.clip((y[rows] - ridge) * size + 0.5, 0, 1)[..., None]
        haze = np.clip((y[rows] - ridge) * 7, 0, 0.4)[..., None]
        picture[rows] += cover * (colour + (low - colour) * haze - picture[rows])
    # Ground: darker and richer towards the viewer, mottled, with broad level bands.
    edge = ground_edge(scene, mid).astype(np.float32)
    rows = slice(max(0, int(edge.min() * size) - 1), None)
    depth = np.clip((y[rows] - scene.horizon) / (1 - scene.horizon), 0, 1)[..., None]
    far, near = np.float32(p["ground"])
    noise = Image.fromarray(scene.mottle.T.copy()).resize((size, size), Image.BICUBIC)
    fine = Image.fromarray(scene.mottle).resize((size, size), Image.BICUBIC)
    noise = (np.asarray(noise) + 0.7 * np.asarray(fine))[rows, :, None]
    colour = far + (near - far) * depth**0.7 + np.float32(p["mottle"]) * noise * (0.35 + 0.65 * depth)
    cover = np.clip((y[rows] - edge) * size + 0.5, 0, 1)[..., None]
    picture[rows] += cover * (colour - picture[rows])
    return picture


def _clouds(picture, scene, size, p):
    scale = 2 * size
    mask, under = Image.new("L", (scale, scale)), Image.new("L", (scale, scale))
    pen, pen_under = ImageDraw.Draw(mask), ImageDraw.Draw(under)
    for x, y, r in scene.clouds * scale:
        pen.ellipse((x - r, y - 0.62 * r, x + r, y + 0.5 * r), fill=255)
        pen_under.ellipse((x - 0.9 * r, y + 0.02 * r, x + 0.9 * r, y + 0.6 * r), fill=255)
    mask = mask.reduce(2).filter(ImageFilter.GaussianBlur(0.006 * size))
    under = under.reduce(2).filter(ImageFilter.GaussianBlur(0.012 * size))
    cover, dim = (np.asarray(image, np.float32)[..., None] / 255 for image in (mask, under))
    light, shadow = np.float32(p["cloud"])
    picture += 0.92 * cover * (light + (shadow - light) * 0.85 * dim - picture)


def grass(pen, tufts: np.ndarray, domain: str):
    """Tufts of three blades of grass, painted with `pen(points, colour)`, all of one tuft at once."""
    dark, light = np.array(PALETTES[domain]["tuft"])
    x, y, length, lean, tone = tufts.T[:, :, None]
    k = np.array([-1, 0, 1])
    foot, tip = x + 0.2 * length * k, x + length * (lean + 0.5 * k)
    across = np.stack([foot - 0.1 * length, tip, foot + 0.1 * length], 2)
    down = np.stack([y + 0 * k, y - length * (1 - 0.25 * abs(k)), y + 0 * k], 2)
    blades = np.stack([across, down], 3).reshape(len(tufts), 9, 2)  # left foot, tip, right foot; three times
    for points, colour in zip(blades, dark + (light - dark) * (0.5 + 0.5 * tone)):
        pen(points, colour)


def things(pen, scene: Scene, domain: str):
    """Fence, trees, bushes and stones, far to near, painted with `pen`."""
    p = PALETTES[domain]
    order = [(t.y, _plant, t) for t in scene.plants] + [(s.y, _stone, s) for s in scene.stones]
    if scene.fence is not None:
        order.append((float(scene.fence.posts[:, 1].mean()), _fence, scene.fence))
    for _, painter, thing in sorted(order, key=lambda item: item[0]):
        painter(pen, thing, p, scene.light.side)


def _plant(pen, plant: Plant, p, sun):
    h, turn = plant.height, np.array([1, -1])
    leaves = np.array(p["leaf"]) * (1 + 0.1 * plant.shade)
    place = lambda points: np.array([plant.x, plant.y]) + h * np.asarray(points) * turn  # noqa: E731
    if plant.kind != "bush":
        wide = 0.035 if plant.kind == "flat" else 0.045
        trunk = np.array([(-1.6, 0), (-0.8, 0.15), (-0.6, 0.6), (0.6, 0.6), (0.8, 0.15), (1.6, 0)])
        pen(place(trunk * [wide, 1]), p["bark"])
    if plant.kind == "flat":
        pen(place([(-0.03, 0.35), (-0.28, 0.8), (-0.22, 0.8), (0.03, 0.45)]), p["bark"])
        pen(place([(0.03, 0.4), (0.26, 0.8), (0.2, 0.8), (-0.03, 0.5)]), p["bark"])
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    flat = np.array([1.0, 0.6 if plant.kind == "flat" else 1.0])
    for layer, (grow, rise) in enumerate(((1.0, 0.0), (0.8, 0.16), (0.48, 0.36))):
        x, y, r = plant.blobs.T
        middle = np.stack([x + 0.8 * rise * r * sun, y + rise * r], 1)
        discs = middle[:, None] + flat * circle * (r * grow)[:, None, None]
        if plant.kind == "bush":
            discs[..., 1] = np.maximum(discs[..., 1], 0)
        for points in place(discs):
            pen(points, leaves[layer])


def _stone(pen, stone, p, sun):
    dark, light = np.array(p["stone"]) * (1 + 0.08 * stone.shade)
    foot = np.array([stone.x, stone.y])
    pen(foot + stone.outline, dark)
    top = stone.outline * [0.78, 0.78]
    pen(foot + top + [0.16 * sun * np.ptp(stone.outline[:, 0]) / 2, 0.18 * stone.outline[:, 1].min()], light)


def _fence(pen, fence, p, sun):
    light, dark = np.array(p["wood"])
    x, y, h = fence.posts.T
    for share in fence.rails:
        thick = 0.07 * h
        upper = np.stack([x, y - share * h - thick], 1)
        lower = np.stack([x, y - share * h + thick], 1)
        pen(np.concatenate([upper, lower[::-1]]), light)
    for px, py, ph in fence.posts:
        w = 0.075 * ph
        pen(((px - w, py), (px - w, py - ph), (px + w, py - ph), (px + w, py)), light)
        if sun > 0:
            pen(((px - w, py), (px - w, py - ph), (px, py - ph), (px, py)), dark)
        else:
            pen(((px, py), (px, py - ph), (px + w, py - ph), (px + w, py)), dark)
