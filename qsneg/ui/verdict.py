"""Which translation is better here, and how sure that is: figures under each picture, beside those of the family's test
pictures, and a sentence on each figure.

    found = judge(views, subject)                 # reads views: makes them where they are not there yet
    found.table("cut"), found.sentences()         # HTML

The figures and their spread are `qsneg.evaluation.spread`'s.
"""

import html
from dataclasses import dataclass, field

from qsneg.config import DRAWN
from qsneg.evaluation import spread
from qsneg.evaluation.spread import FIGURES
from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import title_of
from qsneg.ui.feature_cache import Views
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Subject

WAIT = '<p class="note">Measuring what it keeps …</p>'
LEVELS = 64  # levels of an error that a strip is long


@dataclass(frozen=True)
class Verdict:
    """The figures of each method's translation, and the spreads beside its weights, where there are some."""

    figures: dict[str, dict[str, float]]
    spreads: dict[str, dict] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)  # width and height at which it was measured

    def table(self, method: str) -> str:
        """One method's figures: name, value, and a strip with the middle half of the test pictures."""
        if method not in self.figures:
            return ""
        rows = (self.line(method, name, value) for name, value in self.figures[method].items())
        return f'<dl class="kept">{"".join(rows)}</dl>'

    def line(self, method: str, name: str, value: float) -> str:
        usual = spread.usual(self.spreads[method], name) if method in self.spreads else None
        title, band = FIGURES[name].meaning, ""
        if usual:
            title += (
                f"; in the middle half of the test pictures {in_words(name, usual[0])} to {in_words(name, usual[1])}"
            )
            low, high = (place(name, v) for v in usual)
            band = f'<b style="left: {low:.1f}%; width: {high - low:.1f}%"></b>'
        strip = f'<i class="strip">{band}<u style="left: {place(name, value):.1f}%"></u></i>'
        said = f"<dt>{FIGURES[name].title}</dt><dd><span>{in_words(name, value)}</span>{strip}</dd>"
        return f'<div title="{html.escape(title)}">{said}</div>'

    def legend(self) -> str:
        """What the figures mean, for the column of the source."""
        if not self.figures:
            return ""
        words = [f"<b>{FIGURES[n].title}:</b> {FIGURES[n].meaning}." for n in next(iter(self.figures.values()))]
        if self.spreads:
            first = next(iter(self.spreads.values()))
            words.append(f"Grey bars: the middle half of {first['pictures']} test pictures of this family.")
        words.append(f"Measured at {self.size[0]} × {self.size[1]} pixels.")
        return f'<p class="note">{" ".join(words)}</p>'

    def sentences(self) -> str:
        """For each figure the method that is best here, and whether it is so on the test pictures, too."""
        if len(self.figures) < 2:
            return ""
        names = [name for name in FIGURES if all(name in found for found in self.figures.values())]
        lines = [self.sentence(name) for name in names]
        if not set(self.figures) <= set(self.spreads):
            lines.append("How often a difference is so is only known where both weights have a spread beside them.")
        return f'<ul class="verdict">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'

    def sentence(self, name: str) -> str:
        figure = FIGURES[name]
        best, second, *_ = sorted(self.figures, key=lambda m: -figure.better * self.figures[m][name])
        values = {m: in_words(name, self.figures[m][name]) for m in (best, second)}
        text = f"<b>{figure.title}: {title_of(best)}, {values[best]}</b>; next {title_of(second)}, {values[second]}"
        if values[best] == values[second]:
            return f"{text}: no difference to speak of."
        known = best in self.spreads and second in self.spreads
        counts = spread.compared(self.spreads[best], self.spreads[second], name) if known else None
        if counts is None:
            return f"{text}."
        better, of = counts
        sure = "nearly always" if better >= 0.9 * of else "often" if better >= 0.65 * of else "about as often as not"
        if better <= 0.35 * of:
            sure = "here it is an exception"
        return f"{text}. On the family's test pictures it is ahead on {better} of {of}: {sure}."


def in_words(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "error" else f"{value:.2f}"


def place(name: str, value: float) -> float:
    """Where a value stands on a strip, percent of its length."""
    return 100 * min(max(value / (LEVELS if name == "error" else 1), 0), 1)


def judge(views: Views, subject: Subject) -> Verdict:
    """The figures of what a visitor looks at, at the size at which it is inspected.

    Raises:
        Refused: see `Views.get`.
    """
    *_, seen = views.steps(subject)
    seed, found, spreads = views.models.sources.read(subject.path).seed, {}, {}
    for method, view in seen.items():
        width, height = view.result.size
        known = seed is not None and subject.family == DRAWN and width == height and width % 4 == 0
        found[method] = spread.figures(view, sample_pictures.scene(seed, width, "B") if known else None)
        path = views.models.folder / subject.family / f"{method}.safetensors"
        if method != OWN and (kept := spread.read(path)):
            spreads[method] = kept
    return Verdict(found, spreads, next(iter(seen.values())).source.size)
