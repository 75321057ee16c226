"""Histories: what one tenant's customers did, and how it reached the warehouse, both drawn at random.

A history is a list of records, each with the files it lies in. A file is named by its round, the load that finds it,
and a letter. Rounds are a day apart. The file of letter `c` of an early round is withdrawn later. Every history is one
tenant, and a file holds the rows of many tenants: so fifty histories cost as many runs as one, and their isolation is
tested with them.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, seed, settings
from small_warehouse import PROJECT_DIR

from orchestration import evaluations, ledger, load
from orchestration.parameters import FOLLOWS_DEFINITIONS, TELLS_WHAT_WAITS
from orchestration.segments import add_segment, change_segment, retire_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from hypothesis.strategies import DrawFn
    from small_warehouse import SmallWarehouse

ROUNDS = 6
FIRST_LOAD = datetime(2024, 11, 5, 3)  # noqa: DTZ001 - UTC without a zone, as the ledgers keep it
FIRST_EVENT = datetime(2024, 10, 20)  # noqa: DTZ001
WITHDRAWN = {(1, "c"): 3, (0, "c"): 5}
"""Files that are withdrawn, with the round before whose load that happens."""
BACKFILLED_BEFORE = 4
BACKFILLED_DATES = tuple((FIRST_EVENT + timedelta(days=days)).date() for days in (3, 5))
"""First and last date of the backfill."""
UNPUBLISHED = {1, 3}
"""Rounds whose run ends before it has published: their loads stay pending."""
MANUAL_SEGMENT = "vip_by_hand"
UNBUILT = {2}
"""Rounds whose run ends after loading."""

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"]
CUSTOMERS = ["ann", "bob", "cyd"]
COLUMNS = {
    "events": [
        *("user_id", "id", "customer_id", "event_type", "event_value", "event_properties", "page_url"),
        *("product_category", "device_type", "session_id", "created_at"),
    ],
    "customers": [
        *("user_id", "customer_id", "city", "gender", "birth_date", "email_opt_in", "loyalty_tier", "loyalty_points"),
        *("tags", "latitude", "longitude", "signup_at", "updated_at"),
    ],
    "organizations": ["user_id", "org_type", "timezone", "latitude", "longitude", "updated_at"],
    "segment_assignments": ["user_id", "segment", "customer_id", "action", "at", "actor"],
}
KINDS = ["page_view", "product_view", "add_to_cart", "purchase", "email_open", "review", "login", "never_heard_of"]


@dataclass(frozen=True)
class Record:
    """One line of a feed and the files, (round, letter), that hold it."""

    feed: str
    values: dict[str, Any]
    files: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class History:
    """What reached the warehouse of one tenant."""

    records: tuple[Record, ...]
    has_conflicts: bool

    def describe(self) -> str:
        """Return the history line by line, as a failing test shows it."""
        return "\n".join(
            f"{' '.join(f'{number}{letter}' for number, letter in record.files):<12} {record.feed:<14} "
            + ", ".join(f"{name}={value}" for name, value in record.values.items() if value is not None)
            for record in self.records
        )


def loaded_at(number: int) -> datetime:
    """Return when a round's load happens (UTC)."""
    return FIRST_LOAD + timedelta(days=number)


def earliest_round(moment: datetime) -> int:
    """Return the first round that can hold an event: a later one than its load is refused as future."""
    return next((number for number in range(ROUNDS) if loaded_at(number) >= moment), ROUNDS - 1)


@st.composite
def arrivals(draw: DrawFn, moment: datetime) -> tuple[tuple[int, str], ...]:
    """Draw the files that hold a record: mostly one and in time, else late, or repeated later or earlier."""
    first = earliest_round(moment)
    letter = st.sampled_from("aaabbc")
    number = draw(st.one_of(st.just(first), st.integers(first, ROUNDS - 1)))
    files = {(number, draw(letter))}
    if draw(st.integers(0, 5)) == 0:
        files.add((draw(st.integers(first, ROUNDS - 1)), draw(letter)))
    return tuple(sorted(files))


