"""Plots."""

import numpy as np
import pytest

from qsneg.rendering import plots


def test_the_histogram_counts_everything_once():
    values = np.array([-100.0, 0.1, 0.2, 0.9, 50.0])
    assert plots.shares(values, (0, 1), 10).sum() == pytest.approx(1)
    assert plots.shares(values, (0, 1), 10)[0] == pytest.approx(0.2)
    histogram = plots.histogram(values, 0.2, (0, 1), ["0", "½", "1"], "#000000", "u", 0.4)
    assert 'width="520"' in plots.standalone(histogram)


@pytest.mark.parametrize("value", [0.0, 8.0, -690.0, 3e5])
def test_values_that_are_all_the_same(value):
    """The entropies of a picture of one colour."""
    values = np.full((4, 4), value, np.float32)
    assert plots.shares(values, (value, value)).sum() == 1
    assert "nan" not in plots.histogram(values, value, (value, value), ["a", "b", "c"], "#000000", "u", 1.0)
