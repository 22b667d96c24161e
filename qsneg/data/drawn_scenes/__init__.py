"""horse2zebra-drawn: a data set that draws itself, with the right answers.

A scene is a function of one integer seed (`qsneg.data.drawn_scenes.scene`).  Drawn in domain A
it is horses on a green pasture, in domain B zebras on a dry savanna; the two
pictures of one seed are exact counterparts, and a label map goes with both.

    python -m qsneg draw --split train --count 1000 --size 128 --out drawn
    python -m qsneg draw --split test --count 8 --size 256 --out scenes
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from qsneg.data.drawn_scenes import coats, landscape
from qsneg.data.drawn_scenes.animals import Body
from qsneg.data.drawn_scenes.scene import Animal, Scene, describe

LABELS = ("sky", "ground", "plants and objects", "animal")
SPLITS = ("train", "test", "val")
DOMAINS = ("A", "B")
PER_RANGE = 1_000_000
VALIDATION = 1 << 60  # where seeds of "val" begin, beyond those of the others


class Canvas:
    """Flat shapes on a finer grid, averaged to pixels.

    box: (left, top, right, bottom) in pixels of the picture; size: side of the
    picture in pixels.  `pen` takes points in picture units.
    """

    def __init__(self, box, size: int, fine: int):
        left, top, right, bottom = self.box = box
        self.fine = fine
        self.scale, self.shift = size * fine, (left * fine, top * fine)
        self.image = Image.new("RGBX", ((right - left) * fine, (bottom - top) * fine))
        self.draw = ImageDraw.Draw(self.image)

    def pen(self, points, colour):
        xy = np.asarray(points) * self.scale - self.shift
        r, g, b = colour
        self.draw.polygon(xy.ravel().tolist(), fill=(_byte(r), _byte(g), _byte(b), 255))

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied colour (h, w, 3) and coverage (h, w, 1), float32 from 0 to 1."""
        image = self.image.reduce(self.fine) if self.fine > 1 else self.image
        values = np.asarray(image, np.float32) * np.float32(1 / 255)
        return values[..., :3], values[..., 3:]


def _byte(value):
    return min(255, max(0, int(255 * value + 0.5)))


def _check(size, domain="A"):
    if not isinstance(size, (int, np.integer)) or size % 4 or not 32 <= size <= 2048:
        raise ValueError(f"The size of a drawn scene must be a multiple of 4 from 32 to 2048, not {size!r}.")
    if domain not in DOMAINS:
        raise ValueError(f"The domain of a drawn scene must be 'A' or 'B', not {domain!r}.")


def _fine(size):
    """Samples per pixel and side."""
    return 4 if size <= 128 else 3 if size <= 256 else 2


def draw(seed: int, size: int, domain: str) -> np.ndarray:
    """Draw the scene of a seed.

    Returns uint8 (size, size, 3).  Raises ValueError for a size that is not a
    multiple of 4 from 32 to 2048, or a domain other than "A" and "B".
    """
    _check(size, domain)
    scene = describe(seed)
    fine = _fine(size)
    picture = landscape.land(scene, size, domain)
    canvas = Canvas((0, 0, size, size), size, fine)
    landscape.grass(canvas.pen, scene.tufts, domain)
    landscape.things(canvas.pen, scene, domain)
    colour, cover = canvas.pixels()
    picture += colour - cover * picture
    for animal, front in zip(scene.animals, scene.front):
        _animal(picture, scene, animal, front, size, fine, domain)
    light = scene.light
    tint = light.level * (1 + 0.05 * light.warmth * np.float32([1, 0.15, -1]))
    return (np.clip(picture * tint, 0, 1) * 255 + 0.5).astype(np.uint8)


def label_map(seed: int, size: int) -> np.ndarray:
    """Label every pixel of a scene with an index into LABELS.

    Returns uint8 (size, size); the same for both domains.  Distant hills and
    grass count as ground, grass before a hoof as the animal.  Raises ValueError
    for a size that `draw` refuses.
    """
    _check(size)
    scene = describe(seed)
    fine = _fine(size)
    mid = (np.arange(size) + 0.5) / size
    land = np.minimum(landscape.ridges(scene, mid).min(0), landscape.ground_edge(scene, mid))
    labels = (mid[:, None] > land).astype(np.uint8)
    whole = (0, 0, size, size)
    canvas = Canvas(whole, size, fine)
    landscape.things(canvas.pen, scene, "A")
    labels[canvas.pixels()[1][..., 0] > 0.5] = 2
    for animal in scene.animals:
        canvas = Canvas(whole, size, fine)
        place = _placing(animal)
        coats.paint(lambda points, colour: canvas.pen(place(points), colour), Body(animal), animal, "A")
        labels[canvas.pixels()[1][..., 0] > 0.5] = 3
    return labels


def _placing(animal: Animal):
    """A function from the animal's own frame to picture units."""
    foot = np.array([animal.x, animal.y])
    turn = animal.height * np.array([animal.facing, -1])
    return lambda points: np.asarray(points) * turn + foot


