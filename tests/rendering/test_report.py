"""Files of rows: numbers as a table."""

import csv
import io

from qsneg.rendering import report


def test_numbers_become_a_table_with_a_line_each():
    facts = {
        "cut": {"layer": 12, "position": [3, 4], "forces": {"monce": {"loss": 1.5}}, "anchors": [[0, 0]] * 11},
        "negcut": {"in_words": 'a "word", two', "hardest": [{"cosine": 0.5}]},
    }
    rows = list(csv.reader(io.StringIO(report.encoded("numbers.csv", facts).decode())))
    assert rows == [
        ["method", "quantity", "value"],
        ["cut", "layer", "12"],
        ["cut", "position.0", "3"],
        ["cut", "position.1", "4"],
        ["cut", "forces.monce.loss", "1.5"],
        ["negcut", "in_words", 'a "word", two'],
        ["negcut", "hardest.0.cosine", "0.5"],
    ]
