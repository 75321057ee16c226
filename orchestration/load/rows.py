"""Typed rows: valid ones into the feed's table, the others into quarantine with the rule that they break."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import duckdb

from orchestration.load.feeds import Rule, known_properties
from orchestration.load.reading import extra_columns, parquet_sql, problem_with, without_files
from orchestration.load.records import Refusal, RefusedError
from orchestration.load.sql import by_file, identifier, literal, read_sql, uuid_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Column, Feed
    from orchestration.load.reading import Reading, Source
    from orchestration.load.records import Load

FUTURE_TOLERANCE = timedelta(days=1)
_BY_ID = uuid_sql(["user_id", "source_event_id"])
_KEYS = "select event_id, file_id, record_number, false as has_source_id from raw.events limit 0"
_REJECTS = "select file_id, record_number, 0 as rule, raw_text, null::varchar as subject from broken_lines limit 0"
_UNREADABLE_LINE = Rule("unreadable_line", "the line's structure is broken", "false")


def insert_versions(con: Connection, feed: Feed, load: Load) -> None:
    """Insert the valid rows of a dimension feed."""
    with _refusing_broken_files(load.sources):
        con.execute(f"insert into {feed.table} by name {_of_all(_valid_rows(feed, s, load) for s in load.sources)}")


def collect_keys(con: Connection, feed: Feed, load: Load) -> None:
    """Fill load_keys with place and id of each valid event.

    Which of them repeat an event must be known before they are stored: to delete rows in the transaction that inserted
    them makes DuckDB append all others once more when it commits (20 M events: 43 s of 108).
    """
    with _refusing_broken_files(load.sources):
        keys = [part for source in load.sources for part in _keys_sql(con, feed, source, load)]
        _create(con, "load_keys", _KEYS, keys)


def insert_events(con: Connection, feed: Feed, load: Load) -> None:
    """Insert the valid events of all sources but those that load_exceptions calls duplicates.

    Events of load_exceptions have the id that they have there.
    """
    with _refusing_broken_files(load.sources):
        con.execute(f"""
            insert into raw.events by name
            select coalesce(exceptions.event_id, valid.event_id) as event_id, valid.* exclude (event_id)
            from ({_of_all(_valid_rows(feed, source, load) for source in load.sources)}) as valid
            left join load_exceptions as exceptions
                on valid.file_id = exceptions.file_id and valid.record_number = exceptions.record_number
            where exceptions.is_duplicate is not true
        """)


def collect_duplicates(con: Connection, feed: Feed, load: Load) -> None:
    """Fill load_losers with the events that load_exceptions calls duplicates; other files are not read again."""
    counts = by_file(con, "select file_id, count(*) from load_exceptions where is_duplicate group by file_id")
    without = {file.path for file in load.files if file.file_id not in counts}
    sources = [part for source in load.sources if (part := without_files(source, without)).files]
    losers = [
        f"""
        select exceptions.event_id, valid.* exclude (event_id)
        from ({_valid_rows(feed, source, load)}) as valid
        join load_exceptions as exceptions
            on valid.file_id = exceptions.file_id and valid.record_number = exceptions.record_number
        where exceptions.is_duplicate
        """
        for source in sources
    ]
    with _refusing_broken_files(sources):
        _create(con, "load_losers", "from raw.events limit 0", losers)


def _create(con: Connection, table: str, empty: str, parts: Iterable[str]) -> None:
    """Create a temporary table with the rows of all parts; `empty` is SQL for a table of its columns without rows.

    One statement, because DuckDB 2.0.0 reads a table as empty, until it is opened anew, that one transaction created
    without rows and then filled with more than 122,880.
    """
    con.execute(f"create or replace temp table {table} as {_of_all([f'({empty})', *parts])}")


def _of_all(parts: Iterable[str]) -> str:
    """Return SQL for the rows of all parts."""
    return " union all by name ".join(parts)


def _keys_sql(con: Connection, feed: Feed, source: Source, load: Load) -> list[str]:
    """Return SQL for the keys of a source; whole rows are read only where an id comes from the content."""
    parts = [(_BY_ID, "source_event_id is not null")]
    typed = _typed_sql(feed, source, load.job.loaded_at)
    if con.execute(f"select true from ({typed}) where source_event_id is null limit 1").fetchone():
        parts.append((_by_content(feed), "source_event_id is null"))
    return [
        f"""
        select file_id, record_number, {key} as event_id, source_event_id is not null as has_source_id
        from ({_valid_sql(feed, source, load)}) where {condition}
        """
        for key, condition in parts
    ]


def _valid_rows(feed: Feed, source: Source, load: Load) -> str:
    """Return SQL for the valid rows of a source as the feed's table holds them."""
    name, key = _key_sql(feed)
    return f"select {key} as {name}, *, {load.load_id} as load_id from ({_valid_sql(feed, source, load)})"


