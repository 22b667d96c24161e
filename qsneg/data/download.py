"""Fetching a large zip archive: resumable, checked, and moved into place only when it is whole.

    python -m qsneg data horse2zebra --out data/horse2zebra

While it is fetched it lies in `<name>.part`, beside it `<name>.part.json` with the address and the server's mark of
this version. The next attempt asks for the rest only (HTTP Range, with If-Range, RFC 9110 section 14); a server that
ignores that, or whose file has changed, sends all of it, and the fetch starts over. torchvision's and pooch's
downloads always start over, so this one is the standard library's urllib.
"""

import hashlib
import http.client
import io
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from qsneg import __version__
from qsneg.filesystem import Unwritable

CHUNK = 1 << 20  # most bytes read at a time
TIMEOUT = 30.0  # seconds without an answer after which a connection counts as broken
ATTEMPTS = 4  # broken connections in a row without a byte of progress
PAUSE = 1.0  # seconds before the second of them; doubled each time
AGAIN = "run the same command again, and it goes on from there"


class Unavailable(ValueError):
    """An address that does not give the archive: another one may."""


def download(
    urls: tuple[str, ...], path: Path | str, size: int | None = None, checksum: str | None = None, progress: bool = True
) -> Path:
    """Fetch the first of the addresses that gives the archive into `path`, going on with an earlier attempt.

    Args:
        size: its length in bytes, where it is known; otherwise the length that the server announces is checked.
        checksum: its SHA-256 or MD5 in hexadecimal digits, where it is known.

    Raises:
        ValueError: one sentence, if no address gives it, the disk is full, or it is not the file that is known.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    for url in urls:
        if not re.fullmatch(r"https?://[^/\s]+/\S+", url, re.ASCII | re.IGNORECASE) or not url.isascii():
            raise ValueError(f"'{url}' is no address of a file: give one such as https://example.org/pictures.zip.")
    with on_disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        try:
            fetch(url, part, size, progress)
            break
        except Unavailable:
            if url == urls[-1]:
                raise
    try:
        verify(part, size, checksum)
    except ValueError:
        forget(part)
        raise
    with on_disk(path):
        os.replace(part, path)
    forget(part)
    return path


def verify(path: Path | str, size: int | None, checksum: str | None) -> None:
    """Check a file's length in bytes and its SHA-256 or MD5, where they are known.

    Raises:
        ValueError: if it differs.
    """
    path = Path(path)
    advice = "if its owners have changed it and you trust it, give its address with --url, and it is taken as it is"
    if size is not None and path.stat().st_size != size:
        raise ValueError(f"'{path}' has {path.stat().st_size} bytes and not the {size} that are known: {advice}.")
    if checksum:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5" if len(checksum) == 32 else "sha256").hexdigest()
        if found != checksum:
            raise ValueError(f"'{path}' has the checksum {found} and not the known {checksum}: {advice}.")


def forget(part: Path) -> None:
    """Remove a file, whole or in part, and the note beside it."""
    part.unlink(missing_ok=True)
    state_path(part).unlink(missing_ok=True)


def state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def fetch(url: str, part: Path, size: int | None, progress: bool) -> None:
    """Bring `part` to its full length, through broken connections while each new one brings something."""
    label = Path(urlsplit(url).path).name or url
    failures = 0
    with tqdm(desc=label, unit="B", unit_scale=True, disable=not progress) as bar:
        while True:
            before = length(part)
            try:
                if transfer(url, part, size, bar):
                    return
                reason = "the connection broke"
            except (OSError, http.client.HTTPException) as error:  # urllib's own errors are OSErrors
                reason = in_words(url, error)
                if before == length(part) == 0:  # it never began: more attempts would only hide why
                    break
            if length(part) > before:
                failures = 0
            failures += 1
            if failures >= ATTEMPTS:
                break
            time.sleep(PAUSE * 2 ** (failures - 1))
    if length(part):
        kept = f"{length(part) / 1e6:.1f} MB are kept"
        raise Unavailable(f"'{url}' could not be fetched to its end, {reason}, {kept}: {AGAIN}.")
    advice = "check the network, or give another address with --url"
    raise Unavailable(f"'{url}' could not be fetched, {reason}: {advice}.")


def in_words(url: str, error: Exception) -> str:
    """Why a connection failed, as the middle of a sentence.

    Raises:
        Unavailable: if another attempt would fail just the same.
    """
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (408, 425, 429) or error.code >= 500:
            return f"the server is busy or out of order ({error.code})"
        reason = "there is no such file" if error.code in (404, 410) else "the server refuses"
        raise Unavailable(f"'{url}' could not be fetched, {reason} ({error.code}): give another address with --url.")
    cause = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else None
    cause = cause if isinstance(cause, Exception) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({cause.verify_message})"
    if isinstance(cause, TimeoutError):
        return f"there was no answer for {TIMEOUT:.0f} seconds"
    return getattr(cause, "strerror", None) or " ".join(str(cause).split()) or type(cause).__name__


def transfer(url: str, part: Path, size: int | None, bar: tqdm) -> bool:
    """One connection: append to `part` what is missing. Whether it is whole now."""
    request = urllib.request.Request(url, headers={"User-Agent": f"qsneg/{__version__}"})
    have = resumable(url, part, request)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if (error.headers.get("Content-Range") or "").rpartition("/")[2] == str(have):
            return True  # there was nothing left to send
        forget(part)
        return False
    with answer:
        start, total = extent(answer)
        if start != (have if answer.status == 206 else 0):
            forget(part)  # the server counts differently: begin again
            return False
        look(url, answer, total, size)
        if total is not None:
            room(part.parent, total - start)
        chunk = answer.read1(CHUNK)  # what has come so far: read() would lose it when the connection breaks
        if start == 0 and not b"PK".startswith(chunk[:2]):
            raise Unavailable(f"'{url}' is not a zip archive: give the address of one.")
        bar.total, bar.n = total, start
        bar.refresh()
        with on_disk(part):
            file = part.open("ab" if start else "wb", buffering=0)
            if start == 0:
                state_path(part).write_text(json.dumps({"url": url, "version": version(answer.headers)}))
        with file:
            at = start
            while chunk:
                write(file, chunk, part)
                at += len(chunk)
                bar.update(len(chunk))
                chunk = answer.read1(CHUNK)
    return total is None or at == total  # without an announced length, http.client raises IncompleteRead on most cuts


def resumable(url: str, part: Path, request: urllib.request.Request) -> int:
    """Ask for the rest of `part` where it can be gone on with; the number of bytes that are there."""
    try:
        state = json.loads(state_path(part).read_text())
        have = length(part)
        if not have or not (state["version"] or state["url"] == url):
            return 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    request.add_header("Range", f"bytes={have}-")
    if state["version"]:
        request.add_header("If-Range", state["version"])
    return have


def extent(answer: http.client.HTTPResponse) -> tuple[int, int | None]:
    """The place in the file of an answer's first byte, and the file's length, None where it is not announced."""
    if answer.status == 206:
        try:
            span, _, total = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
            return int(span.partition("-")[0]), int(total) if total != "*" else None
        except (AttributeError, ValueError):
            raise http.client.HTTPException("the server's answer makes no sense") from None
    announced = answer.headers.get("Content-Length", "")
    return 0, int(announced) if announced.isdigit() else None


def version(headers) -> str | None:
    """The mark by which a server knows this version of a file: its strong ETag, or else its date."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def look(url: str, answer: http.client.HTTPResponse, total: int | None, size: int | None) -> None:
    """Raise Unavailable if an answer cannot be the archive, before anything is written."""
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        hint = "; Dropbox gives the file itself where the address ends in dl=1" if "dropbox" in url else ""
        raise Unavailable(f"'{url}' is a web page and no zip archive: give the address of the file itself{hint}.")
    if size is not None and total is not None and total != size:
        advice = "if you trust it all the same, give this address with --url"
        raise Unavailable(f"'{url}' has {total} bytes and not the {size} that are known: {advice}.")


class NoRoom(ValueError):
    """The disk has less room than is known to be needed."""


def room(folder: Path, needed: int) -> None:
    """Raise NoRoom unless the disk of a folder has room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoRoom(
            f"The disk of '{folder}' has {free / 1e6:.0f} MB left and {needed / 1e6:.0f} MB are needed: make room, or "
            "choose another --out."
        )


def write(file: io.RawIOBase, chunk: bytes, path: Path) -> None:
    """Append to an unbuffered file all of a chunk: what could not be written stays in no buffer."""
    left = memoryview(chunk)
    with on_disk(path):
        while left:
            left = left[file.write(left) :]


@contextmanager
def on_disk(path: Path):
    """Tell what goes wrong on the disk from what goes wrong on the network: `Unwritable`."""
    try:
        yield
    except OSError as error:
        raise Unwritable(path, error) from None
