"""Load: new files under raw/ become typed rows of schema `raw`, each line once.

A *load* is the new files of one feed in one run. Its rows, duplicates, rejects and ledger rows
commit in one transaction and stay `pending` until a run that contains them has published.

The way of one load: find files (by path, size and time, then by content) → read (one scan per
format and set of columns) → insert valid rows, quarantine the others → set duplicates aside →
gate 1 → ledger. A file that the gate refuses is taken out and the load begins anew without it.

Nothing here knows Dagster or dbt; every function takes a DuckDB connection that it alone uses.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import itertools
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from orchestration.quality.suites import GateResult, LoadFacts

Connection = duckdb.DuckDBPyConnection
Kind = Literal["text", "time", "date", "number", "money", "flag", "object", "list", "word"]
State = Literal["pending", "published", "refused", "skipped", "withdrawn"]
Format = Literal["parquet", "csv", "jsonl"]

FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
DELIMITERS = ",;\t|"
ORG_TYPES = ("banking", "telecom", "ecommerce")
MAX_EVENT_VALUE = 1e9
"""Currency units; a larger single event is taken for a fault of the source."""
FUTURE_TOLERANCE = timedelta(days=1)
MAX_CSV_RECORD_BYTES = 16 * 2**20
BLOCK_BYTES = 16 * 2**20
HISTORY_LOADS = 30
"""How many former loads of a feed gate 1 compares with: a month of daily ones."""


# ── Tables ────────────────────────────────────────────────────────────────────────────────────

_ORIGIN = "load_id integer, file_id integer, record_number bigint"
_EVENT = f"""event_id uuid, source_event_id varchar, user_id varchar, customer_id varchar,
    event_type varchar, event_category varchar, product_id varchar, product_name varchar,
    product_category varchar, event_value decimal(18, 4), event_properties varchar,
    page_url varchar, referrer_url varchar, ip_address varchar, user_agent varchar,
    device_type varchar, browser varchar, os varchar, location varchar, session_id varchar,
    created_at timestamp, {_ORIGIN}"""
TABLES = {
    "raw.events": _EVENT,
    "raw.duplicate_events": f"{_EVENT}, is_conflict boolean",
    "raw.customers": f"""row_id uuid, user_id varchar, customer_id varchar, email varchar,
        phone varchar, name varchar, birth_date date, gender varchar, country varchar,
        city varchar, latitude double, longitude double, signup_at timestamp,
        email_opt_in boolean, sms_opt_in boolean, loyalty_tier varchar, loyalty_points double,
        is_vip boolean, tags varchar, attributes varchar, updated_at timestamp, {_ORIGIN}""",
    "raw.organizations": f"""row_id uuid, user_id varchar, name varchar, org_type varchar,
        timezone varchar, currency varchar, latitude double, longitude double,
        gross_margin_rate double, updated_at timestamp, {_ORIGIN}""",
    "raw.load_ledger": """file_id integer, load_id integer, feed varchar, path varchar,
        size_bytes bigint, modified_at timestamp, sha256 varchar, row_count bigint,
        kept_count bigint, rejected_count bigint, duplicate_count bigint, conflict_count bigint,
        missing_line_count bigint, state varchar, reason varchar, loaded_at timestamp,
        run_id varchar""",
    "raw.rejected_rows": """feed varchar, file_id integer, load_id integer, path varchar,
        record_number bigint, rule varchar, detail varchar, rejected_at timestamp""",
    "restricted.rejected_texts": "file_id integer, record_number bigint, raw_text varchar",
    "raw.tenant_loads": """user_id varchar, feed varchar, load_id integer, loaded_at timestamp,
        row_count bigint""",
    "raw.recompute_requests": """request_id integer, user_id varchar, from_date date,
        to_date date, cause varchar, state varchar, run_id varchar""",
    "raw.run_ledger": """run_id varchar, step varchar, kind varchar, status varchar,
        row_count bigint, seconds double, started_at timestamp, code_checksum varchar,
        is_full_refresh boolean, message varchar""",
    "raw.releases": """release_id varchar, run_id varchar, published_at timestamp,
        as_of_date date, code_checksum varchar, is_accepted_by_hand boolean, message varchar""",
}


def create_raw_tables(con: Connection) -> None:
    """Create every table that loading, runs and releases write, where it does not exist yet."""
    con.execute("create schema if not exists raw")
    con.execute("create schema if not exists restricted")
    for table, columns in TABLES.items():
        con.execute(f"create table if not exists {table} ({columns})")


# ── Feeds ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Column:
    """A column of a raw table and how a file's value becomes one of its values.

    `source` is its name in files where that differs; `default` is SQL for an empty value.
    """

    name: str
    kind: Kind = "text"
    source: str = ""
    default: str = ""

    @property
    def source_name(self) -> str:
        """Return the column's name in files."""
        return self.source or self.name


@dataclass(frozen=True)
class Rule:
    """Why a row is rejected: SQL over the typed row and its `source_…` values, true when broken."""

    name: str
    detail: str
    condition: str


@dataclass(frozen=True)
class Feed:
    """What files of a feed hold; `key` names one thing that rows of a dimension feed describe."""

    name: str
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    rules: tuple[Rule, ...]
    extras: str = ""
    key: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """Return the raw table that the feed fills."""
        return f"raw.{self.name}"

    @property
    def is_dimension(self) -> bool:
        """Say whether rows are versions of a thing rather than events."""
        return bool(self.key)

    @property
    def content(self) -> tuple[str, ...]:
        """Return the columns that make two rows the same, but for ids and a version's time."""
        outside = {"source_event_id", "updated_at"}
        return tuple(c.name for c in self.columns if c.name not in outside)


def _missing(column: str) -> Rule:
    return Rule(f"missing_{column}", f"{column} is empty", f"{column} is null")


def _unreadable(column: str, kind: Kind) -> Rule:
    """Return the rule for a value that is there but cannot be read as what it should be."""
    broken = {
        "number": f"not coalesce(isfinite({column}), false)",
        "object": f"not coalesce(starts_with({column}, '{{'), false)",
        "list": f"not coalesce(starts_with({column}, '['), false)",
    }.get(kind, f"{column} is null")
    name, what = {
        "time": ("unreadable_timestamp", "time"),
        "date": ("unreadable_date", "date"),
        "number": ("unreadable_number", "finite number"),
        "flag": ("unreadable_boolean", "boolean"),
        "object": ("unreadable_json", "JSON object"),
        "list": ("unreadable_json", "list"),
    }[kind]
    condition = f"source_{column} is not null and {broken}"
    return Rule(name, f"{column} is not a readable {what}", condition)


def _unreadables(columns: Iterable[Column]) -> tuple[Rule, ...]:
    return tuple(_unreadable(c.name, c.kind) for c in columns if c.kind not in {"text", "word", "money"})


_TENANT = Column("user_id", default="'default'")
_VERSION = Column("updated_at", "time", default="{loaded_at}")
_NUMBER = "try_cast(source_event_value as double)"
_UNREADABLE_LINE = Rule("unreadable_line", "the line's structure is broken", "false")

EVENTS = Feed(
    name="events",
    columns=(
        Column("source_event_id", source="id"),
        _TENANT,
        *map(Column, ("customer_id", "event_type", "event_category")),
        *map(Column, ("product_id", "product_name", "product_category")),
        Column("event_value", "money"),
        Column("event_properties", "object"),
        *map(Column, ("page_url", "referrer_url", "ip_address", "user_agent")),
        *map(Column, ("device_type", "browser", "os")),
        Column("location", "object"),
        Column("session_id"),
        Column("created_at", "time"),
    ),
    required=("customer_id", "event_type", "created_at"),
    extras="event_properties",
    rules=(
        _missing("customer_id"),
        _missing("event_type"),
        Rule("unreadable_timestamp", "created_at is empty or no readable time", "created_at is null"),
        Rule(
            "future_timestamp",
            "created_at is later than the load plus one day",
            "created_at > {latest}",
        ),
        Rule(
            "timestamp_before_1970",
            "created_at is before 1970",
            "created_at < timestamp '1970-01-01'",
        ),
        Rule(
            "value_not_a_number",
            "event_value is not a number",
            f"source_event_value is not null and {_NUMBER} is null",
        ),
        Rule("value_negative", "event_value is below zero", f"{_NUMBER} < 0"),
        Rule("value_not_finite", "event_value is not finite", f"not isfinite({_NUMBER})"),
        Rule("value_above_limit", "event_value is above 1e9", f"{_NUMBER} > {MAX_EVENT_VALUE:.0f}"),
        _unreadable("event_properties", "object"),
        _unreadable("location", "object"),
    ),
)

