"""A page's pictures, arrays and numbers as one zip, whose name and `origin.json` say of which picture and models."""

import hashlib
import re
from pathlib import Path

from qsneg.pages.page import Looked, Page
from qsneg.pages.selection import Selection
from qsneg.rendering import report
from qsneg.ui.components import kept
from qsneg.ui.selection import Subject


def archive(page: Page, subject: Subject, looked: Looked, selection: Selection, files: dict) -> str:
    """The file for download; `files` are those of `page`."""
    name = re.sub(r"[^\w.-]+", "-", Path(subject.path).stem)[:40].strip("-.") or "picture"
    words = filter(None, ("qsneg", page.name, name, str(subject.size), subject.family, page.suffix(selection)))
    return kept(report.zipped(files | {"origin.json": origin(subject, looked, name)}), "-".join(words) + ".zip")


def origin(subject: Subject, looked: Looked, name: str) -> dict:
    """Picture, size, family and weights, JSON-ready: what the same numbers can be made from again."""
    found = {"picture": name, "pixels_sha256": subject.digest, "working_size": subject.size, "family": subject.family}
    views = {method: seen for method, seen in looked.seen.items() if hasattr(seen, "weights")}
    if views:
        found["inspected_size"] = list(looked.view.source.size)
    return found | {"weights": {method: weights_of(view.weights) for method, view in views.items()}}


def weights_of(weights) -> dict:
    """The file and its digest; of weights that a visitor opened, what they are."""
    if weights.path is None:
        return {"title": f"opened by the visitor: {weights.title}"}
    digest = hashlib.sha256(Path(weights.path).read_bytes()).hexdigest()
    steps = {"steps": weights.card["steps"]} if "steps" in weights.card else {}
    return {"file": "/".join(Path(weights.path).parts[-2:]), "sha256": digest} | steps
