"""Copies of the current release for clients that cannot see the warehouse's own folder."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from orchestration.release.folders import (
    BUILDING,
    copy_file,
    current_release,
    files_under,
    link_or_copy,
    newest_release,
    published_folder,
    release_folder,
    releases_in,
    remove_leftovers,
    retire,
    sync,
    write_text,
)
from orchestration.release.records import ANALYTICS, PARQUET, RECORD, ReleaseError, files_of
from orchestration.release.sql import attached, column_list, create_view, identifier, in_release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from orchestration.release.records import PublishedMart, Release


def publish_to(home: Path, directory: Path, *, path_prefix: str | None = None) -> Release:
    """Copy the current release to a directory for clients that cannot see this one.

    The directory gets `analytics.duckdb`, replaced by one rename, over
    `releases/<release_id>/parquet/…`; earlier copies stay as long as releases do here. Contacts are
    not copied. No symlinks, so any file system will do. `path_prefix` is where the clients see the
    directory, if elsewhere: a mount point or the address of an object store.

    Raises ReleaseError when nothing has been published, or the directory cannot be written to.
    """
    release = current_release(home)
    if release is None:
        message = "nothing has been published yet"
        raise ReleaseError(message)
    source = published_folder(home) / "releases" / release.release_id
    with writing_to(directory, home) as place:
        _copy_release(release, source, place, path_prefix)
    return release


@contextmanager
def writing_to(directory: Path, home: Path) -> Iterator[Path]:
    """Give the absolute path of a directory that a release may be written to; say so clearly when it cannot be."""
    place = directory.absolute()
    if place.resolve().is_relative_to(published_folder(home).resolve()):
        message = f"{place} lies within the published folder: choose another place"
        raise ReleaseError(message)
    try:
        _require_ours(place)
        yield place
    except OSError as error:
        reason = error.strerror or str(error)
        at = f" ({error.filename})" if error.filename else ""
        message = f"the release cannot be written to {place}: {reason}{at}"
        raise ReleaseError(message) from error


def _require_ours(directory: Path) -> None:
    """Raise where an analytics.duckdb stands that no copy of ours put there: the copy would replace it."""
    if (directory / ANALYTICS).exists() and not releases_in(directory / "releases"):
        message = f"{directory / ANALYTICS} is none of our releases: move it away, or publish to another folder"
        raise ReleaseError(message)


def _copy_release(release: Release, source: Path, directory: Path, path_prefix: str | None) -> None:
    """Copy a release from its folder to a directory, where it replaces the last copy."""
    releases = directory / "releases"
    remove_leftovers(releases)
    if not (releases / release.release_id).exists():
        with release_folder(releases, release.release_id) as folder:
            _copy_files(release, source, folder, newest_release(releases))
    copy_analytics(release, source / ANALYTICS, directory, path_prefix)
    retire(releases, keep=release.release_id)


def _copy_files(release: Release, source: Path, folder: Path, last: Release | None) -> None:
    """Copy a release's Parquet files, linking those that the last copy there already has."""
    known = {
        (file.path, file.written_by): folder.parent / last.release_id / file.path
        for file in (files_of(last) if last else ())
    }
    for file in files_of(release):
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if copied := known.get((file.path, file.written_by)):
            link_or_copy(copied, target)
        else:
            copy_file(source / file.path, target)
    write_text(folder / RECORD, release.to_json())


def copy_analytics(release: Release, source: Path, directory: Path, path_prefix: str | None) -> None:
    """Copy analytics.duckdb to a directory, with views over the files as its clients see them."""
    releases = directory / "releases"
    with (
        TemporaryDirectory(prefix=BUILDING, dir=releases) as scratch,
        duckdb.connect() as con,
    ):
        path = Path(scratch) / ANALYTICS
        shutil.copyfile(source, path)
        with attached(con, path, "release"):
            for name, mart in release.marts.items():
                if mart.kind == "table":
                    continue
                if path_prefix is None:
                    files = files_under(releases / release.release_id, mart)
                    create_view(con, name, mart, files)
                else:
                    place = f"{path_prefix.rstrip('/')}/releases/{release.release_id}/{PARQUET}"
                    _create_distant_view(con, name, mart, f"{place}/{name}/*.parquet")
        sync(path)
        path.replace(directory / ANALYTICS)
    sync(directory)


def _create_distant_view(con: DuckDBPyConnection, name: str, mart: PublishedMart, glob: str) -> None:
    """Create a view over files that only its readers can see.

    DuckDB checks a view when it is created. So the view selects from a table that is named like
    the files; once that is gone, DuckDB takes the name for what it is.
    """
    types = ", ".join(f"{identifier(column)} {kind}" for column, kind in mart.columns.items())
    con.execute(f"create temp table {identifier(glob)} ({types})")
    con.execute(f"""
        create or replace view {in_release(name)} as
        select {column_list(mart)} from {identifier(glob)}
    """)
    con.execute(f"drop table temp.{identifier(glob)}")