_CUSTOMER_COLUMNS = (
    _TENANT,
    *map(Column, ("customer_id", "email", "phone", "name")),
    Column("birth_date", "date"),
    *map(Column, ("gender", "country", "city")),
    Column("latitude", "number"),
    Column("longitude", "number"),
    Column("signup_at", "time"),
    Column("email_opt_in", "flag"),
    Column("sms_opt_in", "flag"),
    Column("loyalty_tier"),
    Column("loyalty_points", "number"),
    Column("is_vip", "flag"),
    Column("tags", "list"),
    Column("attributes", "object"),
    _VERSION,
)
CUSTOMERS = Feed(
    name="customers",
    columns=_CUSTOMER_COLUMNS,
    required=("customer_id",),
    extras="attributes",
    key=("user_id", "customer_id"),
    rules=(_missing("customer_id"), *_unreadables(_CUSTOMER_COLUMNS)),
)

_ORGANIZATION_COLUMNS = (
    *map(Column, ("user_id", "name")),
    Column("org_type", "word"),
    *map(Column, ("timezone", "currency")),
    Column("latitude", "number"),
    Column("longitude", "number"),
    Column("gross_margin_rate", "number"),
    _VERSION,
)
ORGANIZATIONS = Feed(
    name="organizations",
    columns=_ORGANIZATION_COLUMNS,
    required=("user_id",),
    key=("user_id",),
    rules=(
        _missing("user_id"),
        Rule(
            "unknown_timezone",
            "timezone is not an IANA name",
            "timezone not in (select name from pg_timezone_names())",
        ),
        Rule(
            "unknown_org_type",
            f"org_type is none of {', '.join(ORG_TYPES)}",
            f"org_type not in {ORG_TYPES}",
        ),
        *_unreadables(_ORGANIZATION_COLUMNS),
    ),
)
FEEDS = {feed.name: feed for feed in (EVENTS, CUSTOMERS, ORGANIZATIONS)}


# ── SQL for values ────────────────────────────────────────────────────────────────────────────


def uuid_sql(parts: Sequence[str]) -> str:
    """Return SQL for the UUID of a key: md5 over its length-prefixed text parts, `n` for null.

    The lengths keep ('a', 'bc') and ('ab', 'c') apart. The dbt macro `surrogate_uuid` is the same
    formula, so that keys made here and there agree.
    """
    prefixed = ", ".join(f"coalesce(length({p})::varchar || ':' || {p}, 'n')" for p in parts)
    return f"md5(concat({prefixed}))::uuid"


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Write a value, or a list of values, as an SQL literal."""
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat(sep=' ')}'"
    if isinstance(value, str | Path):
        return "'" + str(value).replace("'", "''") + "'"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(literal(item) for item in value)}]"
    return str(value)


def _canonical_json(value: str) -> str:
    """Return SQL for minified JSON text without null members; null where it is not JSON.

    A null member says what an absent one says, and Parquet structs cannot leave members out: both
    must give the same content hash. Merging is the dearer way, so only where a null can be.
    """
    merged = f"json_merge_patch('{{}}', {value})"
    return f"try(case when contains({value}, 'null') then {merged} else json({value}) end)::varchar"


_READ_TEXT: dict[Kind, str] = {
    # Only a cast to timestamptz honours an offset or zone in the text; without one it takes the
    # session's zone, which is UTC here.
    "time": "timezone('UTC', try_cast(trim(?) as timestamptz))",
    "date": "try_cast(trim(?) as date)",
    "number": "try_cast(? as double)",
    "money": "try_cast(? as double)",
    "word": "lower(trim(?))",
    "flag": """case when lower(trim(?)) in ('true', 't', 'yes', 'y', '1', '1.0') then true
        when lower(trim(?)) in ('false', 'f', 'no', 'n', '0', '0.0') then false end""",
    "object": _canonical_json("?"),
    "list": f"""case when left(trim(?), 1) in ('[', '{{') then {_canonical_json("?")}
        else to_json(regexp_split_to_array(trim(?), '\\s*[,;|]\\s*'))::varchar end""",
}
"""SQL that reads text (`?`) as a kind, null where it cannot be read; other kinds are text."""

_READ_NATIVE: dict[tuple[Kind, str], str] = {
    # 17850.0 is how a column of whole ids with gaps leaves pandas.
    ("text", "float"): """case when ? = trunc(?) and abs(?) < 1e15 then ?::bigint::varchar
        else ?::varchar end""",
    ("text", "nested"): "to_json(?)::varchar",
    ("time", "zoned"): "timezone('UTC', ?)",
    ("time", "time"): "try_cast(? as timestamp)",
    ("time", "date"): "try_cast(? as timestamp)",
    ("date", "zoned"): "try_cast(? as date)",
    ("date", "time"): "try_cast(? as date)",
    ("date", "date"): "?",
    ("number", "float"): "?::double",
    ("number", "exact"): "?::double",
    ("money", "float"): "?::double",
    ("money", "exact"): "?::double",
    ("flag", "flag"): "?",
    ("object", "nested"): _canonical_json("to_json(?)"),
    ("list", "nested"): _canonical_json("to_json(?)"),
}
"""SQL for a value (`?`) of a typed file by kind and class of type; else its text is read."""


def _type_class(sql_type: str) -> str:
    """Return the class of an SQL type as _READ_NATIVE names it."""
    names = {
        "BOOLEAN": "flag",
        "DATE": "date",
        "DOUBLE": "float",
        "FLOAT": "float",
        "TIMESTAMP WITH TIME ZONE": "zoned",
    }
    if sql_type in names:
        return names[sql_type]
    if sql_type.startswith("TIMESTAMP"):
        return "time"
    if sql_type.startswith(("STRUCT", "MAP")) or sql_type.endswith("]"):
        return "nested"
    is_exact = sql_type.startswith("DECIMAL") or sql_type.endswith(("INT", "INTEGER"))
    return "exact" if is_exact else "text"


def _read_sql(column: Column, value: str, sql_type: str) -> tuple[str, str]:
    """Return SQL for the value as the file has it (null where empty), and for reading that as `?`."""
    native = _READ_NATIVE.get((column.kind, _type_class(sql_type)))
    if native:
        return value, native
    text = f"nullif({value}::varchar, '')"
    if column.kind in {"object", "list"}:
        text = f"nullif({text}, 'null')"
    return text, _READ_TEXT.get(column.kind, "?")


# ── Files ─────────────────────────────────────────────────────────────────────────────────────


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
    file_id: int = 0

    @property
    def format(self) -> Format:
        """Return how the file is written, by its name."""
        return FORMATS[self.location.suffix.lower()]

    @property
    def identity(self) -> tuple[str, int, datetime]:
        """Return what tells a known file without reading it."""
        return self.path, self.size_bytes, self.modified_at


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


def _fingerprinted(file: RawFile) -> RawFile:
    """Read a file once for its checksum and, where it is text, its encoding.

    A file that cannot be opened keeps an empty checksum; reading it then gives the reason.
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
    return changed(file, sha256=digest.hexdigest(), encoding=encoding)


def _encoding(decoder: codecs.IncrementalDecoder | None, block: bytes, so_far: str) -> str:
    if decoder is None or so_far != "utf-8":
        return so_far
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return "latin-1"
    return so_far


# ── Reading: files of one format and one set of columns are one source ────────────────────────


@dataclass(frozen=True)
class Source:
    """Files that one scan can read: `columns` maps the file's column names to their SQL types.

    `staged` is the temporary table that already holds the lines of text files.
    """

    format: Format
    columns: dict[str, str]
    files: tuple[RawFile, ...]
    staged: str = ""


