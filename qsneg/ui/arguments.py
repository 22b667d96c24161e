"""What comes with a call from outside, read strictly: each value is of its kind, or one sentence says what it should be.

size = whole("size", 64.0)         # 64
whole("size", "big")               # ValueError: The size must be a whole number, not big.
"""

from qsneg.pages.selection import Selection
from qsneg.ui.selection import chosen

LONGEST = 100  # characters of a name
LARGEST = 2**31  # of a number
SHOWN = 40  # characters of what was given
WORDS = {None: "nothing", True: "true", False: "false"}

NAMES = {
    "anchors": "number of anchors",
    "rivals": "number of negatives",
    "count": "number of neighbours",
    "x": "column x",
    "y": "row y",
    "near_x": "column near_x",
    "near_y": "row near_y",
}


def whole(name: str, value, least: int = -LARGEST, most: int = LARGEST) -> int:
    """A whole number.

    Raises:
        ValueError: if it is none, or not from `least` to `most`.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and value == value // 1 and least <= value <= most:
        return int(value)
    bounds = "" if (least, most) == (-LARGEST, LARGEST) else f" from {least} to {most}"
    raise ValueError(f"The {name} must be a whole number{bounds}, not {in_words(value)}.")


def text(name: str, value, known: str = "a name that /models lists") -> str:
    """A name; `known` says which there are.

    Raises:
        ValueError: if it is none, or too long for one.
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise ValueError(f"The {name} must be {known}, not {in_words(value)}.")
    return value


def methods_of(value) -> list[str]:
    """Names of methods, each once; none for nothing. One name alone will do, too.

    Raises:
        ValueError: if it is none.
    """
    values = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(values, list):
        raise ValueError(f"The methods must be a list of names, not {in_words(value)}.")
    return list(dict.fromkeys(text("method", v) for v in values))


def numbers(event, *names: str) -> list[float]:
    """Numbers that the browser sent with an event, such as the place of a click.

    Raises:
        ValueError: if one is missing or none.
    """
    try:
        values = [getattr(event, name) for name in names]
    except (AttributeError, TypeError):  # as gradio's EventData raises on what is no object
        values = [None]
    if not all(isinstance(v, (int, float)) and abs(v) < LARGEST for v in values):
        raise ValueError(f"An event was sent without its numbers {' and '.join(names)}: reload the page.")
    return values


def in_words(value) -> str:
    """Any value of a call, short enough for a sentence."""
    if isinstance(value, (list, tuple, dict)):
        return "a list" if isinstance(value, (list, tuple)) else "an object"
    if value is None or isinstance(value, bool):
        return WORDS[value]
    if isinstance(value, (int, float)):
        return f"{value:.6g}" if isinstance(value, float) or abs(value) < 10**15 else "a number that large"
    shown = "".join(c for c in str(value)[:SHOWN] if c.isprintable())
    return (shown + "…" if len(str(value)) > SHOWN else shown) or "an empty text"


def asked(mode, **numbers) -> Selection:
    """A selection, of a mode and whole numbers. Raises ValueError if one is something else."""
    fields = {name: whole(NAMES.get(name, name), value) for name, value in numbers.items()}
    return chosen(mode=text("mode", mode, "global, local or local+global"), **fields)
