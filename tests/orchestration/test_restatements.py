"""Restatements: which published figures a release changes, from what to what, and why."""

from __future__ import annotations

import copy
import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from small_warehouse import SmallWarehouse, assignment, event, organization

from orchestration import load
from orchestration.release import GateRefused, ReleaseReport, publish, publishing, read_release, rollback
from orchestration.release.records import Restated
from orchestration.release.restating import find_causes, find_changes, sentences

if TYPE_CHECKING:
    from pathlib import Path

NIGHT = datetime(2024, 11, 11, 3, tzinfo=UTC)
FIGURES = ("+behavioral_analytics", "+segment_performance", "+segment_kpis", "+customer_segments_v2", "+data_as_of")
"""What a build must bring up to date here; the other marts may be of the day before."""


class House:
    """A small warehouse whose nights pass: build what the figures need, publish."""

    def __init__(self, warehouse: SmallWarehouse, manifest: dict[str, Any]) -> None:
        """Take a built warehouse."""
        self.warehouse = warehouse
        self.manifest = manifest
        self.nights = 0

    def build(self) -> None:
        """Rebuild the figures, touched dates only."""
        self.warehouse.build("--select", *FIGURES, "--exclude-resource-type", "seed")

    def publish(self, **settings: Any) -> ReleaseReport:  # noqa: ANN401 - any argument of publish
        """Publish one night later."""
        self.nights += 1
        defaults = {
            "manifest": self.manifest,
            "run_id": f"run{self.nights}",
            "published_at": NIGHT + timedelta(days=self.nights),
            "code_checksum": "code",
        }
        return publish(self.warehouse.database, self.warehouse.home, **defaults | settings)

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL as a reader of the current release."""
        with read_release(self.warehouse.home) as con:
            return con.execute(sql).fetchall()

    def restated(self, *figures: str) -> list[tuple[Any, ...]]:
        """Return date, figure, old and new value, cause and load of what the current release restated of the shop."""
        return self.read(
            f"""
            select date::varchar, figure, old_value, new_value, cause, load_id from restatements
            where release_id = (select max(release_id) from restatements) and user_id = 'shop'
                and figure in ({", ".join(f"'{figure}'" for figure in figures)})
            order by all
            """
        )

    def spoil(self, amount: int = 1) -> None:
        """Change one published figure behind everybody's back."""
        self.warehouse.execute(
            f"""
            update marts.behavioral_analytics set total_events = total_events + {amount}
            where user_id = 'shop' and date = '2024-10-20'
            """
        )


