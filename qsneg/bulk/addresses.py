"""Pictures at an address: a folder, file://…, s3://…, or whatever else fsspec knows, kept as a string.

place = Place("s3://bucket/photos")
place.pictures()                         # their names below it, with the time of their last change
place.write("a.png", data)
"""

from pathlib import Path, PurePosixPath

import fsspec
from pyarrow import fs

from qsneg.filesystem import clause, is_hidden
from qsneg.picture_formats import EXTENSIONS

ARROW = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")  # pyarrow's own, which need no further package


class Place:
    """A folder, or one picture, somewhere.

    Attributes: `filesystem` (pyarrow's) and `path` on it.

    Raises:
        ValueError: one sentence, if nothing here can read such an address.
    """

    def __init__(self, address: str):
        scheme = address.split("://")[0] if "://" in address else "file"
        try:
            if scheme == "file":
                self.filesystem = fs.LocalFileSystem()
                self.path = str(Path(address.removeprefix("file://")).absolute())
            elif scheme in ARROW:
                self.filesystem, self.path = fs.FileSystem.from_uri(address)
            else:
                found, self.path = fsspec.core.url_to_fs(address)
                self.filesystem = fs.PyFileSystem(fs.FSSpecHandler(found))
        except (ImportError, ValueError, OSError, NotImplementedError) as error:  # no such package, scheme
            raise ValueError(f"The address '{address}' cannot be used: {clause(error)}.") from None
        self.address, self.path = address, self.path.rstrip("/")

    def files(self) -> dict[str, int]:
        """All files below it, by name relative to it, with the nanoseconds of their last change.

        Raises:
            ValueError: one sentence, if it cannot be looked through.
        """
        try:
            here = self.filesystem.get_file_info(self.path)
            if here.type == fs.FileType.File:  # one file: the place is its folder
                self.path, _, name = self.path.rpartition("/")
                return {name: here.mtime_ns or 0}
            found = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True, recursive=True))
        except OSError as error:
            raise ValueError(f"'{self.address}' cannot be looked through: {clause(error)}.") from None
        base = PurePosixPath(self.path)
        return {
            str(PurePosixPath(info.path).relative_to(base)): info.mtime_ns or 0
            for info in found
            if info.type == fs.FileType.File
        }

    def pictures(self, also: tuple[str, ...] = ()) -> dict[str, int]:
        """The pictures below it, by their ending (and those that are `also` taken), sorted; as `files`."""
        known = {*EXTENSIONS, *also}
        return {
            name: changed
            for name, changed in sorted(self.files().items())
            if PurePosixPath(name).suffix.lower() in known and not any(map(is_hidden, PurePosixPath(name).parts))
        }

    def at(self, name: str) -> str:
        return f"{self.path}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Write a file, all of it or nothing, creating its folders. Raises OSError if it cannot be."""
        path, local = self.at(name), isinstance(self.filesystem, fs.LocalFileSystem)
        part = f"{path}.part" if local else path  # elsewhere a file appears when it is complete
        if local:
            self.filesystem.create_dir(str(PurePosixPath(path).parent), recursive=True)
        with self.filesystem.open_output_stream(part) as file:
            file.write(data)
        if local:
            self.filesystem.move(part, path)
