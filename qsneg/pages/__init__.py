"""The pages that look inside, by name, in the order of their tabs. None of them knows how it is shown."""

from qsneg.pages.anchors import Anchors
from qsneg.pages.attention import Attention
from qsneg.pages.film import Film
from qsneg.pages.loss import Loss
from qsneg.pages.negatives import Negatives
from qsneg.pages.what_if import IfPage

PAGES = {page.name: page for page in (Anchors(), Attention(), Negatives(), Loss(), IfPage(), Film())}