@dataclass
class Reading:
    """What reading found: sources, data records per file id, and why a file cannot be loaded."""

    sources: list[Source] = field(default_factory=list)
    row_counts: dict[int, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class _UnreadableFileError(Exception):
    """A file cannot be loaded; the message says why and what to do."""


def _read(con: Connection, feed: Feed, files: Sequence[RawFile]) -> Reading:
    """Group files into sources; lines of text files go through temporary tables."""
    con.execute("create or replace temp table broken_lines (file_id integer, record_number bigint, raw_text varchar)")
    reading = Reading()
    groups: dict[tuple, list[RawFile]] = defaultdict(list)
    for file in files:
        try:
            columns = _columns(con, feed, file)
        except (_UnreadableFileError, duckdb.Error, OSError, csv.Error, ValueError) as error:
            reading.problems[file.path] = _problem(file, error)
        else:
            groups[(file.format, *sorted(columns.items()))].append(file)
    for number, (key, members) in enumerate(groups.items()):
        source = Source(key[0], dict(key[1:]), tuple(members), f"staged_{number}")
        _read_source(con, feed, source, reading)
    return reading


def _problem(file: RawFile, error: Exception) -> str:
    if isinstance(error, _UnreadableFileError):
        return f"{file.path}: {error}"
    first_line = str(error).strip().split("\n")[0].replace(str(file.location), file.path)
    return (
        f"{file.path}: cannot be read as {file.format} ({first_line}): write the file anew, take it out of raw/,"
        f" or have it tried again with `warehouse load retry {file.path}`"
    )


def _columns(con: Connection, feed: Feed, file: RawFile) -> dict[str, str]:
    """Return the columns of a file with their types; raise where a required one is missing."""
    if file.format == "jsonl":
        return {c.source_name: "VARCHAR" for c in feed.columns}
    if file.format == "csv":
        columns = dict.fromkeys(_csv_header(file), "VARCHAR")
    else:
        scan = f"select * from {_parquet_sql([file])}"
        columns = {row[0]: row[1] for row in con.execute(f"describe {scan}").fetchall()}
        if reserved := {"file_index", "file_row_number"} & {name.lower() for name in columns}:
            message = f"column {min(reserved)} has a reserved name: rename it"
            raise _UnreadableFileError(message)
    _require(feed, {name.lower() for name in columns})
    return columns


def _require(feed: Feed, present: Collection[str]) -> None:
    if missing := [name for name in feed.required if name not in present]:
        names = ", ".join(missing)
        message = f"required column missing: {names}: name the columns as the {feed.name} feed does"
        raise _UnreadableFileError(message)


def _read_source(con: Connection, feed: Feed, source: Source, reading: Reading) -> None:
    """Count a source's records, staging text lines; files that fail become problems."""
    if source.format == "parquet":
        kept = source.files
        paths = literal([file.location for file in kept])
        counts = f"select file_name, num_rows from parquet_file_metadata({paths})"
        by_name = dict(con.execute(counts).fetchall())
        reading.row_counts |= {file.file_id: by_name[str(file.location)] for file in kept}
    else:
        stage = _stage_csv if source.format == "csv" else _stage_jsonl
        con.execute(f"create or replace temp table {source.staged} ({_staged_columns(source)})")
        kept = []
        for file in source.files:
            try:
                reading.row_counts[file.file_id] = stage(con, feed, source, file)
                kept.append(file)
            except (_UnreadableFileError, duckdb.Error, OSError) as error:
                reading.problems[file.path] = _problem(file, error)
    if kept:
        reading.sources.append(changed(source, files=tuple(kept)))
        _warn_of_dropped_columns(feed, source, reading)


def _warn_of_dropped_columns(feed: Feed, source: Source, reading: Reading) -> None:
    if not feed.extras and (extra := _extra_columns(feed, source)):
        names = ", ".join(sorted(extra))
        reading.warnings.append(f"{feed.name}: columns without a place were not kept: {names}")


def _extra_columns(feed: Feed, source: Source) -> dict[str, str]:
    known = {column.source_name for column in feed.columns}
    return {
        name: sql_type
        for name, sql_type in source.columns.items()
        if name.lower() not in known and not name.startswith("__index_level_")  # pandas' own
    }


def _parquet_sql(files: Sequence[RawFile]) -> str:
    paths = literal([file.location for file in files])
    return f"read_parquet({paths}, binary_as_string = true, hive_partitioning = false)"


def _csv_header(file: RawFile) -> list[str]:
    """Return the column names of a CSV file; an unnamed column is called by its place."""
    with file.location.open(encoding=_python_encoding(file), newline="") as stream:
        header = next(csv.reader(stream, delimiter=_delimiter(file)), [])
    names = [name.strip() or f"column_{place}" for place, name in enumerate(header, start=1)]
    if not names:
        message = "is empty: the first line must name the columns"
        raise _UnreadableFileError(message)
    counts = Counter(map(str.lower, names))
    if twice := [name for name, count in counts.items() if count > 1]:
        message = f"column {twice[0]} stands twice in the header: rename one"
        raise _UnreadableFileError(message)
    return names


def _python_encoding(file: RawFile) -> str:
    return "utf-8-sig" if file.encoding == "utf-8" else file.encoding


def _delimiter(file: RawFile) -> str:
    """Return the delimiter that cuts the header into most columns; a comma where none does."""
    with file.location.open(encoding=_python_encoding(file), newline="") as stream:
        line = stream.readline(BLOCK_BYTES)
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _staged_columns(source: Source) -> str:
    names = ["line"] if source.format == "jsonl" else [identifier(name) for name in source.columns]
    texts = ", ".join(f"{name} varchar" for name in names)
    return f"file_id integer, record_number bigint, {texts}"


def _stage_csv(con: Connection, _feed: Feed, source: Source, file: RawFile) -> int:
    """Copy a CSV file's records into the staged table and return how many it has, broken ones too.

    The strict reader stops at a file that mixes line ends, and the lenient one drops surplus
    fields without a word: such a file is read strictly from a copy with one kind of line end.
    """
    try:
        return _stage_strict_csv(con, source, file, file.location)
    except duckdb.InvalidInputException:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "unix.csv")
            with file.location.open("rb") as old, copy.open("wb") as new:
                for line in old:
                    new.write(line.removesuffix(b"\r\n") + b"\n" if line[-2:] == b"\r\n" else line)
            return _stage_strict_csv(con, source, file, copy)


def _stage_strict_csv(con: Connection, source: Source, file: RawFile, location: Path) -> int:
    con.execute("drop table if exists csv_errors")
    con.execute("drop table if exists csv_scans")
    header = _csv_header(file)
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    names = ", ".join(identifier(name) for name in header)
    con.execute(f"""
        insert into {source.staged} by name
        select {file.file_id} as file_id, row_number() over () as record_number, {names}
        from read_csv({literal(location)}, columns = {{{types}}}, auto_detect = false,
            header = true, delim = {literal(_delimiter(file))}, quote = '"', escape = '"',
            encoding = {literal(file.encoding)}, max_line_size = {MAX_CSV_RECORD_BYTES},
            store_rejects = true, rejects_limit = 0,
            rejects_table = 'csv_errors', rejects_scan = 'csv_scans')
    """)
    broken = _scalar(
        con,
        f"""insert into broken_lines
        select {file.file_id}, line - 1, any_value(csv_line) from csv_errors group by line""",
    )
    if broken:
        _count_broken_records(con, source, file)
    return broken + _scalar(con, f"select count(*) from {source.staged} where file_id = {file.file_id}")


def _count_broken_records(con: Connection, source: Source, file: RawFile) -> None:
    """Give the good records the numbers that they have in the file, among the broken ones.

    Until now a good record carries its place among the good ones. Blank lines count as records
    where DuckDB counts them: in the number of a broken record after them.
    """
    con.execute(f"""
        with broken as (
            select row_number() over (order by record_number) as broken_so_far,
                record_number - broken_so_far as good_before
            from broken_lines where file_id = {file.file_id}
        ), spans as (
            select good_before, broken_so_far,
                lead(good_before, 1, {2**62}) over (order by broken_so_far) as good_until
            from broken
        )
        update {source.staged} as staged
        set record_number = staged.record_number + spans.broken_so_far
        from spans
        where staged.file_id = {file.file_id}
            and staged.record_number > spans.good_before
            and staged.record_number <= spans.good_until
    """)


def _stage_jsonl(con: Connection, feed: Feed, source: Source, file: RawFile) -> int:
    """Copy a JSON Lines file into the staged table and return its records; blank lines are none.

    Lines are cut here rather than by a reader of DuckDB: read_json turns a bad line into nulls and
    read_csv loses count at blank lines and mixed line ends.
    """
    first_line, record_count = 1, 0
    for text in _blocks_of_lines(file):
        record_count += _stage_lines(con, source, file, text, first_line)
        first_line += text.count("\n")
    found = ", ".join(f"count(json_extract_string(line, '$.{name}'))" for name in feed.required)
    objects, *filled = con.execute(
        f"select count(*), {found} from {source.staged} where file_id = {file.file_id}"
    ).fetchone()
    if objects:
        present = itertools.compress(feed.required, filled)
        _require(feed, set(present))
    return record_count


def _blocks_of_lines(file: RawFile) -> Iterator[str]:
    """Yield the text of a file in blocks of whole lines."""
    rest = b""
    with file.location.open("rb") as stream:
        if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            stream.seek(0)
        while block := stream.read(BLOCK_BYTES):
            lines, line_end, rest = (rest + block).rpartition(b"\n")
            if line_end:
                yield (lines + line_end).decode(file.encoding)
    if rest:
        yield rest.decode(file.encoding)


def _stage_lines(con: Connection, source: Source, file: RawFile, text: str, first_line: int) -> int:
    con.execute(
        f"""create or replace temp table json_lines as
        with lines as (select string_split($text, chr(10)) as lines),
        numbered as (
            select unnest(lines) as line, generate_subscripts(lines, 1) as place from lines
        )
        select place + {first_line} - 1 as record_number, line,
            case when starts_with(ltrim(line), '{{') then try(json(line))::varchar end as object
        from numbered where trim(line, e' \t\r') <> ''""",
        {"text": text},
    )
    good = _scalar(
        con,
        f"""insert into {source.staged}
        select {file.file_id}, record_number, object from json_lines where object is not null""",
    )
    broken = _scalar(
        con,
        f"""insert into broken_lines
        select {file.file_id}, record_number, line from json_lines where object is null""",
    )
    return good + broken