@pytest.fixture(scope="module")
def published(
    built_warehouse: SmallWarehouse, manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> House:
    """Return a warehouse with its first release; copy it before anything happens to it."""
    house = House(built_warehouse.copy_to(tmp_path_factory.mktemp("restated")), manifest)
    assert house.publish().restated == ()
    return house


@pytest.fixture
def house(published: House, tmp_path: Path) -> House:
    """Return a copy of the warehouse and of its first release."""
    home = tmp_path / "home"
    shutil.copytree(published.warehouse.home, home, symlinks=True, ignore=shutil.ignore_patterns("target", "logs"))
    copied = House(SmallWarehouse(home, published.warehouse.manifest), published.manifest)
    copied.nights = published.nights
    return copied


# ── On a warehouse of real models ─────────────────────────────────────────────────────────────


def test_late_events_then_nothing_then_their_withdrawal(house: House) -> None:
    """A late order changes its date's figures, and every later date's stocks; withdrawing it changes them back."""
    [(old_orders, old_revenue, old_buyers)] = house.read(
        "select total_purchases, revenue, buyers_to_date from behavioral_analytics "
        "where user_id = 'shop' and segment_id is null and date = '2024-10-19'"
    )
    [(last_buyers,)] = house.read(
        "select buyers_to_date from behavioral_analytics "
        "where user_id = 'shop' and segment_id is null and date = '2024-11-09'"
    )
    noon = "2024-10-19 12:00:00"
    house.warehouse.load(
        events=[event("latecomer", noon, "purchase", event_value=7), event("latecomer", "2024-11-10 12:00:00")],
        loaded_at="2024-11-11 03:00:00",
    )
    [(load_id,)] = house.warehouse.query("select max(load_id) from raw.load_ledger")
    house.build()
    report = house.publish()

    assert [item.cause for item in report.restated] == ["late events"]
    found = house.restated("total_purchases", "revenue", "buyers_to_date")
    late = ("late events", load_id)
    assert found[:3] == [
        ("2024-10-19", "buyers_to_date", old_buyers, old_buyers + 1, *late),
        ("2024-10-19", "revenue", float(old_revenue), float(old_revenue) + 7, *late),
        ("2024-10-19", "total_purchases", old_orders, old_orders + 1, *late),
    ]
    assert {figure for _, figure, *_ in found[3:]} == {"buyers_to_date"}
    assert found[-1] == ("2024-11-09", "buyers_to_date", last_buyers, last_buyers + 1, *late)
    # 2024-11-10 was published by nobody before; the bank got no event.
    assert house.read("select distinct user_id from restatements") == [("shop",)]
    total = house.read("select count(*), count(distinct date), min(previous_release_id) from restatements")
    assert total[0][:2] == (report.restated[0].figures, report.restated[0].dates)
    assert total[0][2] < report.release.release_id

    assert house.publish().restated == ()

    house.warehouse.execute(
        f"update raw.load_ledger set state = 'withdrawn', path = 'events/late.csv' where load_id = {load_id}"
    )
    house.warehouse.withdraw(load_id)
    house.warehouse.execute("update raw.recompute_requests set cause = 'withdrawn: events/late.csv'")
    house.build()
    # The latecomer was a customer: gate 3 asks a person.
    house.publish(accept=True)
    assert house.restated("total_purchases") == [
        ("2024-10-19", "total_purchases", old_orders + 1, old_orders, "withdrawn file", load_id)
    ]
    # The rows of the first restatement are there as ever.
    assert house.read("select count(distinct release_id) from restatements") == [(2,)]
    assert house.warehouse.failing_tests("--select", "restatements") == {}


def test_a_changed_time_zone_moves_events_to_other_dates(house: House) -> None:
    house.warehouse.load(
        organizations=[organization("shop", "2024-06-01", org_type="ecommerce", timezone="Pacific/Auckland")],
        loaded_at="2024-11-10 04:00:00",
    )
    [(load_id,)] = house.warehouse.query("select max(load_id) from raw.load_ledger")
    house.build()
    report = house.publish(accept=True)
    assert [item.cause for item in report.restated] == ["timezone changed"]
    assert {row[4:] for row in house.restated("total_events")} == {("timezone changed", load_id)}


def test_late_assignments_change_the_sizes_of_their_segment_only(house: House) -> None:
    choice = assignment("vip_by_hand", "customer-03", "2024-10-15 12:00:00")
    house.warehouse.load(segment_assignments=[choice], loaded_at="2024-11-11 03:00:00")
    [(load_id,)] = house.warehouse.query("select max(load_id) from raw.load_ledger")
    house.build()
    report = house.publish()
    assert [(item.cause, item.dates) for item in report.restated] == [("late assignments", 26)]
    rows = (
        "select date::varchar, old_value, new_value, cause, load_id from restatements where user_id = 'shop' and "
        "segment_key = 'vip_by_hand' and figure = 'member_count' and release_id = (select max(release_id) from "
        "restatements) order by date"
    )
    found = house.read(rows)
    assert [found[0], found[-1]] == [(f"2024-{day}", 1, 2, "late assignments", load_id) for day in ("10-15", "11-09")]
    assert len(found) == 26
    assert house.read("select distinct user_id, segment_key from restatements") == [("shop", "vip_by_hand")]

    house.warehouse.execute(
        "insert into raw.recompute_requests by name select 1 as request_id, 'shop' as user_id, 'pending' as state, "
        "date '1970-01-01' as from_date, date '1969-12-31' as to_date, 'withdrawn: late.csv' as cause",
        f"delete from raw.segment_assignments where load_id = {load_id}",
        f"update raw.load_ledger set state = 'withdrawn', path = 'late.csv' where load_id = {load_id}",
    )
    house.build()
    house.publish(accept=True)
    assert house.read(rows)[0] == ("2024-10-15", 2, 1, "withdrawn file", load_id)
    assert house.warehouse.failing_tests("--select", "restatements") == {}


def test_rows_of_segments_are_watched_in_their_own_mart(house: House) -> None:
    house.warehouse.execute(
        "update marts.behavioral_analytics set total_events = total_events + 1 where segment_id is not null"
    )
    assert house.publish().restated == ()
    house.warehouse.execute(
        "update marts.segment_performance set active_members = active_members + 1 where user_id = 'shop' and "
        "segment_key = 'at_risk' and date = '2024-10-20'"
    )
    assert house.publish().restated == (Restated("unexplained", 1, 1),)
    assert house.read("select segment_key, figure, new_value - old_value from restatements") == [
        ("at_risk", "active_members", 1)
    ]


# ── Without a build: what is published, kept and forgotten ────────────────────────────────────


def test_changed_code_is_named_and_a_change_that_nothing_explains_is_shouted(house: House) -> None:
    house.spoil()
    report = house.publish()
    assert report.restated == (Restated("unexplained", 1, 1),)
    assert "WARNING: 1 published figures changed" in sentences(report.restated)[1]

    house.spoil()
    changed = copy.deepcopy(house.manifest)
    changed["nodes"]["model.customer_warehouse.int_tenant_daily"]["checksum"]["checksum"] = "changed"
    report = house.publish(manifest=changed)
    assert report.restated == (Restated("definition changed", 1, 1),)
    assert len(sentences(report.restated)) == 1
    [(*row, load_id)] = house.restated("total_events")
    assert row == ["2024-10-20", "total_events", row[3] - 1, row[3], "definition changed"]
    assert load_id is None


def test_dates_that_vanish_or_appear_are_restated_whole(house: House) -> None:
    first = "select min(date) from marts.behavioral_analytics where user_id = 'shop'"
    house.warehouse.execute(
        f"create table kept as select * from marts.behavioral_analytics where user_id = 'shop' and date = ({first})",
        f"delete from marts.behavioral_analytics where user_id = 'shop' and date = ({first})",
    )
    house.publish()
    [(_, _, old, new, *_)] = house.restated("total_events")
    assert old > 0
    assert new is None
    house.warehouse.execute("insert into marts.behavioral_analytics select * from kept")
    house.publish()
    assert [row[2:4] for row in house.restated("total_events")] == [(None, old)]


def test_days_after_the_earlier_as_of_date_are_not_restated(house: House) -> None:
    """A run for a past day says nothing of the days after it."""
    house.warehouse.execute(
        "update marts.data_as_of set as_of_date = '2024-10-19', as_of_basis = 'given'",
        "delete from marts.behavioral_analytics where date > '2024-10-19'",
    )
    house.spoil()
    assert house.publish(accept=True).restated == ()


def test_a_refused_release_restates_nothing(house: House) -> None:
    house.spoil()
    house.warehouse.execute("create table kept as from marts.customers", "delete from marts.customers")
    with pytest.raises(GateRefused):
        house.publish()
    assert house.warehouse.query("select count(*) from raw.restatements") == [(0,)]
    house.warehouse.execute("insert into marts.customers from kept")
    assert house.publish().restated == (Restated("unexplained", 1, 1),)
    assert house.read("select count(*) from restatements") == [(1,)]


def test_a_crash_loses_no_restatement_that_readers_saw_and_keeps_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.spoil()
    count = "select count(*), count(distinct release_id) from raw.restatements"
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "point_current", _crash)
        with pytest.raises(KeyboardInterrupt):
            house.publish()
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_mark_published", _crash)
        with pytest.raises(KeyboardInterrupt):
            house.publish()
    # Of the crash before the swap nothing is left; that after it is what readers see.
    assert house.read(count.replace("raw.", "")) == house.warehouse.query(count) == [(1, 1)]
    house.publish()
    house.publish()
    assert house.read(count.replace("raw.", "")) == house.warehouse.query(count) == [(1, 1)]


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_after_a_rollback_the_loads_of_the_release_that_was_left_explain(house: House) -> None:
    house.warehouse.load(events=[event("latecomer", "2024-10-20 12:00:00")])
    [(load_id,)] = house.warehouse.query("select max(load_id) from raw.load_ledger")
    house.spoil()
    house.publish()
    rollback(house.warehouse.home)
    house.publish()
    assert house.restated("total_events")[0][4:] == ("late events", load_id)