def _animal(picture, scene: Scene, animal: Animal, front, size, fine, domain):
    """Draw the shadow, the animal and the grass before it into a picture (float32, in place)."""
    body, place = Body(animal), _placing(animal)
    outlines = [place(o) for o in body.silhouettes()]
    everything = np.concatenate([*outlines, front[:, :2]])
    low, high = everything.min(0) - 0.01, everything.max(0) + 0.01
    left, top = np.maximum(np.floor(low * size).astype(int), 0)
    right, bottom = np.minimum(np.ceil(high * size).astype(int), size)
    if right <= left or bottom <= top:
        return
    _shadow(picture, scene, animal, outlines, size)
    canvas = Canvas((left, top, right, bottom), size, fine)
    coats.paint(lambda points, colour: canvas.pen(place(points), colour), body, animal, domain)
    landscape.grass(canvas.pen, front, domain)
    colour, cover = canvas.pixels()
    light = Image.new("L", (right - left, bottom - top), 128)
    pen, corner = ImageDraw.Draw(light), np.array([left, top])

    def shade_pen(points, grey):
        pen.polygon((place(points) * size - corner).ravel().tolist(), fill=int(255 * grey))

    coats.shade(shade_pen, body, animal, scene.light.side * animal.facing)
    light = light.filter(ImageFilter.GaussianBlur(0.03 * animal.height * size))
    factor = 0.6 + 0.8 / 255 * np.asarray(light, np.float32)[..., None]
    part = picture[top:bottom, left:right]
    part += colour * factor - cover * part


def _shadow(picture, scene, animal, outlines, size):
    """Darken the ground where the animal's outline falls along the light."""
    light = scene.light
    image = Image.new("L", (2 * size, 2 * size))
    pen = ImageDraw.Draw(image)
    for points in outlines:
        rise = animal.y - points[:, 1]
        x = points[:, 0] - light.side * light.cast * rise
        y = animal.y - 0.012 * animal.height - 0.04 * light.cast * rise
        pen.polygon((np.stack([x, y], 1) * 2 * size).ravel().tolist(), fill=255)
    foot = np.array([animal.x, animal.y - 0.01 * animal.height])
    w, h = 0.5 * animal.height, 0.05 * animal.height
    pen.ellipse((*((foot - [w, h]) * 2 * size), *((foot + [w, h]) * 2 * size)), fill=255)
    soft = image.reduce(2).filter(ImageFilter.GaussianBlur(0.012 * animal.height * size + 0.2))
    picture *= 1 - 0.36 / 255 * np.asarray(soft, np.float32)[..., None]


def scene_seed(split: str, domain: str, index: int, seed: int = 0) -> int:
    """Seed of the scene at an index of a split.

    The scenes of train A, train B, test and val never meet, for base seeds
    below 380 billion; in "test" and "val" both domains share the seed of an
    index (counterparts).  Raises ValueError for an unknown split or domain, or
    an index outside 0..999999.
    """
    if split not in SPLITS:
        raise ValueError(f"The split must be 'train', 'test' or 'val', not {split!r}.")
    if domain not in DOMAINS:
        raise ValueError(f"The domain must be 'A' or 'B', not {domain!r}.")
    if not 0 <= index < PER_RANGE:
        raise ValueError(f"The index of a scene must be from 0 to {PER_RANGE - 1}, not {index!r}.")
    if seed < 0:
        raise ValueError(f"The base seed must not be negative, not {seed!r}.")
    if split == "val":
        return VALIDATION + seed * PER_RANGE + index
    part = 2 if split == "test" else DOMAINS.index(domain)
    return (3 * seed + part) * PER_RANGE + index


def write(split: str, count: int, size: int, seed: int, out, progress: Callable | None = None) -> None:
    """Write `count` scenes of a split as PNG files under the folder `out`.

    "train" writes trainA/ and trainB/ (unpaired), "test" writes testA/, testB/
    and labels/ (counterparts and label maps under equal file names), "val" valA/,
    valB/ and labels/.
    progress: wraps the range of scenes and yields from it, as `tqdm.tqdm` does.
    Raises ValueError for an unknown split, a count below 1, or a size `draw` refuses.
    """
    if split not in SPLITS:
        raise ValueError(f"The split must be 'train', 'test' or 'val', not {split!r}.")
    if not 1 <= count <= PER_RANGE:
        raise ValueError(f"The count must be from 1 to {PER_RANGE}, not {count!r}.")
    _check(size)
    scene_seed(split, "A", 0, seed)
    out = Path(out)
    folders = [f"{split}{domain}" for domain in DOMAINS] + (["labels"] if split != "train" else [])
    for folder in folders:
        (out / folder).mkdir(parents=True, exist_ok=True)
    for index in progress(range(count)) if progress else range(count):
        name = f"{index:06d}.png"
        for domain in DOMAINS:
            picture = draw(scene_seed(split, domain, index, seed), size, domain)
            Image.fromarray(picture).save(out / f"{split}{domain}" / name)
        if split != "train":
            Image.fromarray(label_map(scene_seed(split, "A", index, seed), size)).save(out / "labels" / name)
