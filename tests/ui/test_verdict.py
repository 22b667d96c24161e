"""Which translation is better here, and how sure that is."""

import re

import pytest

from qsneg.ui.verdict import Verdict
from qsneg.ui.wipe import wipe

HERE = {"cut": {"edges": 0.7, "error": 12.0}, "negcut": {"edges": 0.6, "error": 10.0}}


def spread_of(edges, error, data="a"):
    return {"data": data, "pictures": len(edges), "figures": {"edges": edges, "error": error}}


@pytest.mark.parametrize(
    "better, words", [(10, "nearly always"), (7, "often"), (5, "about as often as not"), (2, "an exception")]
)
def test_a_difference_is_judged_by_the_test_pictures(better, words):
    spreads = {
        "cut": spread_of([0.7] * better + [0.5] * (10 - better), [9.0] * 10),
        "negcut": spread_of([0.6] * 10, [8.0] * 10),
    }
    edges, error = re.findall("<li>(.*?)</li>", Verdict(HERE, spreads).sentences())
    assert edges.startswith("<b>Edges kept: CUT, 0.70</b>; next NEGCUT, 0.60.")
    assert f"ahead on {better} of 10" in edges and words in edges
    assert error.startswith("<b>Off the truth: NEGCUT, 10.0</b>") and "10 of 10" in error  # less is better


def test_what_is_not_known_is_said_once():
    text = Verdict(HERE).sentences()
    assert text.count("only known where both weights have a spread") == 1 and "test pictures it is" not in text
    assert Verdict({"cut": HERE["cut"]}).sentences() == ""
    same = {"cut": {"edges": 0.701}, "negcut": {"edges": 0.699}}
    assert "no difference to speak of" in Verdict(same).sentences()


def test_a_table_shows_the_middle_half():
    found = Verdict(HERE, {"cut": spread_of([0.2, 0.4, 0.6, 0.8], [8.0, 16.0, 24.0, 32.0])}, (64, 40))
    table = found.table("cut")
    assert "left: 35.0%; width: 30.0%" in table and "left: 70.0%" in table  # 0.35 to 0.65; 0.7
    assert "left: 21.9%; width: 18.8%" in table and "12.0" in table  # 14 to 26 of 64 levels
    assert "<b" not in found.table("negcut") and found.table("qs-attn") == ""
    assert "4 test pictures" in found.legend() and "64 × 40" in found.legend()


def test_the_wipe_has_all_pictures():
    text = wipe({"source": "/a/s.png", "cut": "/a/c.png"}, {"source": "Source", "cut": "CUT"}, (40, 80))
    assert text.count("<option") == 4 and 'data-file-cut="gradio_api/file=/a/c.png"' in text
    assert re.search('class="left"><img src="gradio_api/file=/a/s.png"', text) and "aspect-ratio: 40/80" in text