def _scalar(con: Connection, sql: str) -> int:
    """Return the first value of a query, or how many rows a statement changed."""
    return con.execute(sql).fetchone()[0]


# ── Typed rows ────────────────────────────────────────────────────────────────────────────────


def _scan_sql(feed: Feed, source: Source) -> str:
    """Return SQL that yields the rows of a source: file_id, record_number, raw_text, columns."""
    columns = ", ".join(map(identifier, source.columns))
    if source.format == "parquet":
        ids = literal([file.file_id for file in source.files])
        return f"""select ({ids})[(file_index + 1)::bigint] as file_id, file_row_number + 1 as record_number,
            {_row_json(source.columns)} as raw_text, {columns}
            from {_parquet_sql(source.files)}"""
    ids = ", ".join(str(file.file_id) for file in source.files)
    if source.format == "csv":
        return f"""select file_id, record_number, {_row_json(source.columns)} as raw_text, {columns}
            from {source.staged} where file_id in ({ids})"""
    structure = literal(json.dumps(source.columns))
    known = literal(json.dumps(dict.fromkeys(c.source_name for c in feed.columns)))
    return f"""select file_id, record_number, line as raw_text,
            json_merge_patch(line, {known}) as other_members,
            unnest(from_json(line, {structure}))
        from {source.staged} where file_id in ({ids})"""


def _row_json(columns: dict[str, str]) -> str:
    pairs = ", ".join(f"{literal(name)}, {identifier(name)}" for name in columns)
    return f"json_object({pairs})"


def _extras_sql(feed: Feed, source: Source) -> str | None:
    """Return SQL for a JSON object of what the feed has no column for; None: there is nothing."""
    if source.format == "jsonl":
        return "json_merge_patch('{}', other_members)"
    extra = _extra_columns(feed, source)
    pairs = [f"{literal(name)}, {_extra_value(name, kind)}" for name, kind in extra.items()]
    return f"json_merge_patch('{{}}', json_object({', '.join(pairs)}))" if pairs else None


def _extra_value(name: str, sql_type: str) -> str:
    value = identifier(name)
    if sql_type == "VARCHAR":
        return f"nullif({value}, '')"
    if sql_type in {"DOUBLE", "FLOAT"}:  # NaN is no JSON
        return f"case when isfinite({value}) then {value} end"
    return value


def _typed_sql(feed: Feed, source: Source, loaded_at: datetime) -> str:
    """Return SQL for the typed rows of a source; an empty or unreadable value is null there.

    Beside each typed column stands `source_<column>`, the value as the file has it, so that rules
    can tell an empty value from an unreadable one.
    """
    present = {name.lower(): (identifier(name), kind) for name, kind in source.columns.items()}
    extras = _extras_sql(feed, source) if feed.extras else None
    values, typed = [], []
    for column in feed.columns:
        name = f"source_{column.name}"
        value, reader = _read_sql(column, *present.get(column.source_name, ("null", "VARCHAR")))
        values.append(f"{value} as {name}")
        read = reader.replace("?", name)
        if extras and column.name == feed.extras:
            read = f"""(case when {name} is null then extras
                else json_merge_patch(extras, {read}) end)::varchar"""
        if column.default:
            default = column.default.format(loaded_at=literal(loaded_at))
            read = f"case when {name} is null then {default} else {read} end"
        typed.append(f"{read} as {column.name}")
    return f"""select *, {", ".join(typed)} from (
        select file_id, record_number, raw_text, {extras or "null"} as extras, {", ".join(values)}
        from ({_scan_sql(feed, source)}))"""


def _conditions(feed: Feed, loaded_at: datetime) -> list[str]:
    latest = literal(loaded_at + FUTURE_TOLERANCE)
    return [rule.condition.replace("{latest}", latest) for rule in feed.rules]


def _key_sql(feed: Feed, source: Source) -> tuple[str, str]:
    """Return the name of a row's id and SQL for it.

    An event's id comes from its tenant and source id, else from its whole content: identical lines
    of one file are told apart later. A version of a customer or organization is told by the
    content of its file and its place there, because the same content may rightly come again.
    """
    if feed.is_dimension:
        shas = {file.file_id: file.sha256 for file in source.files}
        whens = " ".join(f"when {file_id} then '{sha256}'" for file_id, sha256 in shas.items())
        return "row_id", uuid_sql([f"(case file_id {whens} end)", "record_number::varchar"])
    by_content = uuid_sql([f"{name}::varchar" for name in feed.content])
    if not any(name.lower() == "id" for name in source.columns):
        return "event_id", by_content
    by_id = uuid_sql(["user_id", "source_event_id"])
    return "event_id", f"case when source_event_id is null then {by_content} else {by_id} end"


def _kept_columns(feed: Feed) -> str:
    """Return the select list of the raw table's own columns: ready to be compared and stored."""
    return ", ".join(_kept_column(column) for column in feed.columns)


def _kept_column(column: Column) -> str:
    if column.kind == "money":
        return f"try_cast({column.name} as decimal(18, 4)) as {column.name}"
    if column.kind == "object":
        return f"nullif({column.name}, '{{}}') as {column.name}"
    return column.name


def _insert_valid_rows(con: Connection, feed: Feed, source: Source, load: _Load) -> None:
    name, key = _key_sql(feed, source)
    broken = " or ".join(f"({c})" for c in _conditions(feed, load.job.loaded_at))
    con.execute(f"""
        insert into {feed.table} by name
        select {key} as {name}, *, {load.load_id} as load_id
        from (
            select file_id, record_number, {_kept_columns(feed)}
            from ({_typed_sql(feed, source, load.job.loaded_at)})
            where ({broken}) is not true
        )
    """)


def _insert_rejects(con: Connection, feed: Feed, source: Source, load: _Load) -> None:
    """Quarantine the rows that break a rule, under the first rule that they break."""
    conditions = _conditions(feed, load.job.loaded_at)
    whens = " ".join(f"when {condition} then {i}" for i, condition in enumerate(conditions))
    con.execute(f"""
        insert into load_rejects
        select file_id, record_number, rule, raw_text::varchar
        from (
            select file_id, record_number, raw_text, case {whens} end as rule
            from ({_typed_sql(feed, source, load.job.loaded_at)})
        )
        where rule is not null
    """)


# ── Duplicates ────────────────────────────────────────────────────────────────────────────────


def _number_identical_lines(con: Connection, load_id: int) -> None:
    """Give the n-th identical line without id of one file (n ≥ 2) an id of its own.

    So they are all kept, and a file that repeats them, in whole or in part, adds nothing.
    """
    con.execute(f"""
        create or replace temp table later_copies as
        with repeated as (
            select file_id, event_id from raw.events
            where load_id = {load_id} and source_event_id is null
            group by all having count(*) > 1
        )
        select events.rowid as position, events.event_id::varchar as content_id,
            (row_number() over (
                partition by events.file_id, events.event_id order by events.record_number
            ))::varchar as copy
        from raw.events semi join repeated
            on events.file_id = repeated.file_id and events.event_id = repeated.event_id
        where load_id = {load_id} and source_event_id is null
        qualify copy <> '1'
    """)
    con.execute(f"""
        update raw.events set event_id = {uuid_sql(["content_id", "copy"])}
        from later_copies where events.rowid = later_copies.position
    """)


def _find_event_duplicates(con: Connection, load_id: int) -> None:
    """Fill load_duplicates with the rows of a load that lose against an earlier row of their id.

    Grouping finds the few repeated ids at a tenth of the cost of numbering all rows. The stored
    row of an id wins against any new one; among new ones the earlier file, then record, wins.
    Whole rows are read only to tell conflicts, and of the winners' files only.
    """
    con.execute(f"""
        create or replace temp table losers as
        with repeated as (
            select event_id from raw.events where load_id = {load_id}
            group by event_id having count(*) > 1
            union
            select event_id from raw.events where load_id = {load_id}
                and event_id in (select event_id from raw.events where load_id <> {load_id})
        ), candidates as (
            select rowid as position, event_id, load_id, file_id, record_number from raw.events
            where event_id in (select event_id from repeated)
        )
        select position, file_id, first(position) over in_order as winner,
            first(file_id) over in_order as winner_file_id
        from candidates
        window in_order as (partition by event_id order by load_id, file_id, record_number)
        qualify position <> winner
    """)
    first_file, last_file = con.execute("""
        select coalesce(min(winner_file_id), 0), coalesce(max(winner_file_id), 0) from losers
    """).fetchone()
    con.execute(f"""
        create or replace temp table load_duplicates as
        select losers.position, losers.file_id, {_differs("events", "winners")} as is_conflict
        from losers
        join raw.events as events on events.rowid = losers.position and events.load_id = {load_id}
        join raw.events as winners on winners.rowid = losers.winner
            and winners.file_id between {first_file} and {last_file}
    """)


