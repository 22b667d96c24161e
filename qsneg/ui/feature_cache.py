"""What the models see in a visitor's picture, computed once: a bounded cache of `inspect.View`.

    views = Views(models)
    *steps, seen = views.steps(Subject(path, digest, "day2sunset", ("cut", "negcut"), 256))
    seen["cut"].similarity(12, (20, 31))

A visitor's state is a small `Subject`; the arrays lie here, shared by all visitors, keyed by the picture's digest,
family, method and size. Where the bytes run out, the least recently used go first.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from qsneg.image_io import short_size
from qsneg.inspect import View, observe
from qsneg.rendering.colormaps import title_of
from qsneg.ui import limits
from qsneg.ui.compare import OWN, Models, Refused, Source


@dataclass(frozen=True)
class Subject:
    """What a visitor looks at: a picture's file and digest, the family, its methods, the working size asked for, and
    what names the visitor's own weights, which are method "own"."""

    path: str
    digest: str
    family: str
    methods: tuple[str, ...]
    size: int
    own: str = ""

    def home(self, method: str) -> str:
        """Where `Models.translator` finds a method: the family, or what names the visitor's own weights."""
        return self.own if method == OWN else self.family


def inspected_size(picture: tuple[int, int], size: int, most: int = limits.INSPECTED) -> int:
    """The short side in pixels at which a picture (width, height) is inspected when `size` is asked for.

    That is `size` where the picture then has at most `most` pixels, else the largest multiple of 4 that fits.
    """
    if short_size(picture, size)[0] * short_size(picture, size)[1] <= most:
        return size
    ratio = max(picture) / min(picture)
    return max(4, int((most / ratio) ** 0.5) // 4 * 4)


class Views:
    """The views of `models`' models, least recently used first out. Safe to use from several threads."""

    def __init__(self, models: Models, limit: int = limits.VIEWS_BYTES):
        self.models, self.limit = models, limit
        self.kept: OrderedDict[tuple, View] = OrderedDict()
        self._kept, self._work = threading.Lock(), threading.Lock()

    def key(self, subject: Subject, method: str) -> tuple:
        return subject.digest, subject.home(method), method, subject.size

    def find(self, subject: Subject, method: str) -> View | None:
        """The view if it is there."""
        with self._kept:
            key = self.key(subject, method)
            if key in self.kept:
                self.kept.move_to_end(key)
            return self.kept.get(key)

    def get(self, subject: Subject, method: str) -> View:
        """The view, made if it is not there.

        Raises:
            Refused: if the picture or the model cannot be read, or memory does not suffice.
        """
        view = self.find(subject, method)
        if view is None:
            with self._work:  # one at a time: whoever waited finds it made
                view = self.find(subject, method) or self.make(subject, method)
                with self._kept:
                    self.kept[self.key(subject, method)] = view
                self.trim()
        return view

    def make(self, subject: Subject, method: str) -> View:
        source = Source.read(subject.path)
        translator = self.models.translator(subject.home(method), method)
        size = inspected_size(source.image.size, subject.size)
        try:
            return observe(translator, source.at(size), size)
        except ValueError as error:
            raise Refused("size", str(error)) from None

    def steps(self, subject: Subject) -> Iterator[str | dict[str, View]]:
        """A sentence before each view that has to be made, and at last all views by method.

        Raises:
            Refused: see `get`.
        """
        seen = {}
        for number, method in enumerate(subject.methods, 1):
            if self.find(subject, method) is None:
                yield f"{title_of(method)}: reading features, {number} of {len(subject.methods)}"
            seen[method] = self.get(subject, method)
        self.trim()  # of what pages have computed from views since
        yield seen

    def trim(self) -> None:
        """Keep within the limit: first let go of what older views have computed since, then of the views."""
        with self._kept:
            sizes = {key: view.nbytes() for key, view in self.kept.items()}
            for forget in (self.kept.__getitem__, None):
                for key in list(self.kept)[:-1]:
                    if sum(sizes.values()) <= self.limit:
                        return
                    if forget:
                        self.kept[key].kept.clear()
                        sizes[key] = self.kept[key].nbytes()
                    else:
                        del self.kept[key], sizes[key]
