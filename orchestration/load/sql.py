"""SQL that all of loading uses: names, literals, keys, counts, and how a file's value becomes a typed one."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection as Connection

    from orchestration.load.feeds import Column, Kind


def uuid_sql(parts: Sequence[str]) -> str:
    """Return SQL for the UUID of a key: md5 over its length-prefixed text parts, `n` for null.

    The lengths keep ('a', 'bc') and ('ab', 'c') apart. The dbt macro `surrogate_uuid` is the same
    formula, so that keys made here and there agree; from bytes a uuid is made at a third of the cost
    of one from text.
    """
    prefixed = ", ".join(f"coalesce(length({p})::varchar || ':' || {p}, 'n')" for p in parts)
    return f"unhex(md5(concat({prefixed})))::uuid"


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


def path_literal(location: Path) -> str:
    """Write a path for DuckDB's readers, which take `*`, `?` and `[` in a name for a pattern."""
    return literal("".join(f"[{c}]" if c in "*?[" else c for c in str(location)))


def scalar(con: Connection, sql: str) -> int:
    """Return the first value of a query, or how many rows a statement changed."""
    return con.execute(sql).fetchone()[0]


def by_file(con: Connection, sql: str) -> dict[int, int]:
    """Return the pairs of a query of two columns, a file id and its value."""
    return dict(con.execute(sql).fetchall())


@contextmanager
def transaction(con: Connection) -> Iterator[None]:
    """Commit what is done within, or roll it back when that fails."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _canonical_json(value: str) -> str:
    """Return SQL for minified JSON text without null members; null where it is not JSON.

    A null member says what an absent one says, and Parquet structs cannot leave members out: both
    must give the same content hash. Merging is the dearer way, so only where a null can be.
    """
    merged = f"json_merge_patch('{{}}', {value})"
    return f"try(case when contains({value}, 'null') then {merged} else json({value}) end)::varchar"


_WHITE_SPACE = "e' \\t\\r\\n'"
_BEGINS_WITH_DIGIT = f"ltrim(?, {_WHITE_SPACE}) between '0' and ':'"
"""SQL that is true of written times, not of the words that a cast takes too (epoch, infinity)."""

_READ_TEXT: dict[Kind, str] = {
    # Only a cast to timestamptz honours an offset or zone in the text; without one it takes the
    # session's zone, which is UTC here.
    "time": f"case when {_BEGINS_WITH_DIGIT} then timezone('UTC', try_cast(trim(?) as timestamptz)) end",
    "date": f"case when {_BEGINS_WITH_DIGIT} then try_cast(trim(?) as date) end",
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
        when not isnan(?) then ?::varchar end""",
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


def _trimmed(text: str) -> str:
    """Return SQL for text without white space around it; most has none at all, which is cheaper to see than to trim."""
    found = " or ".join(f"contains({text}, e'{character}')" for character in (" ", "\\t", "\\r", "\\n"))
    return f"case when {found} then trim({text}, {_WHITE_SPACE}) else {text} end"


def read_sql(column: Column, value: str, sql_type: str) -> tuple[str, str]:
    """Return SQL for the value as the file has it (null where empty), and for reading that as `?`."""
    kind = "text" if column.kind == "key" else column.kind
    native = _READ_NATIVE.get((kind, _type_class(sql_type)))
    if native:
        return value, native
    # White space is a value of its own in texts only: elsewhere it is an empty field.
    text = f"{value}::varchar" if column.kind == "text" else _trimmed(f"{value}::varchar")
    text = f"nullif({text}, '')"
    if column.kind in {"object", "list"}:
        text = f"nullif({text}, 'null')"
    return text, _READ_TEXT.get(column.kind, "?")