def _differs(left: str, right: str) -> str:
    sides = (f"({', '.join(f'{side}.{c}' for c in EVENTS.content)})" for side in (left, right))
    return " is distinct from ".join(sides)


def _find_version_duplicates(con: Connection, feed: Feed, load: _Load) -> None:
    """Fill load_duplicates with rows of a load that say nothing new about their key.

    A row with its own updated_at repeats an equal row of the same time; one without (it has the
    load's time) repeats the version before it, so that a value that comes back is a new version.
    """
    key = ", ".join(feed.key)
    content = uuid_sql([f"{name}::varchar" for name in feed.content])
    order = "load_id, file_id, record_number"
    con.execute(f"""
        create or replace temp table load_duplicates as
        with versions as (
            select rowid as position, {key}, updated_at, load_id, file_id, record_number,
                {content} as content, updated_at = {literal(load.job.loaded_at)} as is_undated
            from {feed.table}
            where ({key}) in (select ({key}) from {feed.table} where load_id = {load.load_id})
        ), numbered as (
            select *, row_number() over (
                partition by {key}, content, updated_at order by {order}
            ) as copy
            from versions
        ), dated_duplicates as (
            select position, file_id, load_id from numbered where copy > 1 and not is_undated
        ), undated_duplicates as (
            select position, file_id, load_id
            from numbered where copy = 1 or is_undated
            qualify is_undated and content = lag(content) over (
                partition by {key} order by updated_at, {order}
            )
        )
        select position, file_id, false as is_conflict
        from (from dated_duplicates union all from undated_duplicates)
        where load_id = {load.load_id}
    """)


def _set_duplicates_aside(con: Connection, feed: Feed) -> None:
    """Take the found duplicates out of the feed's table; whole events wait in duplicate_events."""
    if not feed.is_dimension:
        con.execute("""
            insert into raw.duplicate_events by name
            select events.*, found.is_conflict
            from raw.events join load_duplicates as found on events.rowid = found.position
        """)
    con.execute(f"delete from {feed.table} where rowid in (select position from load_duplicates)")


def _missing_lines(con: Connection, feed: Feed, file: RawFile) -> int:
    """Count what the former version of a path had and this one lacks, before duplicates leave.

    Of events: lines of the former version. Of dimension feeds: keys that any former version had,
    less those that the former version lacked already: a changed row is no missing one.
    """
    former = con.execute(
        f"""select file_id, missing_line_count from raw.load_ledger
        where path = $path and {_LIVE} order by file_id""",
        {"path": file.path},
    ).fetchall()
    if not former:
        return 0
    if feed.is_dimension:
        ids = ", ".join(str(file_id) for file_id, _ in former)
        key = ", ".join(feed.key)
        old = f"select {key} from {feed.table} where file_id in ({ids})"
        new = f"select {key} from {feed.table} where file_id = {file.file_id}"
        known = sum(missing for _, missing in former)
    else:
        old = " union ".join(
            f"select event_id from {table} where file_id = {former[-1][0]}"
            for table in ("raw.events", "raw.duplicate_events")
        )
        new = f"select event_id from raw.events where file_id = {file.file_id}"
        known = 0
    return max(0, _scalar(con, f"select count(*) from ({old} except {new})") - known)


# ── Loading ───────────────────────────────────────────────────────────────────────────────────

_LIVE = "state in ('pending', 'published')"


def _silent(_message: str) -> None:
    """Ignore a progress message."""


@dataclass(frozen=True)
class Job:
    """What all loads of one run share: `loaded_at` is UTC without a zone.

    `replaced` names a path whose former versions are withdrawn in the same transaction;
    `accepted_because` tells gate 1's former verdict, which is then only noted.
    """

    run_id: str
    loaded_at: datetime
    known_event_types: frozenset[str] = frozenset()
    docs_dir: Path | None = None
    on_progress: Callable[[str], None] = _silent
    replaced: str = ""
    accepted_because: str = ""


@dataclass(frozen=True)
class _Load:
    """The new files of one feed in one run.

    `copies` come with the path that has the same content; `sources` hold the fresh files that no
    attempt has refused so far.
    """

    load_id: int
    job: Job
    fresh: tuple[RawFile, ...]
    copies: tuple[tuple[RawFile, str], ...]
    sources: tuple[Source, ...] = ()

    @property
    def files(self) -> list[RawFile]:
        """Return the files that are brought in, in path order."""
        files = (file for source in self.sources for file in source.files)
        return sorted(files, key=lambda file: file.file_id)


@dataclass(frozen=True)
class LedgerRow:
    """One row of raw.load_ledger: what became of one version of one file."""

    file_id: int
    load_id: int
    feed: str
    path: str
    size_bytes: int
    modified_at: datetime
    sha256: str
    row_count: int
    kept_count: int
    rejected_count: int
    duplicate_count: int
    conflict_count: int
    missing_line_count: int
    state: State
    reason: str | None
    loaded_at: datetime
    run_id: str


@dataclass(frozen=True)
class LoadReport:
    """What a run's loading did, file by file.

    `anything_new` says that something waits to be published: a load of this run, or one that a
    former run loaded and did not publish, or a recompute request.
    """

    files: tuple[LedgerRow, ...] = ()
    warnings: tuple[str, ...] = ()
    gates: dict[str, GateResult] = field(default_factory=dict)
    anything_new: bool = False

    @property
    def refused(self) -> tuple[LedgerRow, ...]:
        """Return the files that were not loaded; `reason` says why and what to do."""
        return tuple(row for row in self.files if row.state == "refused")

    @property
    def load_ids(self) -> tuple[int, ...]:
        """Return the loads of this run that wait to be published."""
        return tuple(sorted({row.load_id for row in self.files if row.state == "pending"}))


class LoadError(RuntimeError):
    """Loading cannot do what was asked, or its books do not balance; nothing was changed."""


@dataclass(frozen=True)
class _Refusal:
    """Why a file may not enter, and how many of its rows were rejected, where that is known."""

    reason: str
    rejected_count: int = 0


class _RefusedError(Exception):
    """Some files of an attempted load may not enter; the attempt is rolled back."""

    def __init__(self, refusals: dict[str, _Refusal]) -> None:
        super().__init__(", ".join(refusals))
        self.refusals = refusals


@contextmanager
def _transaction(con: Connection) -> Iterator[None]:
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def load_new_files(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    *,
    run_id: str,
    loaded_at: datetime,
    known_event_types: Collection[str] = (),
    docs_dir: Path | None = None,
    on_progress: Callable[[str], None] = _silent,
) -> LoadReport:
    """Load every file under `raw_dir` that is new, and report what became of each.

    Args:
        con: the only connection to the working warehouse; its TimeZone is set to UTC.
        raw_dir: folder with one folder per feed.
        run_id: recorded with every file.
        loaded_at: the run's time; taken as UTC when it has no zone.
        known_event_types: gate 1 warns about others; empty: all are fine.
        docs_dir: where gate 1 writes its Data Docs; None: nowhere.
        on_progress: told what was done, one sentence at a time.

    A file that cannot be read or that gate 1 refuses becomes a ledger row and a reason, never an
    exception. Each feed commits by itself.

    """
    types = frozenset(known_event_types)
    job = _prepared(con, Job(run_id, loaded_at, types, docs_dir, on_progress))
    files, warnings = find_files(raw_dir)
    report = LoadReport(warnings=tuple(warnings))
    for feed in FEEDS.values():
        if new := _new_files(con, [file for file in files if file.feed == feed.name]):
            report = _joined(report, _load_feed(con, feed, new, job))
    return changed(report, anything_new=bool(pending_loads(con) or pending_requests(con)))


def _prepared(con: Connection, job: Job) -> Job:
    """Make the connection and tables ready for a job and bring its time to UTC without a zone."""
    con.execute("set TimeZone = 'UTC'")
    create_raw_tables(con)
    if job.loaded_at.tzinfo is None:
        return job
    return changed(job, loaded_at=job.loaded_at.astimezone(UTC).replace(tzinfo=None))


def _joined(left: LoadReport, right: LoadReport) -> LoadReport:
    return LoadReport(left.files + right.files, left.warnings + right.warnings, left.gates | right.gates)


def _new_files(con: Connection, files: Sequence[RawFile]) -> list[RawFile]:
    """Return the files whose path, size and time the ledger does not know, with their checksums."""
    known = set(
        con.execute("""
            select path, size_bytes, modified_at from raw.load_ledger where state <> 'withdrawn'
        """).fetchall()
    )
    new = [file for file in files if file.identity not in known]
    first_id = _scalar(con, "select coalesce(max(file_id), 0) + 1 from raw.load_ledger")
    return [changed(_fingerprinted(f), file_id=i) for i, f in enumerate(new, start=first_id)]


