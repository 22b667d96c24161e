"""A cache with a bound: values by key, the least recently used first out. Safe to use from several threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable


class Bounded:
    """Keeps values while their weights together lie within `limit`; the latest stays, however heavy."""

    def __init__(self, limit: float, weight: Callable = lambda value: 1):
        self.limit, self.weight = limit, weight
        self.kept: OrderedDict = OrderedDict()
        self.lock = threading.RLock()

    def find(self, key):
        """The value if it is there, else None."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
            return self.kept.get(key)

    def keep(self, key, value):
        """Keep a value; returns it."""
        with self.lock:
            self.kept[key] = value
            self.kept.move_to_end(key)
            self.trim()
        return value

    def forget(self, key):
        """Keep a value no longer; returns it, or None."""
        with self.lock:
            return self.kept.pop(key, None)

    def trim(self) -> None:
        """Let go of what is beyond the limit."""
        with self.lock:
            weights = {key: self.weight(value) for key, value in self.kept.items()}
            for key in list(self.kept)[:-1]:
                if sum(weights.values()) <= self.limit:
                    return
                del self.kept[key], weights[key]
