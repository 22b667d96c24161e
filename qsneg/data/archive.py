"""Unpacking the pictures of a zip archive into trainA, trainB, testA, testB and so on, safely.

An archive comes from strangers: it may name files outside the folder ("zip slip"), hold links, or unpack a few
kilobytes into terabytes. Nothing is written before all names and sizes have been looked at, only pictures under the
wanted folders are unpacked, and only to places made up here.
"""

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from qsneg.data.download import on_disk, room, write
from qsneg.filesystem import clause, is_hidden
from qsneg.picture_formats import EXTENSIONS

PLAIN = {f"{split}{letter}": f"{split}{letter}" for split in ("train", "test", "val") for letter in "AB"}
# folder in the archive: folder of the set
MAX_FILES = 1_000_000  # entries of an archive
MAX_BYTES = 1 << 30  # unpacked bytes that any archive may have
MAX_GROWTH = 100  # unpacked bytes per packed byte beyond that; photographs have about 1


DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, UnicodeError)


class Damaged(ValueError):
    """An archive whose bytes are not those that were packed."""


def unpack(archive: Path | str, folder: Path | str, layout: dict[str, str] = PLAIN, progress: bool = True) -> None:
    """Unpack an archive's pictures into an empty folder.

    Args:
        layout: which folders of the archive ("train/cat") become which folders of the set ("trainA").

    Raises:
        Damaged: if it is no zip archive, or a checksum (CRC-32) in it is wrong.
        ValueError: one sentence, if it is not to be trusted, does not fit on the disk or lacks the wanted folders.
    """
    archive, folder = Path(archive), Path(folder)
    extract(archive, folder, lambda infos: choose(archive, infos, layout), progress)


def extract(archive: Path, folder: Path, chosen: Callable[[list], dict], progress: bool = True) -> None:
    """Unpack what `chosen` names into an empty folder: places in it and entries, of a list of all entries.

    Raises:
        Damaged: if it is no zip archive, or a checksum (CRC-32) in it is wrong.
        ValueError: one sentence, if it does not fit on the disk or cannot be read; and as `chosen`.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = chosen(file.infolist())
            room(folder, sum(info.file_size for info in members.values()))
            for place, info in tqdm(members.items(), desc=f"unpack {archive.name}", unit="file", disable=not progress):
                target = folder / place
                with on_disk(target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    out = target.open("xb", buffering=0)
                with out, file.open(info) as packed:  # zipfile reads no more than the announced size
                    while chunk := packed.read(1 << 20):
                        write(out, chunk, target)
    except DAMAGE as error:
        raise Damaged(f"'{archive}' is no whole zip archive ({clause(error)}): fetch it again.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise ValueError(f"'{archive}' is packed in a way that cannot be read ({clause(error)}).") from None


def choose(archive: Path, infos: list[zipfile.ZipInfo], layout: dict[str, str]) -> dict[str, zipfile.ZipInfo]:
    """Where in the set each of the wanted pictures goes.

    Raises:
        ValueError: if anything in the archive is not to be trusted, or wanted folders are missing.
    """
    if len(infos) > MAX_FILES:
        raise ValueError(f"'{archive}' has {len(infos)} entries, more than the {MAX_FILES} that are unpacked.")
    names = {}
    for info in infos:
        name = trusted(archive, info)
        if not info.is_dir():
            names.setdefault(name, []).append(info)
    total, most = sum(i.file_size for i in infos), max(MAX_BYTES, MAX_GROWTH * archive.stat().st_size)
    if total > most:
        raise ValueError(f"'{archive}' would unpack to {total / 1e9:.0f} GB, far more than pictures do: give another.")
    root = find_root(archive, list(names), layout)
    members = {}
    for name, found in sorted(names.items()):
        inside = PurePosixPath(name).parts[len(root) :]
        for source, to in layout.items():
            parts = tuple(source.split("/"))
            if inside[: len(parts)] == parts and PurePosixPath(name).parts[: len(root)] == root and wanted(inside):
                place = "/".join((to, *inside[len(parts) :]))
                if len(found) > 1 or place in members:
                    raise ValueError(f"'{archive}' has '{place}' more than once: it is not unpacked.")
                members[place] = found[0]
    return members


def trusted(archive: Path, info: zipfile.ZipInfo) -> str:
    """An entry's name with forward slashes.

    Raises:
        ValueError: if it leads out of the folder or is no plain file or folder.
    """
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise ValueError(f"'{archive}' wants to write outside its folder ('{info.filename}'): it is not unpacked.")
    mode = info.external_attr >> 16  # zero where the archive was not made under Unix
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"'{archive}' holds a link or a device ('{info.filename}'): it is not unpacked.")
    if info.flag_bits & 1:
        raise ValueError(f"'{archive}' is encrypted: give one that is not.")
    return name


def wanted(parts: tuple[str, ...]) -> bool:
    """Whether an entry is a picture that a person put there; macOS adds hidden companions."""
    return Path(parts[-1]).suffix.lower() in EXTENSIONS and not any(map(is_hidden, parts))


def find_root(archive: Path, names: list[str], layout: dict[str, str]) -> tuple[str, ...]:
    """The folder in the archive, the nearest to the top, that holds the folders of both training domains.

    Raises:
        ValueError: if there is none, or two at the same depth.
    """
    found: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        for source, to in layout.items():
            key = tuple(source.split("/"))
            for i in range(len(parts) - len(key)):
                if parts[i : i + len(key)] == key and wanted(parts[i:]) and "__MACOSX" not in parts:
                    found.setdefault(parts[:i], set()).add(to)
    roots = sorted((r for r, folders in found.items() if {"trainA", "trainB"} <= folders), key=lambda r: (len(r), r))
    if not roots:
        needed = " and ".join(source for source, to in layout.items() if to in ("trainA", "trainB"))
        has = ", ".join(sorted({PurePosixPath(n).parent.as_posix() for n in names})[:6]) or "nothing"
        raise ValueError(f"'{archive}' has no pictures in folders {needed} (it has {has}): arrange them so by hand.")
    if len(roots) > 1 and len(roots[0]) == len(roots[1]):
        both = " and ".join("/".join(root) for root in roots[:2])
        raise ValueError(f"'{archive}' holds several sets, {both}: unpack one by hand.")
    return roots[0]
