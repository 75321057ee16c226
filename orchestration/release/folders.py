"""The folder of releases: what lies there, what readers see, and how files get safely to the disk."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from orchestration.release.records import ANALYTICS, MARTS_SCHEMA, PARQUET, RECORD, RESTRICTED, Release, ReleaseError
from orchestration.release.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import PublishedMart

RELEASES_KEPT = 5
"""Releases that stay: a reader may hold an old one open this many runs long."""
STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
RELEASE_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9A-Za-z]{1,8}")
BUILDING = ".building-"
"""How the names of half-built folders begin."""
REMOVING = ".removing-"
"""How the names of folders that are being removed begin."""


def list_releases(home: Path) -> list[Release]:
    """Return the complete releases, oldest first."""
    return releases_in(published_folder(home) / "releases")


def current_release(home: Path) -> Release | None:
    """Return the release that readers see, or None before the first."""
    record = published_folder(home) / "current" / RECORD
    return _read_record(record) if record.is_file() else None


def rollback(home: Path, release_id: str | None = None) -> Release:
    """Point the readers to a named release, or to the one before the current one, and return it.

    The warehouse stays as it is: the next publish goes on from there, and gate 3 compares it with
    the release that readers see then.
    """
    releases = {release.release_id: release for release in list_releases(home)}
    current = current_release(home)
    if release_id is None:
        older = [r for r in releases if current is not None and r < current.release_id]
        if not older:
            message = "there is no release before the current one"
            raise ReleaseError(message)
        release_id = older[-1]
    if release_id not in releases:
        message = f"there is no release {release_id!r}, only {', '.join(releases) or 'none'}"
        raise ReleaseError(message)
    point_current(home, release_id)
    return releases[release_id]


@contextmanager
def read_release(home: Path, *, with_restricted: bool = False) -> Iterator[DuckDBPyConnection]:
    """Open the current release for reading, marts first; contacts in catalog `restricted`."""
    folder = (published_folder(home) / "current").resolve()
    if not (folder / ANALYTICS).is_file():
        message = "nothing has been published yet"
        raise ReleaseError(message)
    # The release's own path: within one process, DuckDB would serve an open one for the symlink's.
    with duckdb.connect(folder / ANALYTICS, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        if with_restricted:
            con.execute(f"attach {literal(folder / RESTRICTED)} as restricted (read_only)")
        con.execute(f"use analytics.{MARTS_SCHEMA}")
        yield con


def published_folder(home: Path) -> Path:
    """Return the folder of all that is published."""
    return home.absolute() / "published"


def releases_in(releases: Path) -> list[Release]:
    """Return the complete releases of a folder, oldest first; what else lies there is somebody's own."""
    folders = (f for f in sorted(releases.glob("[!.]*")) if RELEASE_ID.fullmatch(f.name) and not f.is_symlink())
    return [_read_record(folder / RECORD) for folder in folders if (folder / RECORD).is_file()]


def _read_record(record: Path) -> Release:
    try:
        return Release.from_json(record.read_text("utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        folder = record.resolve().parent
        message = (
            f"{record} is damaged ({error}): take the folder {folder} out of {folder.parent}; if readers were on that"
            " release, `warehouse rollback RELEASE` gives them another, and `warehouse run` publishes anew"
        )
        raise ReleaseError(message) from error


def newest_release(releases: Path) -> Release | None:
    """Return the newest complete release, whether or not readers see it."""
    return max(releases_in(releases), key=lambda r: r.release_id, default=None)


def files_under(folder: Path, mart: PublishedMart) -> list[Path]:
    """Return the paths of a mart's files in a release's folder."""
    return [folder / file.path for file in mart.files]


def new_release_id(moment: datetime, run_id: str, newest: Release | None) -> str:
    """Return an id that sorts after the newest one, even when the clock was set back."""
    moment = moment.replace(microsecond=0)
    if newest is not None:
        stamp = newest.release_id.split("-")[0]
        last = datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=UTC)
        moment = max(moment, last + timedelta(seconds=1))
    return f"{moment.strftime(STAMP_FORMAT)}-{re.sub('[^0-9A-Za-z]', '', run_id)[:8] or 'run'}"


@contextmanager
def release_folder(releases: Path, release_id: str) -> Iterator[Path]:
    """Give a private folder that becomes the release's when all went well, or else goes."""
    folder = releases / f"{BUILDING}{release_id}"
    # Private, because contacts are written into it before their file has its mode.
    folder.mkdir(mode=0o700)
    try:
        yield folder
        for inner in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
            sync(inner)
        folder.chmod(0o755)
        folder.rename(releases / release_id)
        sync(releases)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_leftovers(releases: Path) -> None:
    """Remove what a crashed publish left: its hidden folders and the symlinks that stood in for them.

    Whatever else lies there is somebody's own.
    """
    releases.mkdir(parents=True, exist_ok=True)
    for path in list(releases.iterdir()):
        if path.is_symlink():
            if RELEASE_ID.fullmatch(path.name):
                path.unlink()
        elif path.name.startswith((BUILDING, REMOVING)) and path.is_dir():
            shutil.rmtree(path)


def retire(releases: Path, keep: str) -> tuple[str, ...]:
    """Remove all but the newest releases and `keep`; hidden first, so that none is seen in part."""
    ids = [release.release_id for release in releases_in(releases)]
    retired = tuple(r for r in ids[:-RELEASES_KEPT] if r != keep)
    for release_id in retired:
        hidden = (releases / release_id).rename(releases / f"{REMOVING}{release_id}")
        shutil.rmtree(hidden)
    return retired


def point_current(home: Path, release_id: str) -> None:
    """Swap the readers' symlinks to a release: one rename moves them all."""
    published = published_folder(home)
    for door in (ANALYTICS, RESTRICTED, PARQUET):
        _point(published / door, f"current/{door}")
    _point(published / "current", f"releases/{release_id}")
    sync(published)


def _point(link: Path, target: str) -> None:
    if link.is_symlink() and link.readlink() == Path(target):
        return
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def link_or_copy(source: Path, target: Path) -> None:
    """Share a file between releases, or copy it where there are no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:  # the file system has no hard links, or the file has its most
        copy_file(source, target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that nobody may write to."""
    shutil.copyfile(source, target)
    target.chmod(0o444)
    sync(target)


def write_text(path: Path, text: str) -> None:
    """Write a text file that is on the disk afterwards."""
    path.write_text(text, "utf-8")
    sync(path)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
