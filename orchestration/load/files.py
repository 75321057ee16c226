"""Files under raw/: found by name, told apart by path, size and time, then by content."""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from orchestration.load.feeds import FEEDS

Format = Literal["parquet", "csv", "jsonl"]
Content = tuple[Format, str]
"""A format and a checksum: the same bytes read in another way are another content."""
FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class RawFile:
    """A file under raw/: `path` is relative to raw/ with forward slashes, times are UTC."""

    feed: str
    path: str
    location: Path
    size_bytes: int
    modified_at: datetime
    sha256: str = ""
    encoding: str = "utf-8"
    is_cut_off: bool = False
    file_id: int = 0

    @property
    def format(self) -> Format:
        """Return how the file is written, by its name."""
        return format_of(self.path)

    @property
    def content(self) -> Content:
        """Return what two files share when one is a copy of the other."""
        return self.format, self.sha256

    @property
    def identity(self) -> tuple[str, int, datetime]:
        """Return what tells a known file without reading it."""
        return self.path, self.size_bytes, self.modified_at


def format_of(path: str) -> Format:
    """Return how the file of a path is written, by its name."""
    return FORMATS[Path(path).suffix.lower()]


def find_files(raw_dir: Path) -> tuple[list[RawFile], list[str]]:
    """Return the files of known feeds in path order, and a warning for all else that lies there.

    Names that begin with a dot are passed over: editors and copy tools write under such names.
    """
    files, warnings, unknown, seen = [], [], set(), set()
    for folder, names, entries in os.walk(raw_dir, followlinks=True):
        names[:] = [name for name in names if not name.startswith(".")]
        real = Path(folder).resolve()
        if real in seen:  # links may go round in a circle
            names.clear()
            continue
        seen.add(real)
        for entry in entries:
            location = Path(folder, entry)
            relative = location.relative_to(raw_dir)
            if entry.startswith("."):
                continue
            feed = relative.parts[0]
            if len(relative.parts) == 1 or feed not in FEEDS:
                unknown.add(feed)
            elif location.suffix.lower() not in FORMATS:
                warnings.append(f"{relative.as_posix()}: not read: neither .parquet, .csv, .jsonl")
            elif not location.exists():
                warnings.append(f"{relative.as_posix()}: not read: a link that leads nowhere")
            else:
                files.append(_raw_file(feed, relative, location))
    known = ", ".join(FEEDS)
    warnings += [f"{name}: not read: raw/ has the feeds {known}" for name in unknown]
    return sorted(files, key=lambda file: file.path), sorted(warnings)


def _raw_file(feed: str, relative: Path, location: Path) -> RawFile:
    stat = location.stat()
    modified_at = datetime(1970, 1, 1) + timedelta(microseconds=stat.st_mtime_ns // 1000)  # noqa: DTZ001
    return RawFile(feed, relative.as_posix(), location, stat.st_size, modified_at)


def fingerprinted(file: RawFile) -> RawFile:
    """Read a file once for its checksum and, where it is text, its encoding.

    A file that cannot be opened keeps an empty checksum; reading it then gives the reason. A text
    that is UTF-8 but for a last character that is not whole is cut off.
    """
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")() if file.format != "parquet" else None
    encoding = "utf-8"
    try:
        with file.location.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
                encoding = _encoding(decoder, block, encoding)
    except OSError:
        return file
    is_cut_off = encoding == "utf-8" and not _is_whole(decoder)
    return changed(file, sha256=digest.hexdigest(), encoding=encoding, is_cut_off=is_cut_off)


def _encoding(decoder: codecs.IncrementalDecoder | None, block: bytes, so_far: str) -> str:
    if decoder is None or so_far != "utf-8":
        return so_far
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return "latin-1"
    return so_far


def _is_whole(decoder: codecs.IncrementalDecoder | None) -> bool:
    """Say whether the text that a decoder was given ends with a whole character."""
    try:
        return decoder is None or decoder.decode(b"", final=True) == ""
    except UnicodeDecodeError:
        return False
