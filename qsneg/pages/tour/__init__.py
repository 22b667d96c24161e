"""The tour: six steps from one patch to where content was lost, each one figure with two sentences, on the picture that
is looked at.

    for step in TOUR:
        looked = step.look(seen, selection)         # of the one method that shows it best, where one is enough
        step.rows(looked, selection)                # a single row: title, two sentences, the figure

A step is a page without a tab of its own: `leads` names the one that it belongs to, `hint` says what to try.
"""

from qsneg.pages.tour.comparing import Gathered, Lost, Pushed
from qsneg.pages.tour.places import AtRandom, OnePatch, StandOut

TOUR = (OnePatch(), AtRandom(), StandOut(), Gathered(), Pushed(), Lost())
