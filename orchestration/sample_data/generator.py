"""The generator: files of made-up companies, of any size, with the truth kept apart."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestration.sample_data.delivery import LATE_DAYS, PRIOR_DAYS, Delivery, Span, date_of, day_number_of
from orchestration.sample_data.event_types import EVENT_TYPES
from orchestration.sample_data.files import (
    EVENT_COLUMNS,
    connect,
    copy_rows,
    make_folder,
    write_csv,
    write_organization,
)
from orchestration.sample_data.lookups import calendar_rows, create_table, prepare_tables
from orchestration.sample_data.tenants import TENANTS
from orchestration.sample_data.world_sql import (
    BATCHES,
    CREATE_EVENTS,
    CREATE_MACROS,
    CREATE_VISITS,
    CUSTOMERS_FEED,
    TRUE_CUSTOMERS,
    TRUTHS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from orchestration.sample_data.event_types import EventType

_WORKERS = 2  # each may take 1.5 GB


def generate(  # noqa: PLR0913 - every keyword is a dimension of the world
    raw_dir: Path,
    *,
    events: int,
    seed: int = 1,
    tenants: Sequence[str] | None = None,
    until: date = date(2025, 12, 31),
    days: int = 730,
    only_day: date | None = None,
    truth_dir: Path | None = None,
) -> None:
    """Write the files of a made-up world of about `events` events as Parquet below `raw_dir`.

    The history covers the `days` local days that end with `until`, in one file per tenant and
    month, each followed by a file of late events (`…_late`: they land three days after they
    happened) and one of events that were landed before (`…_resent`: duplicates, one visit in ten
    with other content). A small CSV file per tenant (`desk_export.csv`) holds rows that a desk
    typed in, some of them unusable. Customers come in several versions; organizations once.

    `only_day` writes one day's delivery instead, and nothing else: what lands on that local day
    of the very world that the other arguments name. The day after `until` is the next delivery
    (also late events of the days before, new customers, changed profiles); a day within the
    history is written as the month's file has it.

    `truth_dir` (never below `raw_dir`) receives what an analysis should find out:
    `customers/` (persona, habits, when churned), `bad_rows/`, `duplicates/`, `late_events/`.

    Customers number about `events` / 49. Two tenants are
    written at a time, each in at most 1.5 GB: larger worlds spill to disk.
    """
    if events < 1 or days < 1:
        raise ValueError(f"events and days must be positive, not {events} and {days}")
    if truth_dir is not None and truth_dir.resolve().is_relative_to(raw_dir.resolve()):
        raise ValueError(f"the truth must not lie among the raw files: {truth_dir}")
    unknown = set(tenants or ()) - set(TENANTS)
    if unknown:
        raise ValueError(f"unknown tenants {sorted(unknown)}; there are {sorted(TENANTS)}")
    chosen = [TENANTS[name] for name in (tenants or TENANTS)]
    share = sum(tenant.event_share for tenant in chosen)
    deliveries = [
        Delivery(
            raw_dir=raw_dir,
            truth_dir=truth_dir,
            tenant=tenant,
            events=events * tenant.event_share / share,
            seed=seed,
            until=until,
            days=days,
            only_day=only_day,
        )
        for tenant in chosen
    ]
    # A month of one tenant is too little for DuckDB's threads to share: tenants go side by side.
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        list(pool.map(_write_delivery, deliveries))


def _write_delivery(delivery: Delivery) -> None:
    """Write one tenant's files."""
    with connect() as con:
        con.execute(CREATE_MACROS)
        prepare_tables(con, delivery)
        _write_events(con, delivery)
        _write_customers(con, delivery)
        if delivery.only_day is None:
            write_organization(delivery.raw_dir, _organization(delivery))
            _write_desk_export(con, delivery)


def _type_cases(sql_of_type: Mapping[str, str | None]) -> str:
    """Build an SQL case over the event type: null for the types without SQL."""
    whens = [
        f"when {number} then {sql_of_type[name]}"
        for number, name in enumerate(EVENT_TYPES)
        if sql_of_type[name] is not None
    ]
    return "case type_number " + " ".join(whens) + " end"


def _properties_sql(event_type: EventType) -> str | None:
    if not event_type.properties:
        return None
    pairs = ", ".join(f"'{key}', {sql}" for key, sql in event_type.properties.items())
    return f"json_object({pairs})"


def _events_sql() -> str:
    """Complete `CREATE_EVENTS` with the columns that depend on the event's type."""
    columns = {
        "{value}": {name: event_type.value for name, event_type in EVENT_TYPES.items()},
        "{path}": {name: event_type.path for name, event_type in EVENT_TYPES.items()},
        "{properties}": {name: _properties_sql(kind) for name, kind in EVENT_TYPES.items()},
    }
    sql = CREATE_EVENTS
    for placeholder, sql_of_type in columns.items():
        sql = sql.replace(placeholder, _type_cases(sql_of_type))
    return sql


