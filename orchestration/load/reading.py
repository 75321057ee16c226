"""Reading files: those of one format and one set of columns become one source, read by one scan.

Lines of text files are staged in temporary tables; lines whose structure is broken go to `broken_lines`.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from orchestration.load.files import BLOCK_BYTES
from orchestration.load.sql import identifier, literal, path_literal, scalar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Feed
    from orchestration.load.files import Format, RawFile

DELIMITERS = ",;\t|"
MAX_CSV_RECORD_BYTES = 16 * 2**20
KEPT_OF_BROKEN_RECORD = 10_000
"""Characters of a broken CSV record that DuckDB 2.0 keeps in its table of errors."""
LINE_ENDS = "\r\n"
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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


_READING_ERRORS = (_UnreadableFileError, duckdb.Error, OSError, csv.Error, ValueError)
"""What a file that cannot be read raises; other errors are our own."""


def read_files(con: Connection, feed: Feed, files: Sequence[RawFile]) -> Reading:
    """Group files into sources; lines of text files go through temporary tables."""
    con.execute("create or replace temp table broken_lines (file_id integer, record_number bigint, raw_text varchar)")
    reading = Reading()
    groups: dict[tuple, list[RawFile]] = defaultdict(list)
    for file in files:
        try:
            columns = _columns(con, feed, file)
        except _READING_ERRORS as error:
            reading.problems[file.path] = problem_with(file, error)
        else:
            groups[(file.format, *sorted(columns.items()))].append(file)
    for number, (key, members) in enumerate(groups.items()):
        source = Source(key[0], dict(key[1:]), tuple(members), f"staged_{number}")
        _read_source(con, feed, source, reading)
    return reading


def problem_with(file: RawFile, error: Exception) -> str:
    """Return the sentence that says why a file cannot be loaded and what to do."""
    if isinstance(error, _UnreadableFileError):
        return f"{file.path}: {error}"
    first_line = str(error).strip().split("\n")[0].replace(str(file.location), file.path)
    return (
        f"{file.path}: cannot be read as {file.format} ({first_line}): write the file anew, take it out of raw/,"
        f" or have it tried again with `warehouse load retry {file.path}`"
    )


def _columns(con: Connection, feed: Feed, file: RawFile) -> dict[str, str]:
    """Return the columns of a file with their types; raise where a required one is missing."""
    if file.is_cut_off:
        message = "is cut off within its last character: write the file anew, whole and in UTF-8"
        raise _UnreadableFileError(message)
    if file.format != "parquet":
        _require_no_utf_16(file)
    if file.format == "jsonl":
        return {c.source_name: "VARCHAR" for c in feed.columns}
    if file.format == "csv":
        columns = dict.fromkeys(_csv_header(file), "VARCHAR")
    else:
        scan = f"select * from {parquet_sql([file])}"
        columns = {row[0]: row[1] for row in con.execute(f"describe {scan}").fetchall()}
        if reserved := {"file_index", "file_row_number"} & {name.lower() for name in columns}:
            message = f"column {min(reserved)} has a reserved name: rename it"
            raise _UnreadableFileError(message)
    _require(feed, {name.lower() for name in columns})
    return columns


def _require_no_utf_16(file: RawFile) -> None:
    with file.location.open("rb") as stream:
        if stream.read(2) in UTF_16_MARKS:
            message = "is written in UTF-16: write it in UTF-8"
            raise _UnreadableFileError(message)


def _require(feed: Feed, present: Collection[str]) -> None:
    if missing := [name for name in feed.required if name not in present]:
        names = ", ".join(missing)
        message = f"required column missing: {names}: name the columns as the {feed.name} feed does"
        raise _UnreadableFileError(message)


def _read_source(con: Connection, feed: Feed, source: Source, reading: Reading) -> None:
    """Count a source's records, staging text lines; files that fail become problems."""
    if source.format == "parquet":
        kept = source.files
        paths = _paths(kept)
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
            except _READING_ERRORS as error:
                reading.problems[file.path] = problem_with(file, error)
    if kept:
        reading.sources.append(changed(source, files=tuple(kept)))
        _warn_of_dropped_columns(feed, source, reading)


def _warn_of_dropped_columns(feed: Feed, source: Source, reading: Reading) -> None:
    if not feed.extras and (extra := extra_columns(feed, source)):
        names = ", ".join(sorted(extra))
        reading.warnings.append(f"{feed.name}: columns without a place were not kept: {names}")