def _load_feed(con: Connection, feed: Feed, files: Sequence[RawFile], job: Job) -> LoadReport:
    """Load the new files of one feed in one transaction, without those that are refused."""
    started = time.monotonic()
    load_id = _scalar(con, "select coalesce(max(load_id), 0) + 1 from raw.load_ledger")
    fresh, copies = _without_known_content(con, feed, files, job.replaced)
    reading = _read(con, feed, fresh)
    load = _Load(load_id, job, tuple(fresh), tuple(copies))
    try:
        rows, gate = _commit(con, feed, load, reading)
    finally:
        _drop_temporary_tables(con, reading)
    _tell(feed, rows, job, time.monotonic() - started)
    warnings = (*reading.warnings, *(gate.warnings if gate else ()), *_missing_warnings(rows))
    return LoadReport(tuple(rows), warnings, {feed.name: gate} if gate else {})


def _commit(con: Connection, feed: Feed, load: _Load, reading: Reading) -> tuple[list[LedgerRow], GateResult | None]:
    """Attempt a load until no further file is refused, and commit that attempt."""
    refused = {path: _Refusal(reason) for path, reason in reading.problems.items()}
    while True:
        sources = (_without(source, refused) for source in reading.sources)
        attempt = changed(load, sources=tuple(source for source in sources if source.files))
        try:
            with _transaction(con):
                return _attempt(con, feed, attempt, reading, refused)
        except _RefusedError as error:
            refused |= error.refusals


def _attempt(
    con: Connection,
    feed: Feed,
    load: _Load,
    reading: Reading,
    refused: dict[str, _Refusal],
) -> tuple[list[LedgerRow], GateResult | None]:
    """Bring a load in and let gate 1 judge it; raise _RefusedError when it refuses more files."""
    if load.job.replaced and (load.files or load.copies):
        versions = _versions(con, load.job.replaced)
        _withdraw(con, feed, versions, load.job, f"replaced: {load.job.replaced}")
    counts = _insert(con, feed, load, reading) if load.files else _Counts()
    gate = _judge(con, feed, load, counts, refused) if load.fresh else None
    if gate and not load.job.accepted_because:
        more = {
            file.path: _Refusal(gate.refused[file.path], counts.rejected.get(file.file_id, 0))
            for file in load.files
            if file.path in gate.refused
        }
        if more:
            raise _RefusedError(more)
    rows = _ledger_rows(load, reading, counts, refused)
    _write_ledger(con, rows)
    return rows, gate


def _without(source: Source, refused: Collection[str]) -> Source:
    return changed(source, files=tuple(f for f in source.files if f.path not in refused))


def _without_known_content(
    con: Connection, feed: Feed, files: Sequence[RawFile], replaced: str
) -> tuple[list[RawFile], list[tuple[RawFile, str]]]:
    """Part files with new content from copies; a copy comes with the path that was loaded."""
    paths = dict(
        con.execute(
            f"select sha256, path from raw.load_ledger where {_LIVE} and feed = $feed and path <> $replaced",
            {"feed": feed.name, "replaced": replaced},
        ).fetchall()
    )
    fresh, copies = [], []
    for file in files:
        if file.sha256 and file.sha256 in paths:
            copies.append((file, paths[file.sha256]))
        else:
            paths[file.sha256] = file.path
            fresh.append(file)
    return fresh, copies


@dataclass(frozen=True)
class _Counts:
    """What became of the records of the files of one load: every mapping is by file id."""

    rows: dict[int, int] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    rejected: dict[int, int] = field(default_factory=dict)
    duplicate: dict[int, int] = field(default_factory=dict)
    conflict: dict[int, int] = field(default_factory=dict)
    missing: dict[int, int] = field(default_factory=dict)

    def of(self, file: RawFile) -> dict[str, int]:
        """Return the counts of one file under the ledger's names."""
        return {
            "kept_count": self.kept.get(file.file_id, 0),
            "rejected_count": self.rejected.get(file.file_id, 0),
            "duplicate_count": self.duplicate.get(file.file_id, 0),
            "conflict_count": self.conflict.get(file.file_id, 0),
            "missing_line_count": self.missing.get(file.file_id, 0),
        }

    def check(self, files: Sequence[RawFile]) -> None:
        """Raise LoadError unless rows in the file = kept + rejected + duplicate, for each file."""
        for file in files:
            parts = [part.get(file.file_id, 0) for part in (self.kept, self.rejected, self.duplicate)]
            if sum(parts) != self.rows[file.file_id]:
                message = (
                    f"{file.path}: {self.rows[file.file_id]} rows in the file, but kept, rejected"
                    f" and duplicate are {parts}"
                )
                raise LoadError(message)


def _insert(con: Connection, feed: Feed, load: _Load, reading: Reading) -> _Counts:
    """Bring the rows of a load into the feed's table, its rejects and duplicates to their places."""
    _insert_rows(con, feed, load)
    rejected = _quarantine(con, feed, load, reading)
    if feed.is_dimension:
        _find_version_duplicates(con, feed, load)
    else:
        _number_identical_lines(con, load.load_id)
        _find_event_duplicates(con, load.load_id)
    missing = {file.file_id: _missing_lines(con, feed, file) for file in load.files}
    duplicates = "select file_id, count(*) from load_duplicates"
    duplicate = _by_file(con, f"{duplicates} group by file_id")
    conflict = _by_file(con, f"{duplicates} where is_conflict group by file_id")
    _set_duplicates_aside(con, feed)
    kept = _by_file(con, _kept_sql(feed, load.load_id))
    counts = _Counts(reading.row_counts, kept, rejected, duplicate, conflict, missing)
    counts.check(load.files)
    _write_tenant_loads(con, feed, load.load_id, load.job.loaded_at)
    return counts


def _kept_sql(feed: Feed, load_id: int) -> str:
    return f"select file_id, count(*) from {feed.table} where load_id = {load_id} group by file_id"


def _by_file(con: Connection, sql: str) -> dict[int, int]:
    return dict(con.execute(sql).fetchall())


def _insert_rows(con: Connection, feed: Feed, load: _Load) -> None:
    """Insert the valid rows of all sources; raise _RefusedError for files that break on the way."""
    for source in load.sources:
        try:
            _insert_valid_rows(con, feed, source, load)
        except duckdb.Error as error:
            if source.format == "parquet" and (broken := _broken_parquet(source)):
                refusals = {path: _Refusal(reason) for path, reason in broken.items()}
                raise _RefusedError(refusals) from error
            raise


def _broken_parquet(source: Source) -> dict[str, str]:
    """Read each file alone, to its last value, and say which cannot be read.

    A Parquet file's footer may be sound and a page within broken. The files are read over a
    connection of their own, because the load's transaction is lost already.
    """
    reasons = {}
    with duckdb.connect() as other:
        for file in source.files:
            try:
                other.execute(f"select bit_xor(hash(t)) from {_parquet_sql([file])} as t")
            except duckdb.Error as error:
                reasons[file.path] = _problem(file, error)
    return reasons


def _quarantine(con: Connection, feed: Feed, load: _Load, reading: Reading) -> dict[int, int]:
    """Write the rejected rows of a load and return their number by file id.

    Valid rows are counted first: files without a missing one are not read again.
    """
    con.execute(
        "create or replace temp table load_rejects"
        " (file_id integer, record_number bigint, rule integer, raw_text varchar)"
    )
    inserted = _by_file(con, _kept_sql(feed, load.load_id))
    incomplete = {file.path for file in load.files if inserted.get(file.file_id, 0) < reading.row_counts[file.file_id]}
    for source in load.sources:
        complete = {file.path for file in source.files} - incomplete
        if (part := _without(source, complete)).files:
            _insert_rejects(con, feed, part, load)
    if not incomplete:
        return {}
    ids = ", ".join(str(file.file_id) for file in load.files)
    con.execute(f"""
        insert into load_rejects
        select file_id, record_number, {len(feed.rules)}, raw_text
        from broken_lines where file_id in ({ids})
    """)
    _write_rejects(con, feed, load)
    return _by_file(con, "select file_id, count(*) from load_rejects group by file_id")


def _write_rejects(con: Connection, feed: Feed, load: _Load) -> None:
    rules = (*feed.rules, _UNREADABLE_LINE)
    con.execute(
        f"""
        insert into raw.rejected_rows by name
        with rules as (
            select unnest($names) as name, unnest($details) as detail,
                generate_subscripts($names, 1) - 1 as number
        ), files as (select unnest($ids) as file_id, unnest($paths) as path)
        select {literal(feed.name)} as feed, file_id, {load.load_id} as load_id, path,
            record_number, name as rule, detail, {literal(load.job.loaded_at)} as rejected_at
        from load_rejects
        join rules on load_rejects.rule = rules.number
        join files using (file_id)
        """,
        {
            "names": [rule.name for rule in rules],
            "details": [rule.detail for rule in rules],
            "ids": [file.file_id for file in load.files],
            "paths": [file.path for file in load.files],
        },
    )
    con.execute("""
        insert into restricted.rejected_texts by name
        select file_id, record_number, raw_text from load_rejects
    """)