# ── Attribution alone ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Return two releases of one tenant: every day of March 2024 is restated, load 1 is published, 2 to 4 wait."""
    con = duckdb.connect()
    load.create_raw_tables(con)
    con.execute("""
        attach ':memory:' as former;
        create schema former.marts; create schema marts; create schema staging;
        create table marts.data_as_of as select 'shop' as user_id, 'UTC' as timezone, date '2024-03-31' as as_of_date;
        create table former.marts.data_as_of as from marts.data_as_of;
        create table former.marts.load_ledger as select 1 as load_id, 'published' as state;
        create table staging.stg_events (user_id varchar, event_date date, load_id integer);
        create table marts.behavioral_analytics as
        select uuid() as id, 'shop' as user_id, null::varchar as segment_id,
            date '2024-03-01' + i::integer as date, 1 as orders, 0.5::double as rate, null::timestamp as created_at
        from range(31) as days (i);
        create table former.marts.behavioral_analytics as from marts.behavioral_analytics;
        update former.marts.behavioral_analytics set orders = 2;
        insert into raw.load_ledger (load_id, state, feed, path) values
            (1, 'published', 'events', 'a'), (2, 'pending', 'events', 'b'), (3, 'pending', 'events', 'c'),
            (4, 'pending', 'customers', 'd'), (5, 'withdrawn', 'events', 'events/x.csv');
    """)
    return con