@st.composite
def moments(draw: DrawFn) -> datetime:
    """Draw a UTC second, often close to where something is cut: a midnight or 04:00 of some zone, the half hour."""
    day = FIRST_EVENT + timedelta(days=draw(st.integers(0, 20)))
    hour = draw(st.sampled_from([0, 2, 3, 4, 5, 9, 10, 13, 14, 18, 22, 23]))
    edge = draw(st.sampled_from([-1800, -1, 0, 1, 600, 1799]))
    return min(day + timedelta(hours=hour, seconds=edge), loaded_at(ROUNDS - 1) - timedelta(hours=1))


@st.composite
def visits(draw: DrawFn) -> list[dict[str, Any]]:
    """Draw some events of one customer with gaps around the session timeout."""
    moment, customer, events = draw(moments()), draw(st.sampled_from(CUSTOMERS)), []
    session = draw(st.sampled_from([None, None, "s1"]))
    for gap in draw(st.lists(st.sampled_from([0, 1, 600, 1799, 1800, 1801, 7200]), min_size=1, max_size=5)):
        moment += timedelta(seconds=gap)
        kind = draw(st.sampled_from(KINDS))
        events.append(
            {
                "customer_id": customer,
                "event_type": kind,
                "event_value": draw(st.integers(0, 900)) / 10 if kind == "purchase" else None,
                "page_url": draw(st.sampled_from([None, "https://a.example/p?utm_source=google&utm_medium=cpc"])),
                "product_category": draw(st.sampled_from([None, "mugs", "pens"])),
                "device_type": draw(st.sampled_from([None, "mobile", "desktop"])),
                "session_id": session,
                "created_at": moment,
            }
        )
    return events


@st.composite
def orders(draw: DrawFn) -> list[dict[str, Any]]:
    """Draw an order whose lines lie on up to three days, and perhaps a refund, before or after."""
    customer, order_id = draw(st.sampled_from(CUSTOMERS)), f"order-{draw(st.integers(0, 3))}"
    events = []
    for kind in ["purchase"] * draw(st.integers(1, 3)) + ["refund"] * draw(st.integers(0, 2)):
        properties = {"order_id": order_id}
        if draw(st.booleans()) and kind == "purchase":
            properties["lines"] = [{"product_id": "pen", "value": draw(st.integers(0, 9)), "category": "pens"}]
        events.append(
            {
                "customer_id": customer,
                "event_type": kind,
                "event_value": draw(st.integers(1, 900)) / 10,
                "event_properties": json.dumps(properties),
                "created_at": draw(moments()),
            }
        )
    return events


@st.composite
def devices(draw: DrawFn) -> list[dict[str, Any]]:
    """Draw a device that reports every 20 minutes for one or two days: no silence ever ends its session."""
    first, count = draw(moments()), draw(st.integers(60, 150))
    last = loaded_at(ROUNDS - 1) - timedelta(hours=1)
    reports = (first + timedelta(minutes=20 * number) for number in range(count))
    return [
        {"customer_id": "device", "event_type": "login", "created_at": moment} for moment in reports if moment <= last
    ]


