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


def test_curves_have_round_ends_and_a_line_for_each_method():
    lines = {"cut": [(10, 5.03), (20, 4.0), (30, 0.0)], "negcut": [(10, 1.0)]}
    plot = plots.curves(lines, 1000, "Contrast")
    assert all(f">{tick}</text>" in plot for tick in ("0", "3", "6", "500", "1,000")) and "nan" not in plot
    assert plot.count('stroke-width="1.8"') == 1  # one point is no line yet
    assert [plots.round_up(v) for v in (0, 0.43, 1, 1.01, 99)] == [1, 0.5, 1, 1.2, 100]
    assert "nan" not in plots.curves({"cut": [(0, 0.0)]}, 0, "Flat")
