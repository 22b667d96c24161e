"""What the commands `translate` and `inspect` do with many pictures, on this machine or on Ray.

report = translate_paths("local", ["photos"], "day2sunset/cut", "out", resume=True)
"""

from qsneg.bulk.files import Report, translate_files
from qsneg.device import keep_memory, pick


def by_ray(engine: str, paths: list[str], parquet: bool = False) -> bool:
    """Whether a command runs on Ray. Raises ValueError, one sentence, where that does not fit what it is given."""
    if engine not in ("local", "ray"):
        raise ValueError(f"Unknown engine '{engine}': choose local or ray.")
    if engine == "ray" and len(paths) > 1:
        raise ValueError("With --engine ray give one address: a folder, file://…, s3://….")
    if engine == "local" and (remote := next((path for path in paths if "://" in path), None)):
        raise ValueError(f"'{remote}' is not on this machine: add --engine ray.")
    if engine == "local" and parquet:
        raise ValueError("Parquet is written by Ray: add --engine ray, or leave out --parquet.")
    return engine == "ray"


def translate_paths(
    engine: str,
    paths: list[str],
    checkpoint: str,
    out: str,
    size: int | None = None,
    margin: int = 32,
    white: float | None = None,
    parquet: bool = False,
    tile: bool = False,
    **options,
) -> Report:
    """Translate pictures and folders, or with the engine ray what lies at one address; `options` as of both."""
    if not by_ray(engine, paths, parquet):
        keep_memory(pick(options.get("device", "auto")))
        return translate_files(paths, checkpoint, out, size, margin=margin, white=white, tile=tile, **options)
    from qsneg.bulk.cluster import translate_address
    from qsneg.bulk.works import Translate

    work = Translate(size=size, margin=margin, white=white, tile=tile)
    return translate_address(paths[0], checkpoint, out, work, parquet=parquet, **options)


def look_at(address: str, checkpoint: str, out: str, device: str, precision: str, **settings) -> Report:
    """Inspect what lies at an address, by Ray, into Parquet; `settings` as of `qsneg.bulk.works.Look`."""
    from qsneg.bulk.cluster import to_parquet
    from qsneg.bulk.works import Look

    return to_parquet(address, checkpoint, out, Look(**settings), device, precision)
