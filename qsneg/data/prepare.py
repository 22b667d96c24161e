"""What the command `data` does: fetches one of the papers' sets, or prepares what somebody has.

for line in prepare("horse2zebra", Path("data/horse2zebra")):
    print(line)
"""

from pathlib import Path

from qsneg.data import paper_sets
from qsneg.data.cityscapes import prepare_cityscapes
from qsneg.data.own_set import prepare_own


def prepare(name: str | None, out: Path | None, url: str | None = None, source: Path | None = None) -> list[str]:
    """Make the new folder `out` of a set by name, from an address or from what lies here; returns what to say of it.

    Raises:
        ValueError: one sentence, if something is missing or goes wrong.
    """
    if name is None or out is None:
        raise ValueError(
            "Say which set and which new folder: data horse2zebra --out data/horse2zebra (--list: all sets)."
        )
    if source and url:
        raise ValueError("Give --from for what is here or --url for what is to be fetched, not both.")
    if name == paper_sets.CITYSCAPES and source:
        prepared = prepare_cityscapes(source, out)
    elif source and name not in paper_sets.KNOWN:
        prepared = prepare_own(source, out)
    else:
        prepared = paper_sets.prepare(name, out, url, source)
    return paper_sets.in_words(prepared, out)