def _write_tenant_loads(con: Connection, feed: Feed, load_id: int, loaded_at: datetime) -> None:
    """Write anew which tenants a load brought rows of."""
    con.execute(f"delete from raw.tenant_loads where load_id = {load_id}")
    con.execute(f"""
        insert into raw.tenant_loads by name
        select user_id, {literal(feed.name)} as feed, load_id, {literal(loaded_at)} as loaded_at,
            count(*) as row_count
        from {feed.table} where load_id = {load_id} group by user_id, load_id
    """)


def _ledger_rows(load: _Load, reading: Reading, counts: _Counts, refused: dict[str, _Refusal]) -> list[LedgerRow]:
    """Return the ledger rows of all files of a load, in path order."""
    verdict = load.job.accepted_because
    accepted = f"accepted by hand in spite of: {verdict}" if verdict else None
    rows = [_ledger_row(file, load, "skipped", f"same content as {path}") for file, path in load.copies]
    for file in load.fresh:
        row_count = reading.row_counts.get(file.file_id, 0)
        if refusal := refused.get(file.path):
            of_file = {"row_count": row_count, "rejected_count": refusal.rejected_count}
            rows.append(_ledger_row(file, load, "refused", refusal.reason, **of_file))
        else:
            of_file = {"row_count": row_count} | counts.of(file)
            rows.append(_ledger_row(file, load, "pending", accepted, **of_file))
    return sorted(rows, key=lambda row: row.file_id)


def _ledger_row(file: RawFile, load: _Load, state: State, reason: str | None, **counts: int) -> LedgerRow:
    names = ("row_count", "kept_count", "rejected_count", "duplicate_count", "conflict_count")
    return LedgerRow(
        file_id=file.file_id,
        load_id=load.load_id,
        feed=file.feed,
        path=file.path,
        size_bytes=file.size_bytes,
        modified_at=file.modified_at,
        sha256=file.sha256,
        state=state,
        reason=reason,
        loaded_at=load.job.loaded_at,
        run_id=load.job.run_id,
        **dict.fromkeys((*names, "missing_line_count"), 0) | counts,
    )


def _write_ledger(con: Connection, rows: Sequence[LedgerRow]) -> None:
    names = [column.name for column in fields(LedgerRow)]
    marks = ", ".join(f"${name}" for name in names)
    con.executemany(
        f"insert into raw.load_ledger ({', '.join(names)}) values ({marks})",
        [asdict(row) for row in rows],
    )


def _missing_warnings(rows: Iterable[LedgerRow]) -> list[str]:
    return [
        f"{row.path}: {row.missing_line_count:,} lines of its former version are not in it any"
        f" more; their rows stay: `warehouse load replace {row.path}` withdraws them"
        for row in rows
        if row.missing_line_count
    ]


def _drop_temporary_tables(con: Connection, reading: Reading) -> None:
    staged = [source.staged for source in reading.sources]
    for table in (*staged, "broken_lines", "json_lines", "csv_errors", "csv_scans"):
        con.execute(f"drop table if exists temp.{table}")


def _tell(feed: Feed, rows: Sequence[LedgerRow], job: Job, seconds: float) -> None:
    states = Counter(row.state for row in rows)
    kept, rejected, duplicate = (
        sum(getattr(row, f"{name}_count") for row in rows if row.state == "pending")
        for name in ("kept", "rejected", "duplicate")
    )
    files = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    job.on_progress(
        f"{feed.name}: files {files}; rows {kept:,} kept, {rejected:,} rejected,"
        f" {duplicate:,} duplicate ({seconds:.1f} s)"
    )


# ── Gate 1 ────────────────────────────────────────────────────────────────────────────────────


def _judge(con: Connection, feed: Feed, load: _Load, counts: _Counts, refused: dict[str, _Refusal]) -> GateResult:
    """Ask gate 1 about a load inside its transaction."""
    from orchestration.quality.suites import judge_load  # it is slow to import

    return judge_load(_facts(con, feed, load, counts, refused), load.job.docs_dir)


def _facts(con: Connection, feed: Feed, load: _Load, counts: _Counts, refused: dict[str, _Refusal]) -> LoadFacts:
    from orchestration.quality.suites import FileFacts, LoadFacts

    worst = _worst_rules(con) if counts.rejected else {}
    readable = [
        FileFacts(
            path=file.path,
            row_count=counts.rows[file.file_id],
            rejected_count=counts.rejected.get(file.file_id, 0),
            worst_rule=worst.get(file.file_id, ""),
        )
        for file in load.files
    ]
    unreadable = [FileFacts(path, problem=refusal.reason) for path, refusal in refused.items()]
    former = con.execute(
        f"""
        select load_id, any_value(loaded_at), sum(kept_count)::bigint from raw.load_ledger
        where feed = $feed and {_LIVE} group by load_id order by load_id desc limit {HISTORY_LOADS}
        """,
        {"feed": feed.name},
    ).fetchall()
    facts = LoadFacts(
        feed=feed.name,
        files=(*readable, *unreadable),
        kept_count=sum(counts.kept.values()),
        former_kept_counts=tuple(kept for _, _, kept in former),
    )
    if feed.is_dimension or not load.files:
        return facts
    return _with_event_facts(con, facts, load, {load_id: at for load_id, at, _ in former})


def _worst_rules(con: Connection) -> dict[int, str]:
    """Return the rule that rejected most rows of each file of the load under way."""
    return _by_file(
        con,
        """
        select file_id, arg_max(rule, (n, rule)) from (
            select rejected.file_id, rejected.rule, count(*) as n
            from raw.rejected_rows as rejected
            where rejected.file_id in (select file_id from load_rejects)
            group by all
        ) group by file_id
        """,
    )


def _with_event_facts(con: Connection, facts: LoadFacts, load: _Load, former_times: dict[int, datetime]) -> LoadFacts:
    """Add counts by event type and the age of the newest event, of this load and former ones."""
    ids = ", ".join(map(str, (load.load_id, *former_times)))
    rows = con.execute(f"""
        select load_id, event_type, count(*), max(created_at) from raw.events
        where load_id in ({ids}) group by load_id, event_type
    """).fetchall()
    times = {**former_times, load.load_id: load.job.loaded_at}
    here, formerly = Counter(), Counter()
    newest: dict[int, datetime] = {}
    for load_id, event_type, count, last in rows:
        (here if load_id == load.load_id else formerly)[event_type] += count
        newest[load_id] = max(last, newest.get(load_id, last))
    ages = {load_id: (times[load_id] - last) / timedelta(days=1) for load_id, last in newest.items()}
    return changed(
        facts,
        newest_event_age_days=ages.pop(load.load_id, None),
        former_newest_event_ages_days=tuple(ages.values()),
        event_types=dict(here),
        former_event_types=dict(formerly),
        known_event_types=load.job.known_event_types,
    )


# ── Afterwards: what people and runs do with loads ────────────────────────────────────────────


def list_loads(con: Connection) -> list[LedgerRow]:
    """Return every version of every file that loading has met, the newest first."""
    names = ", ".join(column.name for column in fields(LedgerRow))
    rows = con.execute(f"select {names} from raw.load_ledger order by file_id desc").fetchall()
    return [LedgerRow(*row) for row in rows]


def pending_loads(con: Connection) -> list[int]:
    """Return the loads that no published run contains yet."""
    return _column(con, "select distinct load_id from raw.load_ledger where state = 'pending'")


def pending_requests(con: Connection) -> list[int]:
    """Return the recompute requests that no published run has fulfilled yet."""
    return _column(con, "select request_id from raw.recompute_requests where state = 'pending'")


def _column(con: Connection, sql: str) -> list[int]:
    return sorted(value for (value,) in con.execute(sql).fetchall())


def mark_published(con: Connection, load_ids: Collection[int], request_ids: Collection[int] = ()) -> None:
    """Note that a release contains these loads and fulfils these recompute requests."""
    with _transaction(con):
        for table, key, ids in (
            ("raw.load_ledger", "load_id", load_ids),
            ("raw.recompute_requests", "request_id", request_ids),
        ):
            con.execute(
                f"""update {table} set state = 'published'
                where state = 'pending' and list_contains($ids, {key})""",
                {"ids": list(ids)},
            )


def retry(con: Connection, path: str) -> int:
    """Forget that a path was refused, so that the next run tries it again; return how often it was.

    Raises LoadError when the path is not refused.
    """
    forgotten = con.execute(
        "delete from raw.load_ledger where path = $path and state = 'refused'", {"path": path}
    ).fetchone()[0]
    if not forgotten:
        message = f"{path}: not refused: `warehouse load list` shows what is"
        raise LoadError(message)
    return forgotten


