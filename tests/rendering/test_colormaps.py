"""Colour scales: one for several maps, raw values at the ticks."""

import numpy as np
import pytest

from qsneg.config import METHODS
from qsneg.rendering.colormaps import MARKERS, by_log, colour_of, decades, linear, marker_of, number, power, ranked


def test_decades_end_at_the_largest_value():
    logs = {"a": np.log(np.array([1e-5, 1e-2])), "b": np.log(np.array([0.5, 1e-4]))}
    scaled = decades(logs, "force")
    assert scaled["a"].limits == scaled["b"].limits == (pytest.approx(np.log(5e-5)), pytest.approx(np.log(0.5)))
    assert scaled["a"].ticks == ["≤ 5·10⁻⁵", "0.005", "0.5"] and scaled["b"].values[0] == 1
    assert decades({"a": logs["b"]}, "force")["a"].ticks[0] == "5·10⁻⁵"  # nothing lies below


def test_every_method_has_a_colour_and_a_marker_of_its_own():
    """Variants share their paper's; two methods never share either."""
    for of in (colour_of, marker_of):
        found = {method.colour: of(name) for name, method in METHODS.items()}
        assert len(set(found.values())) == len(found)
    assert set(MARKERS) >= {method.colour for method in METHODS.values()}


def test_scales_are_shared_and_say_raw_values():
    logs = {"a": np.log(np.array([[0.1, 1.0], [2.0, 4.0]])), "b": np.full((2, 2), -4000.0)}
    straight = by_log(logs, "linear", "nats")
    assert straight["a"].limits == straight["b"].limits == (0, pytest.approx(4)) and straight["a"].ticks == [
        "0",
        "2",
        "4",
    ]
    assert straight["a"].values[1, 1] == 1 and straight["b"].values.max() < 1e-100
    ranks = by_log(logs, "by rank", "nats")
    assert ranks["a"].values.ravel().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert (ranks["b"].values == 0.5).all() and ranks["b"].ticks[0] == "10⁻¹⁷³⁷"
    log = by_log(logs, "logarithmic", "nats")
    assert log["a"].limits == log["b"].limits and "clip" in log["a"].label
    shared = linear({"a": np.array([0.0, 1]), "b": np.array([2.0, 3])}, "u", (0.0, 3.0))
    assert shared["a"].values.tolist() == pytest.approx([0, 1 / 3]) and shared["a"].ticks == ["0", "1.5", "3"]
    assert linear({"a": np.arange(1000.0)}, "u", (100.0, None))["a"].ticks == ["≤ 100", "547", "≥ 994"]
    assert linear({"a": np.array([-0.5, 0.5])}, "u", (-0.5, 0.5))["a"].ticks[0] == "−0.5"


def test_holes_stay_holes():
    log = np.array([[np.nan, -1.0], [-2.0, -3.0]])
    for scale in ("linear", "logarithmic", "by rank"):
        assert np.isnan(by_log({"a": log}, scale, "u")["a"].values[0, 0])
    assert ranked(log, "u").values[0, 1] == 1


@pytest.mark.parametrize("value, said", [
    (8.3, "8.3"), (0.52, "0.52"), (0.0086, "0.0086"), (5e-4, "5·10⁻⁴"), (1.4e-4, "10⁻⁴"), (9.7e-4, "10⁻³"),
    (2.9e-3, "3·10⁻³"), (3.2e-8, "3·10⁻⁸"), (2e-17, "10⁻¹⁷"),
])  # fmt: skip
def test_values_in_words(value, said):
    assert power(np.log(value)) == said


@pytest.mark.parametrize("value, said", [
    (0, "0"), (0.0311, "0.0311"), (9.2e-4, "9.2·10⁻⁴"), (-3.14e-7, "−3.1·10⁻⁷"), (123456, "1.2·10⁵"),
    (9999.4, "9999"), (1234.4, "1234"), (999.7, "1000"), (-0.5, "−0.5"),
])  # fmt: skip
def test_numbers_in_words(value, said):
    assert number(value) == said


def test_values_too_small_for_numbers_in_words():
    assert power(-4000.0) == "10⁻¹⁷³⁷"