@st.composite
def histories(draw: DrawFn) -> History:
    """Draw a tenant's history."""
    incident = st.one_of(visits(), visits(), visits(), orders(), orders())
    incidents = draw(st.lists(incident, min_size=2, max_size=7))
    if draw(st.integers(0, 4)) == 0:
        incidents.append(draw(devices()))
    records, has_conflicts = [], False
    may_conflict = draw(st.sampled_from([True, False]))
    for events in incidents:
        together = draw(st.booleans())
        files = draw(arrivals(max(event["created_at"] for event in events)))
        for event in events:
            values = {"id": f"e{len(records)}"} | event
            where = files if together else draw(arrivals(event["created_at"]))
            records.append(Record("events", values, where))
            if may_conflict and draw(st.integers(0, 5)) == 0:
                has_conflicts = True
                other = values | {"created_at": draw(moments()), "customer_id": draw(st.sampled_from(CUSTOMERS))}
                records.append(Record("events", other, draw(arrivals(other["created_at"]))))
    for number in range(draw(st.integers(0, 4))):
        values = {
            "customer_id": draw(st.sampled_from(CUSTOMERS)),
            "city": draw(st.sampled_from(["Bonn", "Ulm", None])),
            "birth_date": draw(st.sampled_from([None, "1990-11-04", "1988-02-29", "1979-10-30"])),
            "email_opt_in": draw(st.sampled_from([None, True, False])),
            "loyalty_tier": draw(st.sampled_from([None, "silver", "Gold"])),
            "loyalty_points": draw(st.sampled_from([None, 10, 999, 5000])),
            "tags": draw(st.sampled_from([None, '["press","new"]'])),
            "latitude": draw(st.sampled_from([None, 50.73, 51.5])),
            "longitude": 7.1,
            "signup_at": draw(st.one_of(st.none(), moments())),
            "updated_at": FIRST_EVENT + timedelta(days=draw(st.integers(0, 12)), seconds=number),
        }
        latest = max(values["updated_at"], values["signup_at"] or values["updated_at"])
        records.append(Record("customers", values, draw(arrivals(latest))))
    for number in range(draw(st.sampled_from([0, 1, 1, 2]))):
        values = {
            "org_type": "ecommerce",
            "timezone": draw(st.sampled_from(ZONES)),
            "latitude": draw(st.sampled_from([None, 50.7, 50.75])),
            "longitude": 7.1,
            "updated_at": FIRST_EVENT + timedelta(days=draw(st.integers(0, 12)), seconds=number),
        }
        records.append(Record("organizations", values, draw(arrivals(values["updated_at"]))))
    for number in range(draw(st.integers(0, 4))):
        values = {
            "segment": MANUAL_SEGMENT,
            "customer_id": draw(st.sampled_from([*CUSTOMERS, "nobody"])),
            "action": draw(st.sampled_from(["add", "add", "remove"])),
            "at": draw(moments()) + timedelta(microseconds=number),
            "actor": draw(st.sampled_from(["eve", "sam"])),
        }
        records.append(Record("segment_assignments", values, draw(arrivals(values["at"]))))
    # Everybody comes back on the last day, in every landing order: the as-of date hangs on the tenant's last load.
    last = {"id": "last", "customer_id": "ann", "event_type": "login", "created_at": loaded_at(ROUNDS - 2)}
    records.append(Record("events", last, ((ROUNDS - 1, "a"),)))
    return History(tuple(records), has_conflicts)


def draw_histories(count: int) -> dict[str, History]:
    """Return a number of histories by tenant, the same at every call.

    Only drawn by hypothesis, not shrunk: a failing test names the tenant and prints its history.
    """
    drawn: list[History] = []

    @seed(20241105)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def collect(history: History) -> None:
        drawn.append(history)

    collect()
    return {f"tenant-{number:03}": history for number, history in enumerate(drawn)}


def land(raw: Path, tenants: dict[str, History], files: Collection[tuple[int, str]]) -> None:
    """Write the files of some rounds and letters, each with the rows of all tenants that lie in it."""
    rows: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    for tenant, history in tenants.items():
        for record in history.records:
            for number, letter in record.files:
                if (number, letter) in files:
                    rows[record.feed, number, letter].append({"user_id": tenant} | record.values)
    for (feed, number, letter), lines in rows.items():
        path = raw / feed / f"{number}{letter}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS[feed])
            writer.writeheader()
            writer.writerows(lines)


def all_files() -> list[tuple[int, str]]:
    """Return every (round, letter)."""
    return [(number, letter) for number in range(ROUNDS) for letter in "abc"]


def files_withdrawn_before(number: int, raw: Path) -> list[str]:
    """Return the paths of the files in a raw folder that are withdrawn before the load of a round."""
    names = [f"{earlier}{letter}.csv" for (earlier, letter), before in WITHDRAWN.items() if before == number]
    paths = [f"{feed}/{name}" for name in names for feed in COLUMNS]
    return [path for path in paths if (raw / path).exists()]


def load_files(warehouse: SmallWarehouse, number: int) -> None:
    """Do the load step of a round: withdrawals and requests that come before it, then the new files."""
    with warehouse.connect() as con:
        load.create_raw_tables(con)
        for path in files_withdrawn_before(number, warehouse.home / "raw"):
            (warehouse.home / "raw" / path).unlink()
            load.withdraw(con, path, run_id=f"withdraw-{number}", loaded_at=loaded_at(number))
        if number == BACKFILLED_BEFORE:
            ledger.request_recompute(con, *BACKFILLED_DATES, cause="backfill")
        report = load.load_new_files(con, warehouse.home / "raw", run_id=f"round-{number}", loaded_at=loaded_at(number))
    assert not report.refused, report.refused