def _valid_sql(feed: Feed, source: Source, load: Load) -> str:
    """Return SQL for the valid rows of a source, without their ids."""
    broken = " or ".join(f"({c})" for c in _conditions(feed, load.job.loaded_at))
    first = f"qualify {_place_in_file(feed)} = 1" if feed.is_unique_in_file else ""
    return f"""
        select file_id, record_number, {_kept_columns(feed)}
        from ({_typed_sql(feed, source, load.job.loaded_at)})
        where ({broken}) is not true
        {first}
    """


def _place_in_file(feed: Feed, among: str = "true") -> str:
    """Return SQL for which row of its file it is that speaks of the row's key, of rows that are alike in `among`."""
    return f"row_number() over (partition by file_id, {', '.join(feed.key)}, {among} order by record_number)"


@contextmanager
def _refusing_broken_files(sources: Iterable[Source]) -> Iterator[None]:
    """Raise RefusedError for files that break while they are read."""
    try:
        yield
    except duckdb.Error as error:
        refusals = {
            path: Refusal(reason)
            for source in sources
            if source.format == "parquet"
            for path, reason in _broken_parquet(source).items()
        }
        if refusals:
            raise RefusedError(refusals) from error
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
                other.execute(f"select bit_xor(hash(t)) from {parquet_sql([file])} as t")
            except duckdb.Error as error:
                reasons[file.path] = problem_with(file, error)
    return reasons


def quarantine(con: Connection, feed: Feed, load: Load, reading: Reading, valid: dict[int, int]) -> dict[int, int]:
    """Write the rejected rows of a load and return their number by file id.

    `valid` counts the valid rows by file id: files whose rows are all valid are not read again.
    """
    incomplete = {file.path for file in load.files if valid.get(file.file_id, 0) < reading.row_counts[file.file_id]}
    complete = {file.path for file in load.files} - incomplete
    sources = [part for source in load.sources if (part := without_files(source, complete)).files]
    ids = ", ".join(str(file.file_id) for file in load.files)
    broken_lines = f"""
        select file_id, record_number, {len(feed.reasons)} as rule, raw_text, null as subject
        from broken_lines where file_id in ({ids})
    """
    _create(con, "load_rejects", _REJECTS, [*(_rejects_sql(feed, source, load) for source in sources), broken_lines])
    if not incomplete:
        return {}
    _write_rejects(con, feed, load)
    return by_file(con, "select file_id, count(*) from load_rejects group by file_id")


def _rejects_sql(feed: Feed, source: Source, load: Load) -> str:
    """Return SQL for the rows that break a rule, with the first rule that they break."""
    conditions = _conditions(feed, load.job.loaded_at)
    whens = " ".join(f"when {condition} then {i}" for i, condition in enumerate(conditions))
    judged = f"""
        select file_id, record_number, raw_text, {feed.subject or "null"} as subject, case {whens} end as rule
            {"".join(f", {name}" for name in feed.key)}
        from ({_typed_sql(feed, source, load.job.loaded_at)})
    """
    if feed.is_unique_in_file:
        is_later = f"rule is null and {_place_in_file(feed, 'rule is null')} > 1"
        judged = f"""
            select * replace (case when {is_later} then {len(conditions)} else rule end as rule) from ({judged})
        """
    return f"""
        select file_id, record_number, rule, raw_text::varchar as raw_text, subject
        from ({judged})
        where rule is not null
    """


