"""Tables in Markdown.

from qsneg.rendering.markdown import table
print(table(["layer", "cosine"], [[12, "0.42"], [16, "0.39"]]))
"""

from collections.abc import Iterable


def table(head: list[str], rows: Iterable[list], numbers_from: int | None = None) -> str:
    """Rows of anything that has words under a head; columns from `numbers_from` on are aligned to the right."""
    left = len(head) if numbers_from is None else numbers_from
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(cell, row)) + " |" for row in (head, rule, *rows))


def cell(value: object) -> str:
    """A value as a cell: one line, in which nothing ends the cell or begins a tag."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
