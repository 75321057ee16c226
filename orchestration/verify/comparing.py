"""Comparing: whether a table holds the same rows in the working and the scratch database, and if not, which differ."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration.release.sql import attached, identifier
from orchestration.verify.scratch import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

    from orchestration.home import Home

OUTSIDE_THE_LAW: dict[str, str] = {}
"""Marts that another computation from the same raw tables need not repeat, each with the reason.

None today: load_ledger and run_ledger record what happened, but where it is recorded is a raw table, and the marts are
functions of it.
"""

KEYS_TOLD = 5
"""Differing keys that are named for each table."""

TenantDate = tuple[str, Any]
"""A tenant and a local date (or session date)."""


@dataclass(frozen=True)
class Table:
    """A mart or an incremental model, with the columns that identify a row."""

    name: str
    schema: str
    key: tuple[str, ...]
    date_column: str | None = None
    """The date by which an incremental model is replaced; None: rebuilt whole in every run."""
    is_sampled: bool = False
    """Whether its rows of a date hang on that date alone (a session's: on two), so that a few can be recomputed."""

    @property
    def relation(self) -> str:
        """Return the table's name in SQL, in whichever database stands under the name `warehouse`."""
        return f"warehouse.{identifier(self.schema)}.{identifier(self.name)}"


@dataclass(frozen=True)
class Fingerprint:
    """What two tables with the same rows have in common, in whatever order they hold them."""

    columns: tuple[str, ...]
    rows: int
    hash_sum: int


@dataclass(frozen=True)
class Comparison:
    """How a table came out."""

    table: Table
    working_rows: int
    recomputed_rows: int
    differing_keys: int = 0
    findings: tuple[str, ...] = ()
    """What differs, for the first keys."""

    @property
    def is_equal(self) -> bool:
        """Say whether both hold the same rows."""
        return not self.findings

    def __str__(self) -> str:
        """Return the line of the table, and one for each finding."""
        line = f"{self.table.name:<28} {self.working_rows:>14,} rows  "
        if self.is_equal:
            return line + "equal"
        return line + "\n  ".join(
            [f"DIFFERS in {self.differing_keys:,} keys (recomputed: {self.recomputed_rows:,} rows)", *self.findings]
        )


def verified_tables(manifest: Mapping[str, Any]) -> list[Table]:
    """Return every mart and every incremental model, by name, from dbt's manifest."""
    nodes = manifest["nodes"]
    keys = {
        node["attached_node"]: node["test_metadata"]["kwargs"]["columns"]
        # The widest key says most about a row: tenant and customer rather than an id made from them.
        for node in sorted(nodes.values(), key=lambda node: len(_key_columns(node)))
        if _key_columns(node)
    }
    return [
        Table(
            node["name"],
            node["schema"],
            tuple(keys[unique_id]),
            date_column := node["config"].get("date_column"),
            is_sampled=bool(date_column) and not node["config"].get("meta", {}).get("depends_on_earlier_dates", False),
        )
        for unique_id, node in sorted(nodes.items(), key=lambda item: item[1]["name"])
        if node["resource_type"] == "model"
        if node["fqn"][1] == "marts" or node["config"]["materialized"] == "incremental"
        if node["name"] not in OUTSIDE_THE_LAW
    ]


def _key_columns(node: Mapping[str, Any]) -> Sequence[str]:
    test = node.get("test_metadata") or {}
    return test["kwargs"]["columns"] if test.get("name") == "unique_key" else ()


def compare(
    home: Home, tables: Sequence[Table], dates: Mapping[str, Iterable[TenantDate]] | None = None
) -> Iterator[Comparison]:
    """Compare tables of the working database with those of the scratch database.

    `dates`: only rows of these tenants and dates, by the name of the tables' date column.
    """
    with opened(home, ":memory:") as con:
        for column, pairs in (dates or {}).items():
            con.execute(f"create temp table dates_of_{column} (user_id varchar, {column} date)")
            con.executemany(f"insert into dates_of_{column} values (?, ?)", sorted(pairs))
        is_sample = dates is not None
        with _working(con, home):
            working = [_fingerprint(con, table, is_sample=is_sample) for table in tables]
        with _recomputed(con, home):
            recomputed = [_fingerprint(con, table, is_sample=is_sample) for table in tables]
        for table, left, right in zip(tables, working, recomputed, strict=True):
            if left == right:
                yield Comparison(table, left.rows, right.rows)
            elif left.columns != right.columns:
                yield Comparison(table, left.rows, right.rows, findings=("its columns are not the same",))
            else:
                count, findings = _differences(con, home, table, left.columns, is_sample=is_sample)
                yield Comparison(table, left.rows, right.rows, count, findings)


# A view names the database that it reads: both sides must stand under the name that dbt gave them, one after the other.


@contextmanager
def _working(con: duckdb.DuckDBPyConnection, home: Home) -> Iterator[None]:
    with attached(con, home.database, "warehouse", "(read_only)"):
        yield


@contextmanager
def _recomputed(con: duckdb.DuckDBPyConnection, home: Home) -> Iterator[None]:
    with (
        attached(con, home.database, "working", "(read_only)"),
        attached(con, home.scratch / home.database.name, "warehouse", "(read_only)"),
    ):
        yield


def _rows(table: Table, *, is_sample: bool) -> str:
    if not is_sample:
        return table.relation
    dates = f"(select user_id, {table.date_column} from dates_of_{table.date_column})"
    return f"(select * from {table.relation} where (user_id, {table.date_column}) in {dates})"


def _fingerprint(con: duckdb.DuckDBPyConnection, table: Table, *, is_sample: bool) -> Fingerprint:
    columns = tuple(column for column, *_ in con.execute(f"describe {table.relation}").fetchall())
    rows, hash_sum = con.execute(
        f"select count(*), coalesce(sum({_row_hash(columns)}), 0) from {_rows(table, is_sample=is_sample)}"
    ).fetchone()
    return Fingerprint(columns, rows, hash_sum)


def _row_hash(columns: Iterable[str]) -> str:
    return f"hash({', '.join(map(identifier, columns))})"


def _differences(
    con: duckdb.DuckDBPyConnection, home: Home, table: Table, columns: Sequence[str], *, is_sample: bool
) -> tuple[int, tuple[str, ...]]:
    """Return how many keys differ, and what differs for the first of them."""
    key = ", ".join(map(identifier, table.key))
    sides = {"working_rows": _working, "recomputed_rows": _recomputed}
    for rows, side in sides.items():
        with side(con, home):
            con.execute(
                f"create or replace temp table {rows} as "
                f"select {key}, {_row_hash(columns)} as row_hash from {_rows(table, is_sample=is_sample)}"
            )
    con.execute(f"""
        create or replace temp table differing as
        select distinct {key}
        from (
            select *, 1 as surplus from working_rows
            union all
            select *, -1 as surplus from recomputed_rows
        )
        group by {key}, row_hash
        having sum(surplus) <> 0
    """)
    count = con.execute("select count(*) from differing").fetchone()[0]
    con.execute(f"create or replace temp table told as from differing order by {key} limit {KEYS_TOLD}")
    same_key = " and ".join(f"told.{name} is not distinct from side.{name}" for name in map(identifier, table.key))
    found = []
    for side in sides.values():
        with side(con, home):
            cursor = con.execute(
                f"select side.* from {_rows(table, is_sample=is_sample)} as side inner join told on {same_key}"
            )
            found.append([dict(zip(columns, row, strict=True)) for row in cursor.fetchall()])
    told = [dict(zip(table.key, row, strict=True)) for row in con.execute(f"from told order by {key}").fetchall()]
    return count, tuple(finding(table, values, *found) for values in told)


def finding(
    table: Table,
    key: Mapping[str, Any],
    working: Sequence[Mapping[str, Any]],
    recomputed: Sequence[Mapping[str, Any]],
) -> str:
    """Say how the rows of one key differ: which side has them, or in which columns. Values may be personal data."""
    left, right = (
        [row for row in rows if all(row[name] == value for name, value in key.items())]
        for rows in (working, recomputed)
    )
    match len(left), len(right):
        case (_, 0):
            how = "only in the working marts"
        case (0, _):
            how = "only in the rebuild"
        case (1, 1):
            how = "differs in " + ", ".join(name for name in left[0] if left[0][name] != right[0][name])
        case _:
            how = f"{len(left)} rows in the working marts, {len(right)} in the rebuild"
    # Where an incremental model's key does not say it: the dates that `warehouse backfill` would mend.
    places = [name for name in ("user_id", table.date_column) if table.date_column and name not in key]
    place = f" ({_named({name: (left or right)[0][name] for name in places})})" if places else ""
    return f"{_named(key)}{place}: {how}"


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
