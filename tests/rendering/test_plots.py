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
