"""What the models see in a visitor's picture, computed once: a bounded cache of `inspect.View`.

    views = Views(models)
    *steps, seen = views.steps(Subject(path, digest, "day2sunset", ("cut", "negcut"), 256))
    seen["cut"].similarity(12, (20, 31))

A visitor's state is a small `Subject` (`selection`); the arrays lie here, shared by all visitors, keyed by the
picture's digest, family, method and size. Where the bytes run out, the least recently used go first; and before that
those of a visitor who holds more than a share, so that one with many pictures does not empty the cache of the others.
"""

import threading
from collections.abc import Iterator

from qsneg.inspect import View, observe
from qsneg.rendering.colormaps import title_of
from qsneg.ui import limits
from qsneg.ui.bounded import Bounded
from qsneg.ui.models import Models, inspected_size
from qsneg.ui.selection import Subject
from qsneg.ui.uploads import Refused


class Views(Bounded):
    """The views of `models`' models. Safe to use from several threads."""

    def __init__(self, models: Models, limit: int = limits.VIEWS_BYTES, share: int = limits.VISITOR_BYTES):
        super().__init__(limit, View.nbytes)
        self.models, self.work, self.share = models, threading.Lock(), share
        self.users: dict[tuple, str] = {}  # by key, who looked last

    def key(self, subject: Subject, method: str) -> tuple:
        return subject.digest, subject.home(method), method, subject.size

    def get(self, subject: Subject, method: str) -> View:
        """The view, made if it is not there.

        Raises:
            Refused: if the picture or the model cannot be read, or memory does not suffice.
        """
        key = self.key(subject, method)
        view = self.find(key)
        if view is None:
            with self.work:  # one at a time: whoever waited finds it made
                view = self.find(key) or self.keep(key, self.make(subject, method))
        with self.lock:
            self.users[key] = subject.visitor
        return view

    def make(self, subject: Subject, method: str) -> View:
        begun = self.models.begun.forget(self.key(subject, method))  # by Compare
        source = self.models.sources.read(subject.path)
        translator = self.models.translator(subject.home(method), method)
        size = inspected_size(source.image.size, source.side(subject.size))
        try:
            return begun.view() if begun else observe(translator, source.at(size), size)
        except ValueError as error:
            raise Refused("size", str(error)) from None

    def steps(self, subject: Subject) -> Iterator[str | dict[str, View]]:
        """A sentence before each view that has to be made, and at last all views by method.

        Raises:
            Refused: see `get`.
        """
        seen = {}
        for number, method in enumerate(subject.methods, 1):
            if self.find(self.key(subject, method)) is None:
                yield f"{title_of(method)}: reading features, {number} of {len(subject.methods)}"
            seen[method] = self.get(subject, method)
        self.trim()  # of what pages have computed from views since
        yield seen

    def trim(self) -> None:
        """Keep within the limits: first let go of what older views have computed since, then of the views."""
        with self.lock:
            self.users = {key: self.users.get(key, "") for key in self.kept}
            for visitor in set(self.users.values()):
                self.trim_visitor([key for key, user in self.users.items() if user == visitor])
            total = sum(map(self.weight, self.kept.values()))
            for view in list(self.kept.values())[:-1]:
                if total > self.limit:
                    total -= self.weight(view)
                    view.kept.clear()
                    total += self.weight(view)
            super().trim()

    def trim_visitor(self, mine: list[tuple]) -> None:
        """Keep one visitor's views, of which `mine` are the keys from the oldest on, within a visitor's share; those of
        the picture and size looked at last stay, however heavy."""
        total, (picture, *_, size) = sum(self.weight(self.kept[key]) for key in mine), mine[-1]
        older = [key for key in mine if (key[0], key[-1]) != (picture, size)]
        for let_go in (lambda key: self.kept[key].kept.clear(), self.forget):
            for key in older:
                if total <= self.share:
                    return
                total -= self.weight(self.kept[key])
                let_go(key)
                total += self.weight(self.kept[key]) if key in self.kept else 0
