"""A hundred of the pictures that `tests/fuzz.py` makes by the thousand: each is read, or refused in one sentence."""

import pytest

from tests.fuzz import one_picture


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_every_odd_picture_is_read_or_refused_in_a_sentence(first, tmp_path):
    found = [result for number in range(first, first + 10) for result in one_picture(number, 0, tmp_path)]
    wrong = [(name, outcome) for name, outcome in found if outcome.kind not in ("answer", "sentence")]
    assert wrong == [] and {outcome.kind for _, outcome in found} == {"answer", "sentence"}
