"""`warehouse segments export`: the members of a segment with the contacts that they allow to be used.

Who has not opted in is counted in the manifest and never exported. Consent is that of the latest profile, not of the
as-of date: a withdrawal counts at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click
import duckdb

from orchestration.console import say
from orchestration.home import Home, warehouse_home
from orchestration.release import read_release
from orchestration.release.sql import WRITE_FILES_ITSELF, literal
from orchestration.segments.actions import (
    Act,
    ActionError,
    Segment,
    exports_folder,
    file_stem,
    find_segment,
    in_a_cell,
    moment,
    private_folder,
    put_in_place,
    record,
    require_tables,
    sha256_of,
    write_csv,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from duckdb import DuckDBPyConnection

Format = Literal["csv", "parquet", "xlsx", "jsonl"]
Channel = Literal["email", "sms", "any"]
FEED = "segment_exports"
MOST_ROWS = 10_000
"""Customers of one export, by document 004; more only when asked for, which is recorded."""
MOST_XLSX_ROWS = 2**20 - 1
"""Rows of a sheet in Excel, less the header."""
PHONE_RULE = (
    "E.164: a leading 00 counts as +, then digits only, 8 to 15 of them and no 0 first; a (0) after the country code is"
    " left out. A number without + or 00 has no country code and is left out. phone_e164_sha256 hashes the number with"
    " its +, phone_digits_sha256 without it: platforms differ in which one they want"
)
EMAIL_RULE = "trimmed, lower case"


@dataclass(frozen=True)
class Wish:
    """What is to be exported; without a channel, for the segment's own."""

    segment: str
    format: Format
    channel: Channel | None = None
    tenant: str | None = None
    folder: Path | None = None
    is_all: bool = False
    """Whether more than 10,000 customers may go into the file."""
    is_hashed: bool = False
    """Whether contacts are written as SHA-256 only, for ad platforms."""


@dataclass(frozen=True)
class Member:
    """A member of a segment with the consent and contacts of the latest profile, if there is one."""

    customer_id: str
    name: str | None
    email: str | None
    phone: str | None
    email_opt_in: bool
    sms_opt_in: bool
    joined_date: date


@dataclass(frozen=True)
class Counted:
    """What became of the members: each is in exactly one of the other counts."""

    member_count: int
    exported_count: int
    without_consent_count: int
    without_contact_count: int


@dataclass(frozen=True)
class Exported:
    """A finished export."""

    file: Path
    manifest: Path
    counts: Counted
    recommended_action: str | None


def export_segment(home: Home, wish: Wish, act: Act) -> Exported:
    """Write the members of a segment and a manifest, and record it; nothing is there unless it is recorded."""
    with read_release(home.path, with_restricted=True) as con:
        require_tables(con, "restricted", ["customer_contacts"])
        segment = find_segment(con, wish.segment, wish.tenant)
        members = _members(con, segment)
    channel = wish.channel or _own_channel(segment)
    rows, counts = choose(members, channel, is_hashed=wish.is_hashed)
    _refuse_too_many(len(rows), wish)
    folder = (wish.folder or exports_folder(home)).absolute()
    with private_folder(folder) as inner:
        file = inner / f"{file_stem(segment, act, 'export')}.{wish.format}"
        WRITERS[wish.format](file, columns_of(channel, is_hashed=wish.is_hashed), rows)
        described = {
            **segment.described(),
            "export_id": act.act_id,
            "exported_at": moment(act.at),
            "actor": act.actor,
            "file_name": file.name,
            "format": wish.format,
            "channel": channel,
            "is_hashed": wish.is_hashed,
            "is_all": wish.is_all,
            **asdict(counts),
            "recommended_action": segment.recommended_action,
            "sha256": sha256_of(file),
        }
        rules = {"email_rule": EMAIL_RULE, "phone_rule": PHONE_RULE} if wish.is_hashed else {}
        manifest = write_manifest(file.with_suffix(".manifest.json"), described | rules)
        record(home, FEED, act, [described])
        file, manifest = put_in_place([file, manifest], folder)
    return Exported(file, manifest, counts, segment.recommended_action)


