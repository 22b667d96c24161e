"""The line in which everything that uses a model waits: one at a time, in the order of asking.

    line = Line()
    for step in line.served(compare(...)):      # "Waiting: 2 requests before yours.", then what `compare` yields
        ...

A `Wish` is what one visitor has asked for last; who stops, or asks for something else, leaves the line.
"""

import threading
from collections.abc import Callable, Iterator

from qsneg.ui import limits
from qsneg.ui.uploads import Refused


class Wish:
    """What a visitor has asked for last. Each wish is taken once; a newer one, or `drop`, makes it void."""

    def __init__(self):
        self.number, self.taken, self.done, self.is_dropped = 0, 0, 0, False

    def make(self) -> None:
        self.number, self.is_dropped = self.number + 1, False

    def take(self) -> int | None:
        """The number of a wish that nobody works at yet, if there is one."""
        if self.taken == self.number:
            return None
        self.taken = self.number
        return self.number

    def drop(self) -> None:
        self.number, self.is_dropped = self.number + 1, True
        self.taken = self.number

    def fulfil(self, number: int) -> None:
        """A wish was met; an older one that ends later changes nothing."""
        self.done = max(self.done, number)

    @property
    def is_fulfilled(self) -> bool:
        return self.done == self.number


class Line:
    """Who waits, the first of whom is served.

    tell: called with True when somebody joins, and with False when nobody is left: others may give way meanwhile.
    """

    def __init__(self, most: int = limits.WAITING):
        self.most, self.waiting, self.moved = most, [], threading.Condition()
        self.tell: Callable[[bool], object] = lambda is_busy: None

    def served(self, steps: Iterator, is_wanted: Callable[[], bool] = lambda: True) -> Iterator:
        """What `steps` yields, and before that the place in the line; it ends early when it is wanted no longer.

        The line is joined at the first sentence, which announces something slow: what needs nothing slow does not wait.

        Raises:
            Refused: if the line is full.
        """
        ticket = object()
        try:
            for step in steps:
                if isinstance(step, str) and ticket not in self.waiting:
                    self.join(ticket)
                    while is_wanted() and (before := self.before(ticket)):
                        yield f"Waiting: {before} request{'s' if before > 1 else ''} before yours."
                        with self.moved:
                            self.moved.wait_for(lambda: self.before(ticket) < before, 0.5)
                if not is_wanted():
                    return
                yield step
        finally:
            self.leave(ticket)

    def join(self, ticket: object) -> None:
        with self.moved:
            if len(self.waiting) > self.most:
                raise Refused("line", f"{self.most} others are waiting here already: try again in a minute.")
            self.waiting.append(ticket)
            self.tell(True)

    def before(self, ticket: object) -> int:
        """How many are served first."""
        return self.waiting.index(ticket)

    def leave(self, ticket: object) -> None:
        with self.moved:
            if ticket in self.waiting:
                self.waiting.remove(ticket)
                self.tell(bool(self.waiting))
                self.moved.notify_all()