INCREMENTAL = ("--select", "+config.materialized:incremental")
"""What is built in every round. The rest is rebuilt whole in every run: building it in the last one is enough."""
BATCHES = ("--vars", '{"events_per_batch": 100, "states_per_batch": 100}')
"""Rounds write large tables in several batches, the full refresh that they are compared with in one."""


SMALL_SEGMENTS = {
    "spenders": '{"minLifetimeValue": 20}',
    "buyers": '{"minOrders": 1}',
    "visitors": '{"all": [{"field": "active_days_last_30_days", "operator": ">=", "value": 2}]}',
    "returning": '{"all": [{"field": "days_since_last_event", "operator": "between", "value": [1, 3]}]}',
    "best": '{"all": [{"field": "total_spent", "operator": "top_percent", "value": 40}]}',
    "near": '{"all": [{"field": "distance_km", "operator": "<=", "value": 5}]}',
    "nowhere": '{"all": [{"field": "city", "operator": "is_null"}]}',
    "not from Bonn": '{"all": [{"field": "city", "operator": "!=", "value": "bonn"}]}',
    "birthdays": '{"all": [{"field": "birth_date", "operator": "anniversary_within_days", "value": 3}]}',
    "penless": (
        '{"all": [{"field": "event_count", "subject": "purchase", "match_key": "category", "match_value": "pens",'
        ' "operator": "=", "value": 0, "first_day": 0, "last_day": 4}]}'
    ),
    "logged in": (
        '{"any": [{"all": [{"field": "event_days", "subject": "login", "operator": ">=", "value": 2, "first_day": 1,'
        ' "last_day": 6}]}, {"all": [{"field": "tags", "operator": "contains", "value": "press"}]}]}'
    ),
    "just bought": '{"all": [{"field": "joined_segment", "subject": "buyers", "operator": "within_days", "value": 2}]}',
}
"""Segments that the few days and coins of a history decide, by name."""


def redefine(seeds: Path, number: int) -> None:
    """Add, change and retire segments before the build of a round, with effect before, on and after its own date."""
    today = loaded_at(number).date()
    if number == 0:
        # The shipped ones look at more days and money than a history has.
        for key, criteria in SMALL_SEGMENTS.items():
            add_segment(seeds, name=key, segment_type="custom", criteria=criteria, since=FIRST_EVENT.date())
    elif number == 1:
        add_segment(seeds, name="late", segment_type="custom", criteria='{"minOrders": 1}', since=BACKFILLED_DATES[0])
    elif number == 3:
        change_segment(seeds, "spenders", criteria='{"minLifetimeValue": 40}', since=today - timedelta(days=4))
        retire_segment(seeds, "visitors", since=today - timedelta(days=2))
    elif number == 4:
        change_segment(seeds, "spenders", criteria='{"minLifetimeValue": 5}', since=today)
    elif number == ROUNDS - 1:
        retire_segment(seeds, "late", since=today + timedelta(days=30))
        change_segment(seeds, "buyers", criteria='{"minOrders": 2}', since=today - timedelta(days=9))
    elif number == ROUNDS:
        as_of_date = today - timedelta(days=2)
        add_segment(seeds, name="added", segment_type="custom", criteria='{"minOrders": 1}', since=as_of_date)
        change_segment(seeds, "returning", criteria=SMALL_SEGMENTS["near"], since=today - timedelta(days=5))
        retire_segment(seeds, "penless", since=today - timedelta(days=3))


def play(warehouse: SmallWarehouse, tenants: dict[str, History], last_selection: Iterable[str] = ()) -> None:
    """Let all rounds happen: files land, are loaded, models are built, the loads count as published.

    Definitions of segments change meanwhile, in the seeds of the warehouse's own copy of the project.
    """
    assert warehouse.project != PROJECT_DIR
    for number in range(ROUNDS):
        redefine(warehouse.project / "seeds", number)
        land(warehouse.home / "raw", tenants, [(number, letter) for letter in "abc"])
        load_files(warehouse, number)
        if number in UNBUILT:
            continue
        if number - 1 in UNPUBLISHED | UNBUILT:
            with warehouse.connect() as con:
                evaluations.forget_unpublished(con)
        warehouse.build(*(last_selection if number == ROUNDS - 1 else INCREMENTAL), *BATCHES)
        if number not in UNPUBLISHED and number != ROUNDS - 1:
            warehouse.publish()


