"""A release made by hand, with what actions on segments read: definitions, members, contacts, attributes."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

RELEASE_ID = "20241110T030000Z-made"
AS_OF = date(2024, 11, 9)

TABLES = """
    create schema marts;
    create table marts.data_as_of (user_id varchar, as_of_date date);
    create table marts.customer_segments_v2 (
        id uuid, user_id varchar, name varchar, criteria json, recommended_action varchar, channel varchar,
        segment_key varchar
    );
    create table marts.segment_members (
        id uuid, user_id varchar, segment_id uuid, customer_id varchar, segment_key varchar, joined_date date,
        left_date date, is_current boolean
    );
"""
CONTACTS = """
    create table customer_contacts (
        user_id varchar, customer_id varchar, email varchar, phone varchar, name varchar, email_opt_in boolean,
        sms_opt_in boolean
    );
"""
CONTACT_COLUMNS = ("email", "phone", "name", "email_opt_in", "sms_opt_in")
ROWS_AT_ONCE = 500


@dataclass
class SegmentRelease:
    """What a release holds; `write` puts it where readers find it."""

    home: Path
    segments: list[tuple] = field(default_factory=list)
    members: list[tuple] = field(default_factory=list)
    contacts: list[tuple] = field(default_factory=list)
    attributes: Any = None
    """A frame with user_id, customer_id and the attributes."""

    def add_segment(  # noqa: PLR0913 - a row's columns, by name
        self,
        key: str,
        members: list[str],
        *,
        user_id: str = "shop",
        criteria: dict[str, Any] | None = None,
        channel: str | None = "email",
        action: str | None = None,
        left: tuple[str, ...] = (),
    ) -> None:
        """Add a segment with its members, and customers who have left it."""
        segment_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{user_id}/{key}")
        self.segments.append(
            (segment_id, user_id, key.title(), json.dumps(criteria or {}), action, channel, key),
        )
        spells = [(c, None, True) for c in members] + [(c, date(2024, 10, 1), False) for c in left]
        self.members += [
            (uuid.uuid4(), user_id, segment_id, customer_id, key, date(2024, 9, 1), left_date, is_current)
            for customer_id, left_date, is_current in spells
        ]

    def add_contact(self, customer_id: str, *, user_id: str = "shop", **columns: Any) -> None:  # noqa: ANN401
        """Add a customer's contact row; what is not given is null, or no consent."""
        consent = {"email_opt_in": False, "sms_opt_in": False}
        values = dict.fromkeys(CONTACT_COLUMNS) | consent | columns
        self.contacts.append((user_id, customer_id, *(values[name] for name in CONTACT_COLUMNS)))

    def write(self) -> SegmentRelease:
        """Write the release and point the readers to it."""
        folder = self.home / "published" / "releases" / RELEASE_ID
        folder.mkdir(parents=True)
        tenants = sorted({segment[1] for segment in self.segments})
        with duckdb.connect(folder / "analytics.duckdb") as con:
            con.execute(TABLES)
            _insert(con, "marts.data_as_of", [(tenant, AS_OF) for tenant in tenants])
            _insert(con, "marts.customer_segments_v2", self.segments)
            _insert(con, "marts.segment_members", self.members)
        with duckdb.connect(folder / "restricted.duckdb") as con:
            con.execute(CONTACTS)
            _insert(con, "customer_contacts", self.contacts)
            if self.attributes is not None:
                con.register("attributes", self.attributes)
                con.execute("create table customer_attributes as select * from attributes")
                con.unregister("attributes")
        (self.home / "published" / "current").symlink_to(Path("releases") / RELEASE_ID)
        return self


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple]) -> None:
    # Hundreds at a time: a statement a row takes ten times as long.
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        marks = ", ".join(["(" + ", ".join("?" for _ in rows[0]) + ")"] * len(some))
        con.execute(f"insert into {table} values {marks}", [value for row in some for value in row])


def raw_records(home: Path, feed: str) -> list[dict[str, Any]]:
    """Return the rows of an audit feed's raw files, file by file."""
    return [json.loads(line) for file in sorted((home / "raw" / feed).glob("*.jsonl")) for line in file.open()]