def accept(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    path: str,
    *,
    run_id: str,
    loaded_at: datetime,
    on_progress: Callable[[str], None] = _silent,
) -> LoadReport:
    """Load a refused file in spite of gate 1; its ledger row tells the verdict that was overruled.

    The gate's other warnings are noted as ever. A file that cannot be read is refused again.
    Raises LoadError when the path is not refused, or has other content than was refused.
    """
    job = _prepared(con, Job(run_id, loaded_at, on_progress=on_progress))
    file = _file_at(con, raw_dir, path)
    verdict = con.execute(
        """select reason, sha256 from raw.load_ledger
        where path = $path and state = 'refused' order by file_id desc limit 1""",
        {"path": path},
    ).fetchone()
    if verdict is None:
        message = f"{path}: not refused: `warehouse load list` shows what is"
        raise LoadError(message)
    reason, sha256 = verdict
    if sha256 != file.sha256:
        message = f"{path}: changed since it was refused: `warehouse run` tries the new content"
        raise LoadError(message)
    job = changed(job, accepted_because=reason)
    report = _load_feed(con, FEEDS[file.feed], [file], job)
    return changed(report, anything_new=bool(pending_loads(con)))


def replace(  # noqa: PLR0913
    con: Connection,
    raw_dir: Path,
    path: str,
    *,
    run_id: str,
    loaded_at: datetime,
    known_event_types: Collection[str] = (),
    docs_dir: Path | None = None,
    on_progress: Callable[[str], None] = _silent,
) -> LoadReport:
    """Withdraw the former versions of a path and load what lies there now, in one transaction.

    When the new content is refused, the former versions stay.
    """
    types = frozenset(known_event_types)
    job = Job(run_id, loaded_at, types, docs_dir, on_progress, replaced=path)
    job = _prepared(con, job)
    file = _file_at(con, raw_dir, path)
    report = _load_feed(con, FEEDS[file.feed], [file], job)
    return changed(report, anything_new=bool(pending_loads(con) or pending_requests(con)))


def withdraw(con: Connection, path: str, *, run_id: str, loaded_at: datetime) -> int:
    """Take the rows of every version of a path out again; return how many versions there were.

    If the file still lies under raw/, the next run loads it anew.
    """
    job = _prepared(con, Job(run_id, loaded_at))
    versions = _versions(con, path)
    if not versions:
        message = f"{path}: nothing was loaded from it: `warehouse load list` shows what was"
        raise LoadError(message)
    with _transaction(con):
        _withdraw(con, FEEDS[path.partition("/")[0]], versions, job, f"withdrawn: {path}")
    return len(versions)


def _file_at(con: Connection, raw_dir: Path, path: str) -> RawFile:
    files = [file for file in find_files(raw_dir)[0] if file.path == path]
    if not files:
        message = f"{path}: no such file under raw/: give the path as `warehouse load list` does"
        raise LoadError(message)
    next_id = _scalar(con, "select coalesce(max(file_id), 0) + 1 from raw.load_ledger")
    return changed(_fingerprinted(files[0]), file_id=next_id)


def _versions(con: Connection, path: str) -> list[int]:
    return [
        file_id
        for (file_id,) in con.execute(
            f"select file_id from raw.load_ledger where path = $path and {_LIVE}", {"path": path}
        ).fetchall()
    ]


def _withdraw(con: Connection, feed: Feed, file_ids: Sequence[int], job: Job, cause: str) -> None:
    """Take the rows of files out, ask for what they touched, and mark the files withdrawn.

    Files that were skipped as copies of these are forgotten, so that the next run reads them.
    """
    if not file_ids:
        return
    if feed.is_dimension:
        file_ids = [*file_ids, *_later_repeats(con, feed, file_ids)]
    ids = ", ".join(map(str, file_ids))
    if feed.is_dimension:
        _withdraw_versions(con, feed, ids, job, cause)
    else:
        _withdraw_events(con, ids, job, cause)
    for table in ("raw.rejected_rows", "restricted.rejected_texts"):
        con.execute(f"delete from {table} where file_id in ({ids})")
    con.execute(
        f"""
        update raw.load_ledger set state = 'withdrawn', reason = $cause
        where file_id in ({ids}) or (state = 'skipped' and sha256 in (
            select sha256 from raw.load_ledger where file_id in ({ids})
        ))
        """,
        {"cause": cause},
    )
    _correct_tenant_loads(con, feed, ids)


def _later_repeats(con: Connection, feed: Feed, file_ids: Sequence[int]) -> list[int]:
    """Return later files of a dimension feed that may repeat rows of the given ones.

    Repeated versions are counted, not stored, so these files are withdrawn too and read again.
    """
    ids = ", ".join(map(str, file_ids))
    return _column(
        con,
        f"""select file_id from raw.load_ledger
        where feed = {literal(feed.name)} and {_LIVE} and duplicate_count > 0
            and file_id > {min(file_ids)} and file_id not in ({ids})""",
    )


def _withdraw_versions(con: Connection, feed: Feed, ids: str, job: Job, cause: str) -> None:
    con.execute(f"""
        create or replace temp table touched as
        select distinct user_id, null::date as from_date, null::date as to_date
        from {feed.table} where file_id in ({ids})
    """)
    con.execute(f"delete from {feed.table} where file_id in ({ids})")
    _request_recomputation(con, job, cause)


def _withdraw_events(con: Connection, ids: str, job: Job, cause: str) -> None:
    """Take events out; the first duplicate of each that another file holds takes its place.

    Asked for anew are the UTC dates of both, one day wider at each end: no local date lies further.
    """
    con.execute(f"delete from raw.duplicate_events where file_id in ({ids})")
    con.execute(f"""
        create or replace temp table promoted as
        select rowid as position, event_id, user_id, created_at, load_id, file_id
        from raw.duplicate_events
        where event_id in (select event_id from raw.events where file_id in ({ids}))
        qualify row_number() over (
            partition by event_id order by load_id, file_id, record_number
        ) = 1
    """)
    con.execute(f"""
        create or replace temp table touched as
        with dates as (
            select distinct user_id, created_at::date as utc_date from raw.events
            where file_id in ({ids})
            union
            select distinct user_id, created_at::date from promoted
        ), runs as (
            select *, utc_date - (row_number() over (
                partition by user_id order by utc_date
            ))::integer as run from dates
        )
        select user_id, min(utc_date) - 1 as from_date, max(utc_date) + 1 as to_date
        from runs group by user_id, run
    """)
    con.execute(f"delete from raw.events where file_id in ({ids})")
    con.execute("""
        insert into raw.events by name
        select * exclude (is_conflict) from raw.duplicate_events
        where rowid in (select position from promoted)
    """)
    con.execute("delete from raw.duplicate_events where rowid in (select position from promoted)")
    con.execute(f"""
        update raw.duplicate_events as duplicates
        set is_conflict = {_differs("duplicates", "winners")}
        from raw.events as winners
        where winners.event_id = duplicates.event_id
            and winners.event_id in (select event_id from promoted)
    """)
    _correct_ledger_after_promotion(con)
    _request_recomputation(con, job, cause)


def _correct_ledger_after_promotion(con: Connection) -> None:
    con.execute("""
        update raw.load_ledger as ledger
        set kept_count = kept_count + gained, duplicate_count = duplicate_count - gained
        from (select file_id, count(*) as gained from promoted group by file_id) as promotions
        where ledger.file_id = promotions.file_id
    """)
    con.execute(f"""
        update raw.load_ledger set conflict_count = (
            select count(*) from raw.duplicate_events as duplicates
            where duplicates.file_id = load_ledger.file_id and is_conflict
        )
        where {_LIVE} and feed = 'events' and duplicate_count + conflict_count > 0
    """)


def _correct_tenant_loads(con: Connection, feed: Feed, ids: str) -> None:
    """Write anew the tenants of the loads that lost or gained rows."""
    promoted = "" if feed.is_dimension else "union select load_id from promoted"
    loads = con.execute(f"""
        select load_id, max(loaded_at) from raw.load_ledger
        where load_id in (
            select load_id from raw.load_ledger where file_id in ({ids}) {promoted}
        ) group by load_id
    """).fetchall()
    for load_id, loaded_at in loads:
        _write_tenant_loads(con, feed, load_id, loaded_at)


def _request_recomputation(con: Connection, job: Job, cause: str) -> None:
    """Write a request for each row of the temporary table `touched`."""
    con.execute(
        """
        insert into raw.recompute_requests by name
        select (select coalesce(max(request_id), 0) from raw.recompute_requests)
                + row_number() over (order by user_id, from_date) as request_id,
            *, $cause as cause, 'pending' as state, $run_id as run_id
        from touched
        """,
        {"cause": cause, "run_id": job.run_id},
    )