def extra_columns(feed: Feed, source: Source) -> dict[str, str]:
    """Return the columns of a source that the feed has none for, with their types."""
    known = {column.source_name for column in feed.columns}
    return {
        name: sql_type
        for name, sql_type in source.columns.items()
        if name.lower() not in known and not name.startswith("__index_level_")  # pandas' own
    }


def parquet_sql(files: Sequence[RawFile]) -> str:
    """Return SQL for the rows of Parquet files."""
    paths = _paths(files)
    return f"read_parquet({paths}, binary_as_string = true, hive_partitioning = false)"


def _paths(files: Iterable[RawFile]) -> str:
    return f"[{', '.join(path_literal(file.location) for file in files)}]"


def without_files(source: Source, refused: Collection[str]) -> Source:
    """Return a source without the files of some paths."""
    return changed(source, files=tuple(f for f in source.files if f.path not in refused))


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
        from read_csv({path_literal(location)}, columns = {{{types}}}, auto_detect = false,
            header = true, delim = {literal(_delimiter(file))}, quote = '"', escape = '"',
            encoding = {literal(file.encoding)}, max_line_size = {MAX_CSV_RECORD_BYTES},
            store_rejects = true, rejects_limit = 0,
            rejects_table = 'csv_errors', rejects_scan = 'csv_scans')
    """)
    broken = scalar(
        con,
        f"""insert into broken_lines
        select {file.file_id}, line - 1, any_value(csv_line) from csv_errors group by line""",
    )
    if broken:
        _require_closed_quotes(con)
        _count_broken_records(con, source, file)
    return broken + scalar(con, f"select count(*) from {source.staged} where file_id = {file.file_id}")


def _require_closed_quotes(con: Connection) -> None:
    """Raise where an open quotation mark has swallowed lines: they would be lost, and counted as one broken record.

    It is never closed, or so far away that the record is beyond the limit. In the last line it is an end that was cut
    off, and costs that line only, as far as can be told: DuckDB keeps the beginning of a broken record.
    """
    swallowed = con.execute(f"""
        select line from csv_errors
        where error_type = 'LINE SIZE OVER MAXIMUM' and contains(csv_line, chr(10))
            or error_message like '%unterminated quote%' and (
                length(csv_line) >= {KEPT_OF_BROKEN_RECORD}
                or contains(rtrim(csv_line, {literal(LINE_ENDS)}), chr(10))
            )
        order by line limit 1
    """).fetchone()
    if swallowed:
        message = (
            f"a quotation mark opens in record {swallowed[0] - 1:,} and is not closed, so that the lines after it"
            " belong to one value: close it, or double it where it is part of the text"
        )
        raise _UnreadableFileError(message)


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
    _name_members_as_columns(con, feed, source, file)
    found = ", ".join(f"count(json_extract_string(line, '$.{name}'))" for name in feed.required)
    objects, *filled = con.execute(
        f"select count(*), {found} from {source.staged} where file_id = {file.file_id}"
    ).fetchone()
    if objects:
        present = itertools.compress(feed.required, filled)
        _require(feed, set(present))
    return record_count


def _name_members_as_columns(con: Connection, feed: Feed, source: Source, file: RawFile) -> None:
    """Rename members of JSON lines that are a column's name but for its case, as in other formats.

    Where a line has the column's own name too, that one counts.
    """
    lines = f"{source.staged} where file_id = {file.file_id}"
    names = con.execute(f"select distinct unnest(json_keys(line)) from {lines} order by all").fetchall()
    columns = {column.source_name for column in feed.columns}
    for (name,) in names:
        column = name.lower()
        if column in columns and name != column:
            old, new = (literal('$."' + key + '"') for key in (name, column))
            con.execute(f"""
                update {source.staged} set line = json_merge_patch(
                    line, json_object({literal(name)}, null, {literal(column)}, json_extract(line, {old}))
                )::varchar
                where file_id = {file.file_id} and json_exists(line, {old}) and not json_exists(line, {new})
            """)


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
    good = scalar(
        con,
        f"""insert into {source.staged}
        select {file.file_id}, record_number, object from json_lines where object is not null""",
    )
    broken = scalar(
        con,
        f"""insert into broken_lines
        select {file.file_id}, record_number, line from json_lines where object is null""",
    )
    return good + broken


def drop_temporary_tables(con: Connection, reading: Reading) -> None:
    """Drop what a load left in the connection."""
    staged = [source.staged for source in reading.sources]
    read = ("broken_lines", "json_lines", "csv_errors", "csv_scans")
    sorted_out = ("load_rejects", "later_copies", "load_exceptions", "load_losers", "load_duplicates")
    for table in (*staged, *read, *sorted_out):
        con.execute(f"drop table if exists temp.{table}")