def _own_channel(segment: Segment) -> Channel:
    own = (segment.channel or "").strip().lower()
    if own not in get_args(Channel):
        own_channel = f"its own channel is {own}" if own else "it has no channel of its own"
        choices = ", ".join(get_args(Channel))
        message = f"say with --channel ({choices}) how the members of {segment.segment_key} are reached: {own_channel}"
        raise click.UsageError(message)
    return own


def _members(con: DuckDBPyConnection, segment: Segment) -> list[Member]:
    """Return the segment's members as of the release's date, by customer."""
    found = con.execute(
        """
        select members.customer_id, contacts.name, contacts.email, contacts.phone,
            coalesce(contacts.email_opt_in, false), coalesce(contacts.sms_opt_in, false), members.joined_date
        from marts.segment_members as members
        left join restricted.customer_contacts as contacts
            on members.user_id = contacts.user_id and members.customer_id = contacts.customer_id
        where members.user_id = $user_id and members.segment_id = $segment_id::uuid and members.is_current
        order by members.customer_id
        """,
        {"user_id": segment.user_id, "segment_id": segment.segment_id},
    ).fetchall()
    return [Member(*row) for row in found]


def choose(members: Sequence[Member], channel: Channel, *, is_hashed: bool) -> tuple[list[tuple], Counted]:
    """Return the rows of those who may be reached by a channel, and what became of all members."""
    usable = {"email": normalized_email, "sms": normalized_phone} if is_hashed else {"email": email, "sms": phone}
    rows, outcomes = [], Counter()
    for member in members:
        allowed = _allowed(member, channel)
        contacts = {way: usable[way](contact) for way, contact in allowed.items()}
        outcome = "exported" if any(contacts.values()) else "without_contact" if allowed else "without_consent"
        outcomes[outcome] += 1
        if outcome == "exported":
            rows.append(_row(member, contacts, channel, is_hashed=is_hashed))
    counts = Counted(len(members), outcomes["exported"], outcomes["without_consent"], outcomes["without_contact"])
    return rows, counts


def _allowed(member: Member, channel: Channel) -> dict[str, str | None]:
    """Return the contacts whose use the member has agreed to, of those that the channel uses."""
    ways = ("email", "sms") if channel == "any" else (channel,)
    consent = {"email": member.email_opt_in, "sms": member.sms_opt_in}
    contacts = {"email": member.email, "sms": member.phone}
    return {way: contacts[way] for way in ways if consent[way]}


def _row(member: Member, contacts: Mapping[str, str | None], channel: Channel, *, is_hashed: bool) -> tuple:
    """Return a member as a row of the file, its columns those of `columns_of`."""
    values = {
        "customer_id": member.customer_id,
        "name": member.name,
        "email": contacts.get("email"),
        "phone": contacts.get("sms"),
        "joined_date": member.joined_date.isoformat(),
        "email_sha256": hashed(contacts.get("email")),
        "phone_e164_sha256": hashed(contacts.get("sms")),
        "phone_digits_sha256": hashed((contacts.get("sms") or "").removeprefix("+")),
    }
    return tuple(values[column] for column in columns_of(channel, is_hashed=is_hashed))


def columns_of(channel: Channel, *, is_hashed: bool) -> list[str]:
    """Return the columns of an export: no contact that the channel does not use, and hashed no clear text at all.

    Not even the customer's key: it may be an address, and an ad platform has no use for it.
    """
    emails = channel in {"email", "any"}
    phones = channel in {"sms", "any"}
    if is_hashed:
        return ["email_sha256"] * emails + ["phone_e164_sha256", "phone_digits_sha256"] * phones
    return ["customer_id", "name", *["email"] * emails, *["phone"] * phones, "joined_date"]


def email(text: str | None) -> str | None:
    """Return an e-mail address as it was given, or None where the text is none."""
    trimmed = (text or "").strip()
    return trimmed if re.fullmatch(r"[^@\s]+@[^@\s]+", trimmed) else None


def phone(text: str | None) -> str | None:
    """Return a phone number as it was given, or None where the text has no digit."""
    trimmed = (text or "").strip()
    return trimmed if re.search(r"[0-9]", trimmed) else None


def normalized_email(text: str | None) -> str | None:
    """Return an e-mail address trimmed and in lower case."""
    address = email(text)
    return address.lower() if address else None


