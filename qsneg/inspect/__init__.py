"""What a model sees in a picture: entropies, anchors, attention rows, contrast, negatives. Arrays only, no drawing.

    from qsneg.inspect import attended, inspect, observe, query
    view = observe(qsneg.load("day2sunset/negcut"), image)      # runs the network, once
    result = inspect(view, layer=12, mode="global")             # reads features: entropy, anchors, loss, negatives
    found = query(view, 12, (20, 31))                           # one patch against its positive and its negatives
    row = view.attention(12, (20, 31))                          # one row of the attention, H×W
    print(attended(view, 12, (20, 31)).share)                   # what the position that gets most of it gets

Any weights can be inspected in any mode, since selection has no parameters; similarities and losses need projection
heads, which imported generators may lack.
"""

from qsneg.inspect.choosing import Chosen, choose
from qsneg.inspect.features import Grid, View
from qsneg.inspect.forces import WEIGHTINGS, Forces, forces, own_weighting
from qsneg.inspect.inspection import Inspection, inspect
from qsneg.inspect.observing import observe, observe_file
from qsneg.inspect.one_query import Attended, Query, attended, neighbours, query
from qsneg.inspect.what_if import WhatIf, on_pixels, what_if

__all__ = [
    "WEIGHTINGS",
    "Attended",
    "Chosen",
    "Forces",
    "Grid",
    "Inspection",
    "Query",
    "View",
    "WhatIf",
    "attended",
    "choose",
    "forces",
    "inspect",
    "neighbours",
    "observe",
    "observe_file",
    "on_pixels",
    "own_weighting",
    "query",
    "what_if",
]