def causes(con: duckdb.DuckDBPyConnection, *, is_definition_changed: bool = False) -> dict[int, tuple[str, int | None]]:
    """Return cause and load by day of March."""
    find_changes(con)
    find_causes(con, "20240401T000000Z-x", is_definition_changed=is_definition_changed)
    return {day: (cause, number) for day, cause, number in con.execute(
        "select day(date), cause, load_id from restated_causes order by date"
    ).fetchall()}  # fmt: skip


def touch(con: duckdb.DuckDBPyConnection, day: int, load_id: int, user_id: str = "shop") -> None:
    """Say that a load has an event on a day of March."""
    con.execute("insert into staging.stg_events values (?, date '2024-03-01' + ?, ?)", [user_id, day - 1, load_id])


def request(con: duckdb.DuckDBPyConnection, cause: str, days: tuple[int, int] | None, state: str = "pending") -> None:
    """Ask for days of March of the tenant, or for all days."""
    dates = [f"2024-03-{day:02}" for day in days] if days else [None, None]
    con.execute(
        "insert into raw.recompute_requests by name select 'shop' as user_id, ?::date as from_date, "
        "?::date as to_date, ? as cause, ? as state",
        [*dates, cause, state],
    )


def test_stocks_carry_a_late_event_forward_to_the_next_one(con: duckdb.DuckDBPyConnection) -> None:
    touch(con, 5, 2)
    touch(con, 5, 3)
    touch(con, 10, 2)
    touch(con, 1, 1)  # published before
    touch(con, 1, 2, user_id="bank")
    found = causes(con)
    assert found[3] == ("unexplained", None)
    assert found[4] == ("late events", 3), "a session that goes on after midnight"
    assert found[5] == found[8] == ("late events", 3), "of two loads on one date the later one"
    assert found[9] == ("late events", 3), "what lies before comes before what follows"
    assert found[10] == found[31] == ("late events", 2)


def test_only_figures_of_both_releases_are_looked_at_by_value(con: duckdb.DuckDBPyConnection) -> None:
    find_changes(con)
    assert con.execute("select distinct figure, old_value, new_value from restated").fetchall() == [("orders", 2, 1)]
    con.execute("alter table marts.behavioral_analytics add column visits integer default 9")
    find_changes(con)
    assert con.execute(
        "select figure, old_value, new_value, count(*) from restated group by all order by all"
    ).fetchall() == [("orders", 2, 1, 31), ("visits", None, 9, 31)]


