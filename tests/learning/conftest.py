"""Schedules that train by a program which only counts."""

import sys
import time
from pathlib import Path

import pytest

from qsneg.learning.order import Bounds
from qsneg.learning.schedule import Schedule

FAKE = (sys.executable, str(Path(__file__).with_name("fake.py")))


def until(is_so, seconds: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def make(tmp_path):
    """Makes schedules over one folder, one at a time, with bounds by name; the last one ends with the test."""
    made = []

    def start(folder=tmp_path / "learn", **bounds) -> Schedule:
        if made:
            made.pop().close()
        made.append(Schedule(folder, Bounds(**bounds), FAKE))
        return made[0]

    yield start
    for schedule in made:
        schedule.close()