def change_only_definitions(warehouse: SmallWarehouse) -> None:
    """Publish, change definitions, and build what a run builds that nothing came in for."""
    warehouse.publish()
    redefine(warehouse.project / "seeds", ROUNDS)
    warehouse.build("--select", f"{TELLS_WHAT_WAITS} {FOLLOWS_DEFINITIONS}", *BATCHES)


OF_THE_RUN = {
    f"intermediate.int_{name}"
    for name in (
        *("segment_dates", "segment_due_dates", "segment_customers", "customer_days", "window_moves", "customer_moves"),
        "customer_measures",
        *("customer_favourites", "customer_profile_days", "customer_prediction_days", "customer_intervals"),
        *("customer_states", "state_scores", "customer_attributes"),
        *("rank_values", "rank_edges", "rank_buckets", "rank_cuts", "rank_levels", "segment_event_values"),
        *("segment_attribute_hits", "segment_uneven_hits", "segment_rank_hits", "segment_event_hits", "segment_masks"),
    )
}
"""Tables of the dates that a run evaluates memberships on: a full refresh evaluates all."""
RECORDED = {"marts.load_ledger", "marts.run_ledger", "restricted.rejected_texts"}
"""Tables that record what happened: they stand outside the law."""
NAMES_OF_LOADS = {"load_id", "file_id", "record_number", "id", "path"}
TELL_LOADS = {f"marts.{name}" for name in ("rejected_events", "rejected_rows", "data_as_of", "segment_assignment_log")}
"""Tables with columns that name loads."""


def differing_tenants(left: Path, right: Path, *, ignoring_loads: bool = False) -> dict[str, set[str]]:
    """Return the tables of two databases that differ, with the tenants of the rows that only one of them has."""
    with duckdb.connect() as con:
        con.execute(f"attach '{left}' as one (read_only); attach '{right}' as other (read_only)")
        tables: dict[str, list[str]] = {}
        for table, column in con.execute(
            """
            select schema_name || '.' || table_name, column_name from duckdb_columns()
            where database_name = 'one' and schema_name in ('intermediate', 'marts', 'restricted')
            order by all
            """
        ).fetchall():
            tables.setdefault(table, []).append(column)
        found: dict[str, set[str]] = {}
        for table, columns in tables.items():
            if table in RECORDED | OF_THE_RUN or (ignoring_loads and table.startswith("intermediate.")):
                continue
            kept = [c for c in columns if not (ignoring_loads and table in TELL_LOADS and c in NAMES_OF_LOADS)]
            names, tenant = ", ".join(kept), "user_id" if "user_id" in columns else None
            tenant = tenant or ("organization_id" if "organization_id" in columns else "'?'")
            rows = con.execute(
                f"""
                select distinct {tenant} from (
                    (select {names} from one.{table} except all select {names} from other.{table})
                    union all
                    (select {names} from other.{table} except all select {names} from one.{table})
                )
                """
            ).fetchall()
            if rows:
                found[table] = {user_id for (user_id,) in rows}
    return found


def differs_from_full_refresh(warehouse: SmallWarehouse, selection: Iterable[str] = ()) -> dict[str, set[str]]:
    """Rebuild a copy from the same raw tables; return the tables that differ, with their tenants."""
    refreshed = warehouse.copy_to(warehouse.home.with_name(f"{warehouse.home.name}-refreshed"))
    refreshed.build("--full-refresh", *selection)
    return differing_tenants(warehouse.database, refreshed.database)


def explained(found: dict[str, set[str]], tenants: dict[str, History]) -> str:
    """Say which tables differ for which tenants, and show the shortest history among them."""
    lines = [f"{table}: {', '.join(sorted(names))}" for table, names in found.items()]
    names = {name for names in found.values() for name in names if name in tenants}
    if names:
        shortest = min(names, key=lambda name: len(tenants[name].records))
        lines += [f"{shortest}:", tenants[shortest].describe()]
    return "\n".join(lines)