def _write_rejects(con: Connection, feed: Feed, load: Load) -> None:
    rules = (*feed.reasons, _UNREADABLE_LINE)
    con.execute(
        f"""
        insert into raw.rejected_rows by name
        with rules as (
            select unnest($names) as name, unnest($details) as detail,
                generate_subscripts($names, 1) - 1 as number
        ), files as (select unnest($ids) as file_id, unnest($paths) as path)
        select {literal(feed.name)} as feed, file_id, {load.load_id} as load_id, path,
            record_number, name as rule,
            case when subject is null then detail else 'Customer ' || subject || ': ' || detail end as detail,
            {literal(load.job.loaded_at)} as rejected_at
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
        value, reader = read_sql(column, *present.get(column.source_name, ("null", "VARCHAR")))
        values.append(f"{value} as {name}")
        read = reader.replace("?", name)
        if extras and column.name == feed.extras:
            read = f"""(case when {name} is null then extras
                else json_merge_patch(extras, {read}) end)::varchar"""
        if column.default:
            default = column.default.format(loaded_at=literal(loaded_at), tenant=_tenant_sql(source))
            read = f"case when {name} is null then {default} else {read} end"
        typed.append(f"{read} as {column.name}")
    return f"""select *, {", ".join(typed)} from (
        select file_id, record_number, raw_text, {extras or "null"} as extras, {", ".join(values)}
        from ({_scan_sql(feed, source)}))"""


def _tenant_sql(source: Source) -> str:
    """Return SQL for the tenant that a file's folder names: feed/tenant/…; without one, the tenant `default`."""
    folders = {file.file_id: PurePosixPath(file.path).parts[1:-1] for file in source.files}
    whens = [f"when {file_id} then {literal(names[0])}" for file_id, names in folders.items() if names]
    return f"case file_id {' '.join(whens)} else 'default' end" if whens else "'default'"


def _scan_sql(feed: Feed, source: Source) -> str:
    """Return SQL that yields the rows of a source: file_id, record_number, raw_text, columns."""
    columns = ", ".join(map(identifier, source.columns))
    if source.format == "parquet":
        ids = literal([file.file_id for file in source.files])
        return f"""select ({ids})[(file_index + 1)::bigint] as file_id, file_row_number + 1 as record_number,
            {_row_json(source.columns)} as raw_text, {columns}
            from {parquet_sql(source.files)}"""
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
    """Return SQL for a JSON object of what the feed has no column for; None: there is nothing.

    A column of events whose name is a known property but for its case bears the property's name.
    """
    if source.format == "jsonl":
        return "json_merge_patch('{}', other_members)"
    extra = extra_columns(feed, source)
    known = known_properties() if feed.extras == "event_properties" else frozenset()
    members = {name: name.lower() if name.lower() in known else name for name in extra}
    pairs = [f"{literal(members[name])}, {_extra_value(name, kind)}" for name, kind in extra.items()]
    return f"json_merge_patch('{{}}', json_object({', '.join(pairs)}))" if pairs else None


def _extra_value(name: str, sql_type: str) -> str:
    value = identifier(name)
    if sql_type == "VARCHAR":
        return f"nullif({value}, '')"
    if sql_type in {"DOUBLE", "FLOAT"}:  # NaN is no JSON
        return f"case when isfinite({value}) then {value} end"
    return value


def _conditions(feed: Feed, loaded_at: datetime) -> list[str]:
    latest = literal(loaded_at + FUTURE_TOLERANCE)
    today = f"{literal(loaded_at)}::date"
    return [rule.condition.replace("{latest}", latest).replace("{today}", today) for rule in feed.all_rules]


def _key_sql(feed: Feed) -> tuple[str, str]:
    """Return the name of a row's id and SQL for it.

    An event's id comes from its tenant and source id, else from its whole content: identical lines
    of one file are told apart later. A version of a customer or organization is told by its file
    and its place there, because the same content may rightly come again.
    """
    if feed.is_dimension:
        return "row_id", uuid_sql(["file_id::varchar", "record_number::varchar"])
    return "event_id", f"case when source_event_id is null then {_by_content(feed)} else {_BY_ID} end"


def _by_content(feed: Feed) -> str:
    return uuid_sql([f"{name}::varchar" for name in feed.content])


def _kept_columns(feed: Feed) -> str:
    """Return the select list of the raw table's own columns: ready to be compared and stored."""
    return ", ".join(_kept_column(column) for column in feed.columns)


def _kept_column(column: Column) -> str:
    if column.kind == "money":
        return f"try_cast({column.name} as decimal(18, 4)) as {column.name}"
    if column.kind == "object":
        return f"nullif({column.name}, '{{}}') as {column.name}"
    return column.name