def normalized_phone(text: str | None) -> str | None:
    """Return a phone number in E.164 with its +, or None where it has no country code or is no number (PHONE_RULE)."""
    number = re.sub(r"^00", "+", re.sub(r"\s", "", text or ""))
    if not re.fullmatch(r"\+[0-9()./\-]+", number):
        return None
    digits = re.sub(r"[^0-9]", "", number.replace("(0)", "", 1))
    return f"+{digits}" if re.fullmatch(r"[1-9][0-9]{7,14}", digits) else None


def hashed(text: str | None) -> str | None:
    """Return SHA-256 in hex, or None of nothing."""
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _refuse_too_many(count: int, wish: Wish) -> None:
    if count > MOST_ROWS and not wish.is_all:
        message = f"{count:,} customers would be exported, more than {MOST_ROWS:,}: say --all, which is recorded"
        raise ActionError(message)
    if count > MOST_XLSX_ROWS and wish.format == "xlsx":
        message = f"{count:,} customers are more than a sheet's {MOST_XLSX_ROWS:,}: choose another --format"
        raise ActionError(message)


# ── Formats ───────────────────────────────────────────────────────────────────────────────────


def _write_xlsx(file: Path, columns: Sequence[str], rows: Sequence[tuple]) -> None:
    import xlsxwriter

    options = {"constant_memory": True, "tmpdir": str(file.parent)}
    with xlsxwriter.Workbook(str(file), options) as book:
        sheet = book.add_worksheet("members")
        for place, row in enumerate([columns, *rows]):
            for column, value in enumerate(row):
                sheet.write_string(place, column, in_a_cell(value))


def _write_jsonl(file: Path, columns: Sequence[str], rows: Sequence[tuple]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _write_parquet(file: Path, columns: Sequence[str], rows: Sequence[tuple]) -> None:
    """Write texts as texts; through JSON Lines, because DuckDB inserts Python's rows one by one."""
    lines = file.with_suffix(".jsonl")
    _write_jsonl(lines, columns, rows)
    types = ", ".join(f"{column}: '{'DATE' if column == 'joined_date' else 'VARCHAR'}'" for column in columns)
    with duckdb.connect() as con:
        con.execute(WRITE_FILES_ITSELF)
        con.execute(f"""
            copy (
                from read_json({literal(lines)}, columns = {{{types}}}, format = 'newline_delimited')
            ) to {literal(file)} (format parquet)
        """)
    lines.unlink()


WRITERS: dict[str, Callable[[Path, Sequence[str], Sequence[tuple]], None]] = {
    "csv": write_csv,
    "parquet": _write_parquet,
    "xlsx": _write_xlsx,
    "jsonl": _write_jsonl,
}


# ── Command ───────────────────────────────────────────────────────────────────────────────────


@click.command(name="export")
@click.argument("segment")
@click.option("--format", "file_format", type=click.Choice(get_args(Format)), required=True, help="How to write it.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the file and its manifest; default: WAREHOUSE_HOME/exports.",
)
@click.option("--tenant", help="Whose segment; needed where several tenants have it.")
@click.option(
    "--channel", type=click.Choice(get_args(Channel)), help="How they are to be reached; default: the segment's own."
)
@click.option("--all", "is_all", is_flag=True, help="Although they are more than 10,000; recorded.")
@click.option("--hashed", "is_hashed", is_flag=True, help="Contacts as SHA-256 only, for ad platforms.")
@click.option("--actor", help="Who exports; default: the account that runs the command.")
def export(  # noqa: PLR0913 - the command's options, by name
    *,
    segment: str,
    file_format: Format,
    folder: Path | None,
    tenant: str | None,
    channel: Channel | None,
    actor: str | None,
    is_all: bool,
    is_hashed: bool,
) -> None:
    """Write the members of SEGMENT who consent to be reached into a file, with a manifest beside it; recorded."""
    wish = Wish(segment, file_format, channel, tenant, folder, is_all, is_hashed)
    for line in _told(export_segment(Home(warehouse_home()), wish, Act.now(actor))):
        say(line)


def _told(done: Exported) -> Iterator[str]:
    counts = done.counts
    yield (
        f"{counts.exported_count:,} of {counts.member_count:,} members in {done.file};"
        f" {counts.without_consent_count:,} without consent, {counts.without_contact_count:,} without a usable contact"
    )
    if done.recommended_action:
        yield f"recommended: {done.recommended_action}"