def test_a_request_names_its_cause_and_the_nearest_one_counts(con: duckdb.DuckDBPyConnection) -> None:
    request(con, "backfill", (2, 8))
    request(con, "withdrawn: events/x.csv", (10, 12))
    request(con, "erasure", (12, 12))
    request(con, "erasure", (1, 1), state="published")
    touch(con, 12, 2)
    touch(con, 20, 2)
    found = causes(con)
    assert found[1] == found[8] == ("recomputed", None)
    assert found[9] == found[11] == ("withdrawn file", 5)
    assert found[12] == found[19] == ("erasure", None)
    assert found[20] == ("late events", 2)


def test_what_has_no_dates_explains_only_what_else_is_left(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into raw.tenant_loads (user_id, feed, load_id) values ('shop', 'customers', 4)")
    request(con, "backfill", (1, 31))
    touch(con, 10, 2)
    assert {day: causes(con)[day] for day in (8, 9, 10)} == {
        8: ("late profiles", 4),
        9: ("late events", 2),
        10: ("late events", 2),
    }
    request(con, "erasure", None)
    assert causes(con)[8] == ("erasure", None)


def test_code_and_time_zone_come_first(con: duckdb.DuckDBPyConnection) -> None:
    touch(con, 1, 2)
    request(con, "erasure", (1, 31))
    assert set(causes(con, is_definition_changed=True).values()) == {("definition changed", None)}
    con.execute("update marts.data_as_of set timezone = 'Asia/Tokyo'")
    con.execute("insert into raw.tenant_loads (user_id, feed, load_id) values ('shop', 'organizations', 4)")
    assert set(causes(con, is_definition_changed=True).values()) == {("timezone changed", 4)}


# ── Segments ──────────────────────────────────────────────────────────────────────────────────


RULES = {"plain": [1], "versioned": [1, 15], "manual": [1], "follower": [1], "gone": [1], "fresh": [1]}
"""Days of March from which the versions of a segment hold."""


def version(day: int, rules: str = "rules") -> dict[str, str]:
    """Return a version as customer_segments_v2 publishes it."""
    return {"since": f"2024-03-{day:02}", "hash": f"{rules} of {day}"}


@pytest.fixture
def segments(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Add segments to the releases: every day's member_count differs, the figures of all customers do not."""
    con.execute("""
        update former.marts.behavioral_analytics set orders = 1;
        create schema intermediate;
        create table intermediate.int_segment_assignments (
            user_id varchar, segment_key varchar, assigned_date date, load_id integer
        );
        create table marts.segment_kpis as
        select 'shop' as user_id, date '2024-03-01' as history_from, date '2024-03-31' as as_of_date;
        create table marts.customer_segments_v2 (
            user_id varchar, segment_key varchar, is_automatic boolean, criteria json, versions json
        );
        create table marts.segment_performance (
            user_id varchar, segment_key varchar, date date, member_count integer, active_members integer,
            revenue_generated decimal(18, 4), churn_rate double
        );
    """)
    for key, days in RULES.items():
        rule = {"field": "joined_segment", "subject": "versioned"} if key == "follower" else {"field": "visit_count"}
        con.execute(
            "insert into marts.customer_segments_v2 values ('shop', ?, ?, ?, ?)",
            [key, key != "manual", json.dumps({"all": [rule]}), json.dumps([version(day) for day in days])],
        )
    con.execute("""
        insert into marts.segment_performance
        select 'shop', segment_key, date '2024-03-01' + i::integer, 5, 2, 10, 0.5
        from marts.customer_segments_v2, range(31) as days (i);
    """)
    for table in ("segment_kpis", "customer_segments_v2", "segment_performance"):
        con.execute(f"create table former.marts.{table} as from marts.{table}")
    con.execute("""
        update former.marts.segment_performance set member_count = 4, churn_rate = 0.6;
        delete from former.marts.segment_performance where segment_key = 'fresh';
        delete from former.marts.customer_segments_v2 where segment_key = 'fresh';
        delete from marts.segment_performance where segment_key = 'gone';
        delete from marts.customer_segments_v2 where segment_key = 'gone';
    """)
    return con


def segment_causes(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], tuple[str, int | None]]:
    """Return cause and load by segment and day of March."""
    causes(con)
    rows = con.execute("select segment_key, day(date), cause, load_id from restated_causes").fetchall()
    return {(key, day): (cause, number) for key, day, cause, number in rows}


def test_a_changed_version_restates_from_its_since(segments: duckdb.DuckDBPyConnection) -> None:
    change = "update marts.customer_segments_v2 set versions = ? where segment_key = 'versioned'"
    touch(segments, 1, 2)
    late, definition = ("late events", 2), ("definition changed", None)
    assert set(segment_causes(segments).items()) >= {(("versioned", 20), late), (("gone", 1), definition)}

    segments.execute(change, [json.dumps([version(1), version(15, "edited")])])
    found = segment_causes(segments)
    assert [found["versioned", day] for day in (14, 15, 31)] == [late, definition, definition]
    assert [found["follower", day] for day in (14, 15, 31)] == [late, definition, definition]
    assert found["plain", 31] == late

    segments.execute(change, [json.dumps([version(1), version(9), version(15)])])
    assert [segment_causes(segments)["versioned", day] for day in (8, 9)] == [late, definition]

    segments.execute(change, [json.dumps([version(1, "edited"), version(15)])])
    assert segment_causes(segments)["versioned", 1] == definition

    segments.execute("update marts.data_as_of set timezone = 'Asia/Tokyo'")
    assert {cause for cause, _ in segment_causes(segments).values()} == {"timezone changed"}


def test_what_both_releases_know_of_a_segment_is_compared(segments: duckdb.DuckDBPyConnection) -> None:
    found = segment_causes(segments)
    assert {key for key, _ in found} == RULES.keys() - {"fresh"}
    assert segments.execute("select distinct figure, old_value, new_value from restated order by all").fetchall() == [
        ("active_members", 2, None),
        ("member_count", 4, 5),
        ("member_count", 4, None),
        ("revenue_generated", 10, None),
    ]
    segments.execute("""
        update marts.segment_kpis set history_from = '2024-03-03';
        delete from marts.segment_performance where date < '2024-03-03';
        update former.marts.segment_kpis set as_of_date = '2024-03-29';
        delete from former.marts.segment_performance where date > '2024-03-29';
    """)
    assert {day for _, day in segment_causes(segments)} == set(range(3, 30))


def test_only_whom_people_choose_is_explained_by_assignments(segments: duckdb.DuckDBPyConnection) -> None:
    touch(segments, 1, 4)
    segments.execute("""
        insert into intermediate.int_segment_assignments values
            ('shop', 'manual', '2024-03-10', 2), ('shop', 'manual', '2024-03-20', 3),
            ('shop', 'manual', '2024-03-02', 1), ('bank', 'manual', '2024-03-02', 2)
    """)
    found = segment_causes(segments)
    assert [found["manual", day] for day in (9, 10, 19, 20, 31)] == [
        ("late events", 4),
        *2 * [("late assignments", 2)],
        *2 * [("late assignments", 3)],
    ]
    assert found["plain", 31] == ("late events", 4)
    segments.execute("""
        insert into raw.recompute_requests by name
        select 'shop' as user_id, date '1970-01-01' as from_date, date '1969-12-31' as to_date,
            'withdrawn: events/x.csv' as cause, 'pending' as state
    """)
    found = segment_causes(segments)
    assert [found["manual", day] for day in (9, 10)] == [("withdrawn file", 5), ("late assignments", 2)]
    assert found["plain", 9] == ("late events", 4)


@pytest.mark.parametrize(
    "older",
    [
        "drop table former.marts.segment_performance",
        "drop table former.marts.segment_kpis",
        "alter table former.marts.customer_segments_v2 drop column versions",
        "alter table former.marts.segment_performance drop column segment_key",
    ],
)
def test_a_release_without_these_columns_says_nothing_of_segments(
    segments: duckdb.DuckDBPyConnection, older: str
) -> None:
    segments.execute(older)
    segments.execute("update former.marts.behavioral_analytics set orders = 2 where day(date) = 7")
    assert segment_causes(segments) == {(None, 7): ("unexplained", None)}
