"""What actions on a published segment share: finding it, private files, and a record of what was done.

A record is a raw file of its own feed, because the working database may be held by a run: the next run loads it.
"""

from __future__ import annotations

import csv
import difflib
import getpass
import hashlib
import json
import re
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.release import ReleaseError
from orchestration.release.folders import sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from orchestration.home import Home

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
WRITING = ".writing-"
"""How the names of folders begin in which files are half-written."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that a spreadsheet may run instead of show (OWASP, CSV injection)."""
NEEDED_TABLES = ("customer_segments_v2", "segment_members", "data_as_of")


class ActionError(ReleaseError):
    """An action on a segment is refused or cannot be done; the message says why, and nothing was written."""


@dataclass(frozen=True)
class Segment:
    """A segment of one tenant as the current release has it; `criteria` are canonical JSON, `{}` of a manual one."""

    user_id: str
    segment_id: str
    segment_key: str
    name: str
    criteria: Mapping[str, Any]
    recommended_action: str | None
    channel: str | None
    release_id: str
    as_of_date: date

    def described(self) -> dict[str, Any]:
        """Return what every manifest says of the segment."""
        return {
            "segment_key": self.segment_key,
            "segment_name": self.name,
            "segment_id": self.segment_id,
            "user_id": self.user_id,
            "release_id": self.release_id,
            "as_of_date": self.as_of_date.isoformat(),
        }


@dataclass(frozen=True)
class Act:
    """Who does something, when (UTC), and under which id."""

    act_id: str
    actor: str
    at: datetime

    @classmethod
    def now(cls, actor: str | None = None) -> Act:
        """Return the act that begins now; without a name the actor is the account that runs the command."""
        at = datetime.now(UTC)
        return cls(f"{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", checked_actor(actor or _account()), at)


def checked_actor(actor: str) -> str:
    """Return the name under which an act is recorded; raise ActionError for an address: the record is public."""
    if not actor.strip() or "@" in actor:
        message = f"--actor {actor!r}: write a name or an account, no address: the record is part of a public mart"
        raise ActionError(message)
    return actor.strip()


def _account() -> str:
    try:
        return getpass.getuser().partition("@")[0] or "unknown"
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"


def find_segment(con: DuckDBPyConnection, key: str, tenant: str | None = None) -> Segment:
    """Return a segment of the release that `con` reads; without `tenant`, of the only tenant that has it."""
    require_tables(con, "marts", NEEDED_TABLES)
    rows = con.execute(
        """
        select user_id, segments.id::varchar, segment_key, name, criteria::varchar, recommended_action, channel,
            as_of_date
        from marts.customer_segments_v2 as segments join marts.data_as_of using (user_id)
        where segment_key = $key and user_id = coalesce($tenant, user_id)
        order by user_id
        """,
        {"key": key, "tenant": tenant},
    ).fetchall()
    if not rows:
        raise click.UsageError(_no_such_segment(con, key, tenant))
    if len(rows) > 1:
        tenants = ", ".join(row[0] for row in rows)
        message = f"segment {key} exists for the tenants {tenants}: say which with --tenant"
        raise click.UsageError(message)
    user_id, segment_id, segment_key, name, criteria, action, channel, as_of_date = rows[0]
    return Segment(
        user_id=user_id,
        segment_id=segment_id,
        segment_key=segment_key,
        name=name,
        criteria=json.loads(criteria or "{}"),
        recommended_action=action,
        channel=channel,
        release_id=_release_id(con),
        as_of_date=as_of_date,
    )


def _release_id(con: DuckDBPyConnection) -> str:
    """Return the id of the release that a connection reads, also when readers are given another one meanwhile."""
    path = con.execute("select path from duckdb_databases() where database_name = 'analytics'").fetchone()[0]
    return Path(path).parent.name


def _no_such_segment(con: DuckDBPyConnection, key: str, tenant: str | None) -> str:
    tenants = [row[0] for row in con.execute("select user_id from marts.data_as_of order by user_id").fetchall()]
    if tenant is not None and tenant not in tenants:
        return f"there is no tenant {tenant!r}; known are {', '.join(tenants) or 'none'}"
    rows = con.execute(
        "select distinct segment_key from marts.customer_segments_v2 where user_id = coalesce($tenant, user_id)",
        {"tenant": tenant},
    ).fetchall()
    keys = sorted(row[0] for row in rows)
    near = difflib.get_close_matches(key, keys, n=5) or keys
    of_tenant = f" for tenant {tenant}" if tenant else ""
    return f"the release has no segment {key!r}{of_tenant}: there are {', '.join(near) or 'none'}"


def require_tables(con: DuckDBPyConnection, schema: str, names: Sequence[str]) -> None:
    """Raise ActionError where the release lacks a table: an older version published it."""
    # In restricted.duckdb, and so in the catalog of that name, the tables stand in schema main.
    catalog, schema = ("restricted", "main") if schema == "restricted" else ("analytics", schema)
    found = con.execute(
        """
        select table_name from information_schema.tables
        where table_schema = $schema and table_catalog = $catalog
        """,
        {"catalog": catalog, "schema": schema},
    ).fetchall()
    if missing := sorted(set(names) - {row[0] for row in found}):
        message = f"the current release has no {', '.join(missing)}: `warehouse run` publishes one with segments"
        raise ActionError(message)


def file_stem(segment: Segment, act: Act, kind: str) -> str:
    """Return the name of an act's files without its suffix."""
    return "-".join(re.sub(r"[^0-9A-Za-z_]+", "_", part) for part in (segment.user_id, segment.segment_key, kind)) + (
        f"-{act.act_id}"
    )


@contextmanager
def private_folder(folder: Path) -> Iterator[Path]:
    """Give a folder within `folder` that nobody else can read and that is gone afterwards."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    inner = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder))
    try:
        yield inner
    finally:
        shutil.rmtree(inner, ignore_errors=True)


def put_in_place(files: Sequence[Path], folder: Path) -> list[Path]:
    """Give finished files their mode and names: each is there whole or not at all."""
    for file in files:
        file.chmod(PRIVATE_FILE)
        sync(file)
    placed = [file.replace(folder / file.name) for file in files]
    sync(folder)
    return placed


def in_a_cell(value: object) -> str:
    """Return a value as a spreadsheet shows it and does not run it: a text that may be a formula gets an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV that a spreadsheet may open."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(map(in_a_cell, row) for row in rows)


def sha256_of(file: Path) -> str:
    """Return the hash of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a manifest as JSON."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def record(home: Home, feed: str, act: Act, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as a raw file of an audit feed; the next run loads it like any other."""
    folder = home.raw / feed
    folder.mkdir(parents=True, exist_ok=True)
    # The load step passes over names that begin with a dot.
    with private_folder(folder) as inner:
        file = inner / f"{act.act_id}.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return put_in_place([file], folder)[0]


def moment(at: datetime) -> str:
    """Return a time as raw files and manifests have it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def exports_folder(home: Home) -> Path:
    """Return where files for other systems go by default."""
    return home.path / "exports"