def _write_events(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Write a tenant's events span by span, which bounds the memory by one month's events."""
    tenant = delivery.tenant
    folder = make_folder(delivery.raw_dir, "events", tenant.user_id)
    events_sql = _events_sql()
    for span in delivery.spans():
        create_table(con, "span", [span._asdict() | {"late_days": LATE_DAYS}])
        create_table(con, "calendar", calendar_rows(delivery, span))
        con.execute(CREATE_VISITS)
        con.execute(events_sql)
        for suffix, query in BATCHES.items():
            path = folder / f"{span.label}{suffix}.parquet"
            copy_rows(con, f"{query} order by created_at, id", path)
        if delivery.truth_dir is not None:
            for name, query in TRUTHS.items():
                path = make_folder(delivery.truth_dir, name, tenant.user_id) / f"{span.label}.parquet"
                copy_rows(con, f"{query} order by id", path)


def _write_customers(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Write the profile versions of the history (also from before it), or of the one day."""
    tenant = delivery.tenant
    last = delivery.only_day or delivery.until
    first_day = day_number_of(last) if delivery.only_day else delivery.first_day - PRIOR_DAYS
    span = Span(last.isoformat(), first_day, day_number_of(last))
    create_table(con, "span", [span._asdict()])
    path = make_folder(delivery.raw_dir, "customers", tenant.user_id) / f"{span.label}.parquet"
    copy_rows(con, CUSTOMERS_FEED, path)
    if delivery.truth_dir is not None:
        path = make_folder(delivery.truth_dir, "customers", tenant.user_id) / f"{span.label}.parquet"
        copy_rows(con, TRUE_CUSTOMERS, path)


def _organization(delivery: Delivery) -> dict[str, Any]:
    tenant = delivery.tenant
    return {
        "user_id": tenant.user_id,
        "name": tenant.name,
        "org_type": tenant.org_type,
        "timezone": tenant.timezone,
        "currency": tenant.currency,
        "latitude": tenant.cities[0].latitude,
        "longitude": tenant.cities[0].longitude,
        "gross_margin_rate": tenant.gross_margin_rate,
        "updated_at": f"{date_of(delivery.first_day - PRIOR_DAYS)} 00:00:00",
    }


# What a desk clerk can get wrong: rule → the column spoiled and what stands in it.
BAD_ROWS: Mapping[str, tuple[str, str]] = {
    "missing_customer_id": ("customer_id", ""),
    "missing_event_type": ("event_type", ""),
    "unreadable_timestamp": ("created_at", "the day before yesterday"),
    "future_timestamp": ("created_at", "2999-01-01 09:00:00"),
    "timestamp_before_1970": ("created_at", "1969-12-31 09:00:00"),
    "negative_value": ("event_value", "-12.50"),
    "non_finite_value": ("event_value", "inf"),
    "value_above_limit": ("event_value", "2500000000"),
    "unreadable_json": ("event_properties", '{"ticket_id": '),
}
_DESK_ROWS = 4 * len(BAD_ROWS)  # every fourth row is spoiled, each in its own way


def _write_desk_export(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Write a CSV file of support tickets typed in by hand; every fourth row is unusable."""
    tenant = delivery.tenant
    customers = con.execute(
        "select customer_id from customers where joined_day < $day "
        "order by dropped_day >= $day desc, customer_number limit $rows",
        {"day": delivery.last_day - _DESK_ROWS, "rows": _DESK_ROWS},
    ).fetchall()
    rules = iter(BAD_ROWS.items())
    rows, bad_rows = [], []
    path = make_folder(delivery.raw_dir, "events", tenant.user_id) / "desk_export.csv"
    for number, (customer_id,) in enumerate(customers, start=1):
        day = date_of(delivery.last_day - number)
        row = {
            "id": f"{tenant.prefix}-desk-{number:03d}",
            "user_id": tenant.user_id,
            "customer_id": customer_id,
            "event_type": "support_ticket",
            "event_value": "",
            "event_properties": json.dumps({"ticket_id": f"desk-{number:03d}", "topic": "phone"}),
            "created_at": f"{day} {9 + number % 8:02d}:15:00",
        }
        rule, (column, text) = next(rules) if number % 4 == 0 else ("", ("", ""))
        if rule:
            row[column] = text
            bad_rows.append(
                {
                    "user_id": tenant.user_id,
                    "path": path.relative_to(delivery.raw_dir).as_posix(),
                    "record_number": number,
                    "id": row["id"],
                    "rule": rule,
                }
            )
        rows.append(row)
    write_csv(path, EVENT_COLUMNS, rows)
    if delivery.truth_dir is not None and bad_rows:
        truth = make_folder(delivery.truth_dir, "bad_rows", tenant.user_id) / "desk_export.parquet"
        pd.DataFrame(bad_rows).to_parquet(truth)
