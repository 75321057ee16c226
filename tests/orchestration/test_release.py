"""Releases: built from a warehouse of a few rows, with real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import child
import duckdb
import pytest

from orchestration.failures import in_words
from orchestration.quality.release_gate import Clock
from orchestration.release import (
    GateRefused,
    Release,
    ReleaseError,
    ReleaseReport,
    building,
    current_release,
    list_releases,
    publish,
    publish_to,
    publishing,
    read_release,
    rollback,
)
from orchestration.release.planning import (
    ROWS_BY_DAY,
    Rows,
    missed_days,
    periods_of,
    plan_files,
    public_marts,
    restricted_models,
    touched_dates,
)
from orchestration.release.publishing import connection
from orchestration.release.records import DatedFile, Mart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

NIGHT = datetime(2026, 3, 10, 3, tzinfo=UTC)
FULL_DISK_WRITES = 500

WAREHOUSE = """
    create schema raw;
    create schema intermediate;
    create schema marts;
    create schema restricted;
    create table raw.load_ledger (file_id integer, state varchar);
    create table raw.recompute_requests (request_id integer, state varchar, release_id varchar);
    create table raw.run_ledger (run_id varchar, started_at timestamp, is_full_refresh boolean);
    create table raw.releases (
        release_id varchar, run_id varchar, published_at timestamp, as_of_date date,
        code_checksum varchar, is_accepted_by_hand boolean, message varchar
    );
    insert into raw.load_ledger values (1, 'pending'), (2, 'refused');
    insert into raw.recompute_requests values (1, 'pending', null);
    create table intermediate.int_touched_dates (user_id varchar, event_date date);

    create table marts.customers as
    select uuid() as id, 'acme' as user_id, 'c' || i as customer_id, 0 as marker
    from range(20) as r (i);
    create view marts.customer_segments as
    select id, customer_id, user_id as organization_id, 'Champions' as segment
    from marts.customers;
    create table marts.data_as_of as
    select 'acme' as user_id, date '2026-03-09' as as_of_date, 'live' as as_of_basis, 'UTC' as timezone;
    create view marts.load_ledger as select * from raw.load_ledger;
    create table marts.order_lines as
    select uuid() as id, 'acme' as user_id, 'c' || (19 - i % 20) as customer_id,
        date '2026-01-01' + i::integer as event_date, 1.25::decimal(18, 4) as gross_amount,
        0 as marker
    from range(60) as r (i);
    create table marts.sessions as
    select id, user_id, customer_id, event_date as session_date from marts.order_lines;
    create table marts.refunds as select * from marts.order_lines limit 0;
    create table marts.secret_helper as select 1 as a;
    create table restricted.customer_contacts as
    select user_id, customer_id, customer_id || '@example.org' as email from marts.customers;
    create table restricted.rejected_texts as select 'c1@example.org' as raw_text;
"""


def model(name: str, schema: str = "marts", **config: object) -> dict[str, Any]:
    """Return what dbt's manifest says of a model."""
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": schema,
        "original_file_path": f"models/marts/room/{name}.sql",
        "config": {"access": "public", "meta": {}} | config,
    }


MANIFEST = {
    "nodes": {
        f"model.customer_warehouse.{node['name']}": node
        for node in (
            model("customers"),
            model("customer_segments"),
            model("data_as_of"),
            model("load_ledger"),
            model("order_lines", meta={"published_by": "event_date"}),
            model("refunds", meta={"published_by": "event_date"}),
            model("sessions", meta={"published_by": "session_date"}),
            model("secret_helper", access="protected"),
            model("customer_contacts", schema="restricted", access="protected"),
            model("int_something", schema="intermediate")
            | {"original_file_path": "models/intermediate/int_something.sql"},
            {"resource_type": "test", "name": "some_test"},
        )
    }
}


class House:
    """A warehouse home under test: nights pass, one publish each."""

    def __init__(self, home: Path) -> None:
        """Make the warehouse."""
        self.home = home
        self.warehouse = home / "warehouse.duckdb"
        self.nights = 0
        self.execute(WAREHOUSE)

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Open the warehouse for writing."""
        with duckdb.connect(self.warehouse) as con:
            yield con

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL in the warehouse, as a run would."""
        with self.connection() as con:
            return con.execute(sql).fetchall()

    def touch(self, *days: str) -> None:
        """Say which dates the pending loads touch."""
        self.execute("delete from intermediate.int_touched_dates")
        for day in days:
            self.execute(f"insert into intermediate.int_touched_dates values ('acme', '{day}')")

    def publish(self, **settings: object) -> ReleaseReport:
        """Publish one night later."""
        self.nights += 1
        defaults = {
            "manifest": MANIFEST,
            "run_id": f"run-{self.nights}",
            "published_at": NIGHT + timedelta(days=self.nights),
            "code_checksum": "code",
        }
        return publish(self.warehouse, self.home, **defaults | settings)

    @property
    def published(self) -> Path:
        """Return the folder of readers."""
        return self.home / "published"

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL as a reader."""
        with read_release(self.home) as con:
            return con.execute(sql).fetchall()


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a warehouse that has never been published."""
    return House(tmp_path)


def file_of(report: ReleaseReport, mart: str, month: str) -> Path:
    """Return the path of a month's file."""
    return report.path / "parquet" / mart / f"{month}.parquet"


def months(files: tuple[DatedFile, ...], mart: str) -> list[str]:
    """Return the months of a mart's files."""
    return [file.period for file in files if f"/{mart}/" in file.path]


def test_public_marts_are_the_public_models_of_schema_marts() -> None:
    """Private models and other schemas stay inside; contacts are a matter of their own."""
    assert public_marts(MANIFEST) == [
        Mart("customer_segments", '"marts"."customer_segments"'),
        Mart("customers", '"marts"."customers"'),
        Mart("data_as_of", '"marts"."data_as_of"'),
        Mart("load_ledger", '"marts"."load_ledger"'),
        Mart("order_lines", '"marts"."order_lines"', "event_date"),
        Mart("refunds", '"marts"."refunds"', "event_date"),
        Mart("sessions", '"marts"."sessions"', "session_date"),
    ]
    assert [mart.name for mart in restricted_models(MANIFEST)] == ["customer_contacts"]


def test_first_release_holds_every_mart(house: House) -> None:
    """Readers find tables and views alike in schema marts, with the warehouse's rows and types."""
    report = house.publish()

    assert report.release == current_release(house.home)
    assert report.rewrite_reason == "there is no former release"
    assert report.release.gate.outcome == "first"
    assert report.release.as_of == {"acme": date(2026, 3, 9)}
    with (
        duckdb.connect(house.published / "analytics.duckdb", read_only=True) as reader,
        house.connection() as writer,
    ):
        for mart in public_marts(MANIFEST):
            columns = f"describe select * from marts.{mart.name}"
            assert reader.execute(columns).fetchall() == writer.execute(columns).fetchall()
            if mart.name != "load_ledger":
                rows = f"select * from marts.{mart.name} order by all"
                assert reader.execute(rows).fetchall() == writer.execute(rows).fetchall()


def test_release_record_says_what_is_in_it(house: House) -> None:
    """release.json lists rows, columns and files, and reads back as the same release."""
    report = house.publish()

    text = (house.published / "current" / "release.json").read_text("utf-8")
    order_lines = json.loads(text)["marts"]["order_lines"]
    assert order_lines["rows"] == 60
    assert order_lines["columns"]["gross_amount"] == "DECIMAL(18,4)"
    assert [(f["path"], f["rows"]) for f in order_lines["files"]] == [
        ("parquet/order_lines/2026-01.parquet", 31),
        ("parquet/order_lines/2026-02.parquet", 28),
        ("parquet/order_lines/2026-03.parquet", 1),
    ]
    assert Release.from_json(text) == report.release


def test_release_record_of_another_version_is_read(house: House) -> None:
    """An older version did not say which code its figures come from; a newer one may say more."""
    release = house.publish().release
    record = json.loads(release.to_json())
    del record["figures_checksum"]
    assert Release.from_json(json.dumps(record | {"of_tomorrow": 1})) == release


def test_parquet_is_sorted_by_key(house: House) -> None:
    """Two releases of the same rows have the same files (D5)."""
    file = file_of(house.publish(), "order_lines", "2026-01")
    rows = duckdb.execute(f"select * from read_parquet('{file}')").fetchall()
    keys = [(user, customer, day, id_) for id_, user, customer, day, *_ in rows]
    assert keys == sorted(keys)
    assert len(keys) == 31


def test_mart_without_rows_is_a_view_with_its_columns(house: House) -> None:
    """A reader's query must not fail because nobody has ever asked for a refund."""
    house.publish()
    assert house.read("select count(*) from refunds") == [(0,)]
    described = dict(row[:2] for row in house.read("describe select * from refunds"))
    assert described["gross_amount"] == "DECIMAL(18,4)"
    assert described["id"] == "UUID"


def test_loads_are_published_by_the_swap(house: House) -> None:
    """The release already calls them published; the warehouse does so right after the swap."""
    release = house.publish().release
    assert house.read("select file_id, state from load_ledger order by 1") == [
        (1, "published"),
        (2, "refused"),
    ]
    assert house.execute("select state from raw.load_ledger order by file_id") == [
        ("published",),
        ("refused",),
    ]
    assert house.execute("select state from raw.recompute_requests") == [("published",)]
    assert house.execute("select release_id, as_of_date, is_accepted_by_hand from raw.releases") == [
        (release.release_id, date(2026, 3, 9), False)
    ]


def test_contacts_are_restricted(house: House) -> None:
    """Contacts are in a file of the owner's own, and nowhere else; rejected texts are in none."""
    report = house.publish()
    assert (report.path / "restricted.duckdb").stat().st_mode & 0o777 == 0o600
    with read_release(house.home, with_restricted=True) as con:
        tables = con.execute(
            "select database_name, table_name from duckdb_tables() where database_name <> 'temp'"
        ).fetchall()
        contacts = con.execute("select count(*) from restricted.customer_contacts").fetchone()
    assert [table for database, table in tables if database == "restricted"] == ["customer_contacts"]
    assert ("analytics", "customer_contacts") not in tables
    assert contacts == (20,)
    with duckdb.connect(house.published / "restricted.duckdb", read_only=True) as con:
        assert con.execute("select count(*) from customer_contacts").fetchone() == (20,)


def test_release_leaves_no_other_files(house: House) -> None:
    """No write-ahead log, scratch file or symlink stays beside what readers see."""
    report = house.publish()
    assert sorted(path.name for path in report.path.iterdir()) == [
        "analytics.duckdb",
        "parquet",
        "release.json",
        "restricted.duckdb",
    ]
    assert sorted(path.name for path in house.published.iterdir()) == [
        "analytics.duckdb",
        "current",
        "parquet",
        "releases",
        "restricted.duckdb",
    ]
    assert [path.name for path in report.path.parent.iterdir()] == [report.release.release_id]


def test_unchanged_months_are_hard_links(house: House) -> None:
    """A touched day costs its month, not the history."""
    first = house.publish()
    house.touch("2026-02-01")
    second = house.publish()

    assert months(second.written, "order_lines") == ["2026-02"]
    assert months(second.linked, "order_lines") == ["2026-01", "2026-03"]
    for month, is_shared in (("2026-01", True), ("2026-02", False), ("2026-03", True)):
        inodes = {file_of(r, "order_lines", month).stat().st_ino for r in (first, second)}
        assert (len(inodes) == 1) == is_shared


def test_touched_day_rewrites_the_session_day_before(house: House) -> None:
    """A session that began the day before may have gone on past midnight (D3)."""
    house.publish()
    house.touch("2026-02-01")
    report = house.publish()
    assert months(report.written, "sessions") == ["2026-01", "2026-02"]


def test_touched_dates_follow_the_date_column(house: House) -> None:
    """Only event-level marts have them; session days reach one day back."""
    house.touch("2026-01-01")
    with house.connection() as con:
        assert touched_dates(con, public_marts(MANIFEST)) == {
            "order_lines": {date(2026, 1, 1)},
            "refunds": {date(2026, 1, 1)},
            "sessions": {date(2025, 12, 31), date(2026, 1, 1)},
        }


def test_touched_month_has_its_new_rows(house: House) -> None:
    """The file is written from the warehouse as it is now."""
    house.publish()
    house.touch("2026-01-05")
    house.execute("update marts.order_lines set marker = 7 where event_date = '2026-01-05'")
    house.publish()
    assert house.read("select event_date, marker from order_lines where marker <> 0") == [(date(2026, 1, 5), 7)]


def test_vanished_month_vanishes(house: House) -> None:
    """A month whose last row was withdrawn has no file, touched or not."""
    house.publish()
    house.execute("delete from marts.order_lines where event_date >= '2026-03-01'")
    report = house.publish()
    assert months(report.written + report.linked, "order_lines") == ["2026-01", "2026-02"]
    assert not file_of(report, "order_lines", "2026-03").exists()
    assert house.read("select count(*) from order_lines") == [(59,)]


def test_changed_count_of_an_untouched_month_is_found(house: House) -> None:
    """What the pending loads do not explain is written all the same, and said."""
    house.publish()
    house.execute("delete from marts.order_lines where event_date = '2026-01-05'")
    report = house.publish()
    assert report.corrected == (
        "order_lines 2026-01: 30 rows, 31 in the last release, though no pending load touched it",
    )
    assert house.read("select count(*) from order_lines") == [(59,)]


def test_damaged_file_is_not_linked_on(house: House) -> None:
    """A file that is not as long as it was written is written anew."""
    file = file_of(house.publish(), "order_lines", "2026-01")
    file.unlink()
    file.write_bytes(b"")
    report = house.publish()
    assert months(report.written, "order_lines") == ["2026-01"]
    assert house.read("select count(*) from order_lines") == [(60,)]


def test_changed_columns_rewrite_the_whole_mart(house: House) -> None:
    """Files of one view must not differ in their columns."""
    house.publish()
    house.execute("alter table marts.order_lines add column coupon varchar")
    report = house.publish()
    assert months(report.linked, "order_lines") == []
    assert months(report.linked, "sessions") == ["2026-01", "2026-02", "2026-03"]
    assert house.read("select count(coupon) from order_lines") == [(0,)]
    assert report.release.gate.warnings == ("order_lines, rule columns_added: 60 rows with new coupon",)


@pytest.mark.parametrize(
    ("settings", "before", "reason"),
    [
        ({"code_checksum": "other"}, "select 1", "the code has changed"),
        ({"rewrite_all": True}, "select 1", "it was asked for"),
        (
            {},
            # By the clock it was before the release: that had been set back.
            "insert into raw.run_ledger values ('x', timestamp '2026-03-09 03:30', true)",
            "there was a full refresh",
        ),
        ({}, "delete from raw.releases", None),
        ({}, "update raw.releases set release_id = 'other'", "the warehouse last published other"),
    ],
)
def test_every_month_is_rewritten_when_all_may_have_changed(
    house: House, settings: dict[str, Any], before: str, reason: str | None
) -> None:
    """Pending loads explain the changes only if code and warehouse are those of the last release.

    A warehouse that has recorded no release at all still has every load pending.
    """
    house.publish()
    house.execute(before)
    report = house.publish(**settings)
    if reason is None:
        assert report.rewrite_reason is None
    else:
        assert report.rewrite_reason.startswith(reason)
        assert report.linked == ()


def test_plan_links_only_what_is_known_to_be_the_same() -> None:
    """Touched, new, vanished, recounted and unchanged months, side by side."""
    former = {
        month: DatedFile(month, f"parquet/m/{month}.parquet", 10, 100, "r1")
        for month in ("2026-01", "2026-02", "2026-03", "2026-04")
    }
    rows = {1: 10, 2: 10, 3: 11, 5: 1}
    dates = {date(2026, month, 9): Rows(count) for month, count in rows.items()}
    # A touched date that has become empty touches its month.
    plan = plan_files("m", dates, former, {date(2026, 2, 10)})
    assert list(plan.link) == ["2026-01"]
    assert plan.write == {"2026-02": Rows(10), "2026-03": Rows(11), "2026-05": Rows(1)}
    assert len(plan.corrected) == 1
    assert list(plan_files("m", dates, {}, None).write) == ["2026-01", "2026-02", "2026-03", "2026-05"]


def test_mornings_without_a_run_are_noticed() -> None:
    """Of live tenants only: a quiet one moves with its events. New tenants, steps of a day and back miss none."""
    before = {tenant: date(2026, 1, 5) for tenant in ("daily", "late", "quiet", "back", "gone")}
    days = {"daily": 6, "late": 9, "quiet": 9, "back": 3, "new": 9}
    clocks = {
        tenant: Clock(date(2026, 1, day), "last event" if tenant == "quiet" else "live", "UTC")
        for tenant, day in days.items()
    }
    assert missed_days(before, clocks) == {"late": (date(2026, 1, 6), date(2026, 1, 8))}


def test_large_recent_months_are_written_by_day() -> None:
    """The last two months only, and only from a million rows on; a month that grows old becomes one file."""
    half = Rows(ROWS_BY_DAY // 2)
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 2, 1), date(2026, 2, 2), date(2026, 3, 1)]
    dates = dict.fromkeys(days, half)
    periods = ["2026-01", "2026-01", "2026-02-01", "2026-02-02", "2026-03"]
    assert list(periods_of(dates).values()) == periods

    former = {period: DatedFile(period, f"{period}.parquet", half.count, 100, "r1") for period in periods[2:]}
    former["2026-01"] = DatedFile("2026-01", "2026-01.parquet", 2 * half.count, 100, "r1")
    plan = plan_files("m", dates, former, {date(2026, 2, 2)})
    assert list(plan.write) == ["2026-02-02"]
    plan = plan_files("m", dates | {date(2026, 4, 1): half}, former, {date(2026, 4, 1)})
    assert plan.write == {"2026-02": Rows(2 * half.count), "2026-04": half}
    assert plan.corrected == []


def test_compared_marts_are_written_where_their_content_differs() -> None:
    """Whatever was touched; nobody is warned, because such marts may change anywhere."""
    former = {
        month: DatedFile(month, f"{month}.parquet", 2, 100, "r1", content)
        for month, content in (("2026-01", "6"), ("2026-02", "7"))
    }
    dates = {
        date(2026, 1, 1): Rows(1, 2),
        date(2026, 1, 2): Rows(1, 4),
        date(2026, 2, 1): Rows(1, 2),
        date(2026, 2, 2): Rows(1, 4),
    }
    plan = plan_files("m", dates, former, None)
    assert list(plan.link) == ["2026-01"]
    assert plan.write == {"2026-02": Rows(2, 6)}
    assert plan.corrected == []


def test_compared_mart_is_linked_until_a_row_changes(house: House) -> None:
    """An order of an old date changes without any touched date: its month is written, others are linked."""
    orders = model("orders", meta={"published_by": "ordered_on", "published_when": "changed"})
    manifest = {"nodes": MANIFEST["nodes"] | {"model.customer_warehouse.orders": orders}}
    house.execute(
        "create table marts.orders as "
        "select uuid() as id, 'acme' as user_id, '2026-01-05'::date + day::integer as ordered_on, day as net_amount "
        "from range(80) as days (day)"
    )
    house.touch()
    house.publish(manifest=manifest)
    report = house.publish(manifest=manifest)
    assert months(report.linked, "orders") == ["2026-01", "2026-02", "2026-03"]
    house.execute("update marts.orders set net_amount = 99 where ordered_on = '2026-02-03'")
    report = house.publish(manifest=manifest)
    assert months(report.written, "orders") == ["2026-02"]
    assert report.corrected == ()
    assert house.read("select max(net_amount) from marts.orders") == [(99,)]


def test_files_are_copied_where_links_are_impossible(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links costs space, not the release."""

    def fail(*_: object) -> None:
        raise OSError

    first = house.publish()
    monkeypatch.setattr("pathlib.Path.hardlink_to", fail)
    second = house.publish()
    files = [file_of(report, "order_lines", "2026-01") for report in (first, second)]
    assert files[0].stat().st_ino != files[1].stat().st_ino
    assert files[0].read_bytes() == files[1].read_bytes()


def test_row_without_a_date_is_an_error(house: House) -> None:
    """It would be in no month's file, and silently lost."""
    house.execute("update marts.order_lines set event_date = null where event_date < '2026-01-03'")
    with pytest.raises(ReleaseError, match="order_lines: 2 rows have no event_date"):
        house.publish()


def test_mart_that_was_not_built_is_an_error(house: House) -> None:
    """A release is complete or is none."""
    house.execute("drop table marts.refunds")
    with pytest.raises(ReleaseError, match="not publishable: refunds"):
        house.publish()
    assert list_releases(house.home) == []


def test_warehouse_is_opened_with_the_given_settings(house: House) -> None:
    """One thread and a small memory limit will do."""
    with pytest.raises(duckdb.Error, match="Memory must"):
        house.publish(config={"memory_limit": "nonsense"})
    house.publish(config={"memory_limit": "100MB", "threads": "1"})


def test_five_releases_stay(house: House) -> None:
    """The sixth publish removes the first release, and says so; the others stay whole."""
    ids = [house.publish().release.release_id for _ in range(5)]
    sixth = house.publish()
    assert sixth.retired == (ids[0],)
    assert [r.release_id for r in list_releases(house.home)] == [
        *ids[1:],
        sixth.release.release_id,
    ]
    rollback(house.home, ids[1])
    assert house.read("select count(*) from order_lines") == [(60,)]


def test_ids_sort_in_the_order_of_publishing(house: House) -> None:
    """Even when the clock stands still or is set back."""
    ids = [
        house.publish(published_at=moment).release.release_id for moment in (NIGHT, NIGHT, NIGHT - timedelta(days=1))
    ]
    assert ids == ["20260310T030000Z-run1", "20260310T030001Z-run2", "20260310T030002Z-run3"]


def test_rollback_returns_to_the_release_before(house: House) -> None:
    """Or to a named one, and forward again."""
    ids = []
    for marker in range(3):
        house.execute(f"update marts.customers set marker = {marker}")
        ids.append(house.publish().release.release_id)

    assert rollback(house.home).release_id == ids[1]
    assert house.read("select distinct marker from customers") == [(1,)]
    assert rollback(house.home).release_id == ids[0]
    with pytest.raises(ReleaseError, match="no release before"):
        rollback(house.home)
    with pytest.raises(ReleaseError, match=r"no release '\.\./x'"):
        rollback(house.home, "../x")
    assert rollback(house.home, ids[2]) == current_release(house.home)
    assert house.read("select distinct marker from customers") == [(2,)]


def test_publish_after_a_rollback_links_to_the_newest_release(house: House) -> None:
    """The loads of the release that was left are published: only its files have their rows."""
    house.publish()
    house.touch("2026-01-05")
    house.execute("update marts.order_lines set marker = 7 where event_date = '2026-01-05'")
    house.publish()
    rollback(house.home)
    house.touch()
    report = house.publish()
    assert months(report.written, "order_lines") == []
    assert house.read("select count(*) from order_lines where marker = 7") == [(1,)]


def test_nothing_is_published_before_the_first_release(house: House) -> None:
    """Readers get a clear message."""
    assert current_release(house.home) is None
    for act in (lambda: house.read("select 1"), lambda: publish_to(house.home, house.home / "x")):
        with pytest.raises(ReleaseError, match="nothing has been published yet"):
            act()
    with pytest.raises(ReleaseError, match="no release before"):
        rollback(house.home)


def test_refused_release_leaves_the_last_one(house: House) -> None:
    """The message names table, rule and rows; loads stay pending; nothing of it is left."""
    last = house.publish().release
    house.execute("update raw.load_ledger set state = 'pending' where file_id = 2")
    house.execute("delete from marts.customers where customer_id in ('c1', 'c2', 'c3')")

    with pytest.raises(GateRefused) as refused:
        house.publish()
    assert "customers, rule shrinkage: 3 of 20 rows are gone" in str(refused.value)
    assert "customers, rule lost_keys: the customers of 3 rows are gone" in str(refused.value)
    assert current_release(house.home) == last
    assert [path.name for path in (house.published / "releases").iterdir()] == [last.release_id]
    assert house.execute("select state from raw.load_ledger where file_id = 2") == [("pending",)]
    assert house.read("select count(*) from customers") == [(20,)]


def test_person_may_override_the_gate(house: House) -> None:
    """Accepting is recorded in the release and in the warehouse."""
    house.publish()
    house.execute("delete from marts.customers where customer_id in ('c1', 'c2', 'c3')")
    report = house.publish(accept=True)
    assert report.release.gate.outcome == "accepted"
    assert house.read("select count(*) from customers") == [(17,)]
    [(is_accepted, message)] = house.execute(
        "select is_accepted_by_hand, message from raw.releases order by release_id desc limit 1"
    )
    assert is_accepted
    assert "customers, rule shrinkage" in message
    assert house.publish(accept=True).release.gate.outcome == "passed"


def test_tenant_that_goes_quiet_does_not_stop_the_release(house: House) -> None:
    """Its as-of date goes back to its last event: a warning, where losing days is a refusal."""
    house.publish()
    house.execute("update marts.data_as_of set as_of_date = '2026-03-01', as_of_basis = 'last event'")
    assert house.publish().release.gate.warnings == (
        "data_as_of, rule as_of_moved: 1 row (acme) back from 2026-03-09 to 2026-03-01: the tenant has gone quiet",
    )
    house.execute("update marts.data_as_of set as_of_date = '2026-02-28'")
    with pytest.raises(GateRefused, match=r"as_of_back: 1 row \(acme\) back from 2026-03-01 to 2026-02-28"):
        house.publish()


def test_ledger_may_grow_and_shrink(house: House) -> None:
    """It tells of runs and files, not of customers."""
    house.publish()
    house.execute("insert into raw.load_ledger select 3 + i, 'published' from range(9) as r (i)")
    assert house.publish().release.gate.warnings == ()
    house.execute("delete from raw.load_ledger")
    assert house.publish().release.gate.outcome == "passed"


def test_gate_results_become_data_docs(house: House, tmp_path: Path) -> None:
    """The pages lie where they are asked for."""
    house.publish()
    house.publish(docs_dir=tmp_path / "docs")
    assert (tmp_path / "docs" / "index.html").is_file()


def test_crash_before_the_swap_is_cleared_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-built folders and stand-in symlinks of a killed run go at the next publish."""
    last = house.publish()
    folder = house.published / "releases"
    (folder / ".building-20990101T000000Z-dead" / "parquet").mkdir(parents=True)
    (folder / "20990101T000000Z-dead").symlink_to(".building-20990101T000000Z-dead")
    (folder / ".removing-old").mkdir()
    (house.published / ".current.new").symlink_to("releases/nowhere")
    assert list_releases(house.home) == [last.release]

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "point_current", _crash)
        with pytest.raises(KeyboardInterrupt):
            house.publish()
    assert current_release(house.home) == last.release

    report = house.publish()
    assert current_release(house.home) == report.release
    assert all(path.is_dir() and path.name[0] != "." for path in folder.iterdir())
    assert not (house.published / ".current.new").is_symlink()


def test_crash_after_the_swap_does_the_same_dates_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads stay pending, so the next run touches their dates once more: nothing is lost."""
    house.publish()
    house.execute("insert into raw.load_ledger values (3, 'pending')")
    house.touch("2026-02-03")
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_mark_published", _crash)
        with pytest.raises(KeyboardInterrupt):
            house.publish()
    assert house.execute("select state from raw.load_ledger where file_id = 3") == [("pending",)]

    report = house.publish()
    assert months(report.written, "order_lines") == ["2026-02"]
    assert house.execute("select state from raw.load_ledger where file_id = 3") == [("published",)]


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def publish_and_be_killed(home: str, step: str) -> None:
    """Publish in this process, which dies at a step."""
    setattr(publishing if hasattr(publishing, step) else building, step, child.kill_self)
    arguments = {"run_id": "killed", "published_at": NIGHT + timedelta(days=9), "code_checksum": "code"}
    publish(Path(home, "warehouse.duckdb"), Path(home), MANIFEST, **arguments)


@pytest.mark.parametrize(
    ("step", "is_swapped"),
    [("_as_of_dates", False), ("write_text", False), ("point_current", False), ("_mark_published", True)],
)
def test_publish_killed_with_9_is_done_again(house: House, step: str, is_swapped: bool) -> None:  # noqa: FBT001 - a parametrized case
    """While it builds, before it says what it built, before the swap, and between swap and record."""
    last = house.publish().release
    house.execute("insert into raw.load_ledger values (3, 'pending')")
    house.touch("2026-02-03")
    house.execute("update marts.order_lines set marker = 7 where event_date = '2026-02-03'")
    killed = child.run(child.command_of(publish_and_be_killed, house.home, step))
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert (current_release(house.home) == last) is not is_swapped
    assert house.read("select count(*), sum(marker)::int from order_lines") == [(60, 7 if is_swapped else 0)]
    assert house.execute("select state from raw.load_ledger where file_id = 3") == [("pending",)]

    report = house.publish()
    assert current_release(house.home) == report.release
    assert months(report.written, "order_lines") == ["2026-02"]
    assert house.read("select count(*), sum(marker)::int from order_lines") == [(60, 7)]
    assert house.execute("select state from raw.load_ledger where file_id = 3") == [("published",)]
    assert all(path.is_dir() and path.name[0] != "." for path in (house.published / "releases").iterdir())


def publish_on_a_full_disk(folder: str) -> None:
    """Publish, fill the disk, fail, make room, publish; print what the failure says."""
    house = House(Path(folder))
    last = house.publish().release
    house.execute("alter table marts.order_lines add column noise varchar")
    house.execute(
        "update marts.order_lines set noise = array_to_string(list_transform(range(9000), lambda x: uuid()), '')"
    )
    house.execute("checkpoint")
    child.fill(Path(folder), 2**20)
    try:
        house.publish()
    except (duckdb.Error, OSError) as error:
        print(in_words(str(error), Path(folder)) or error)  # noqa: T201 - to the test that called this process
    else:
        raise AssertionError("the disk took everything")
    assert current_release(house.home) == last
    assert [path.name for path in (house.published / "releases").iterdir()] == [last.release_id]
    assert house.read("select count(*) from order_lines") == [(60,)]
    child.make_room(Path(folder))
    assert current_release(house.home) != house.publish().release != last
    assert house.read("select count(noise) from order_lines") == [(60,)]


def test_full_disk_leaves_the_last_release(tmp_path: Path) -> None:
    """The half-built one goes, and gives its room back."""
    disk = tmp_path / "disk"
    disk.mkdir()
    said = child.run_on_small_disk(child.command_of(publish_on_a_full_disk, disk), disk, "100m")
    assert f"the disk is full: {disk}" in said
    assert "make room there and call `warehouse run` again: nothing is lost, the last release stands" in said


def write_often_on_a_full_disk(folder: str) -> None:
    """Write files that do not fit; print how often that was said."""
    warehouse, file, said = Path(folder, "warehouse.duckdb"), Path(folder, "x.parquet"), 0
    with duckdb.connect(warehouse) as con:
        con.execute(
            "create table noise as select string_agg(uuid(), '') as noise from range(540000) group by range % 60"
        )
    child.fill(Path(folder), 2**20)
    with connection(warehouse, {"memory_limit": "400MB"}) as con:
        for _ in range(FULL_DISK_WRITES):
            try:
                con.execute(f"copy noise to '{file}' (format parquet)")
            except (duckdb.Error, OSError):
                said += 1
            file.unlink(missing_ok=True)
    print(said)  # noqa: T201 - to the test that called this process


@pytest.mark.deep
def test_no_write_on_a_full_disk_waits_for_ever(tmp_path: Path) -> None:
    """DuckDB's own threads for writing do, once in some 300 writes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    said = child.run_on_small_disk(child.command_of(write_often_on_a_full_disk, disk), disk, "100m")
    assert said.split() == [str(FULL_DISK_WRITES)]


def test_folders_that_are_no_releases_are_left_alone(house: House) -> None:
    """Whatever they hold: their name says that they are somebody's own."""
    first = house.publish().release
    own = house.published / "releases" / "my-notes"
    own.mkdir()
    (own / "release.json").write_text("{}")
    second = house.publish().release
    assert list_releases(house.home) == [first, second]
    assert (own / "release.json").read_text() == "{}"


@pytest.mark.parametrize("damage", ["", '{"release_id": "x', "{}", "[]"])
def test_damaged_record_of_a_release_is_named(house: House, damage: str) -> None:
    """With what to do, and that does it."""
    first = house.publish().release
    last = house.publish()
    record = last.path / "release.json"
    record.write_text(damage)
    for act in (house.publish, lambda: rollback(house.home), lambda: current_release(house.home)):
        with pytest.raises(ReleaseError, match=r"release\.json is damaged .*: take the folder .* out of") as raised:
            act()
        assert last.release.release_id in str(raised.value)
    last.path.rename(house.home / "aside")
    assert rollback(house.home, first.release_id) == first
    assert house.read("select count(*) from order_lines") == [(60,)]
    assert house.publish().rewrite_reason.startswith("the warehouse last published")


def test_clock_set_back_does_not_hide_a_full_refresh(house: House) -> None:
    """By the clock it came before the release; its rows are in the next one all the same."""
    house.publish()
    house.execute("update marts.order_lines set marker = 7")
    house.execute("insert into raw.run_ledger values ('run-2', timestamp '2026-03-01', true)")
    report = house.publish(published_at=NIGHT - timedelta(days=8))
    assert report.rewrite_reason == "there was a full refresh"
    assert report.release.release_id > report.release.follows
    assert house.read("select distinct marker from order_lines") == [(7,)]
    house.touch()
    assert house.publish(published_at=NIGHT - timedelta(days=7)).rewrite_reason is None


READER = """
    import pathlib, sys, duckdb

    published, stop = map(pathlib.Path, sys.argv[1:])
    seen, reads = set(), 0
    while not stop.exists():
        with duckdb.connect(published / "analytics.duckdb", read_only=True) as con:
            customers = con.execute("select distinct marker from marts.customers").fetchall()
            lines = con.execute("select distinct marker from marts.order_lines").fetchall()
        assert customers == lines and len(lines) == 1, (customers, lines)
        seen.add(lines[0])
        reads += 1
        print(reads, len(seen), flush=True)
"""


def test_reader_never_fails_and_never_sees_two_releases(house: House, tmp_path: Path) -> None:
    """Another process reads two marts in a loop while twenty releases are published."""
    house.publish()
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(READER), str(house.published), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    reader.stdout.readline()
    for marker in range(1, 21):
        house.execute(f"update marts.customers set marker = {marker}")
        house.execute(f"update marts.order_lines set marker = {marker}")
        house.publish(rewrite_all=True)
    stop.touch()
    output, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors
    reads, seen = map(int, output.splitlines()[-1].split())
    assert reads >= 20
    assert seen >= 5


def test_open_reader_keeps_its_release(house: House) -> None:
    """A connection that was opened before the swap goes on with what it saw, views included."""
    house.publish()
    with read_release(house.home) as reader:
        house.execute("update marts.order_lines set marker = 1")
        house.publish(rewrite_all=True)
        assert reader.execute("select distinct marker from order_lines").fetchall() == [(0,)]
        assert house.read("select distinct marker from order_lines") == [(1,)]


def test_client_that_locks_a_release_does_not_stop_the_next(house: House) -> None:
    """Gate 3 reads a copy of the last release when a client has it open for writing."""
    house.publish()
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(1, flush=True); input()",
            str(house.published / "analytics.duckdb"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    client.stdout.readline()
    try:
        report = house.publish()
    finally:
        client.communicate(b"\n", timeout=60)
    assert len(report.verdict.results) == 3
    assert not (report.path / "former.duckdb").exists()


def test_publish_to_makes_a_copy_that_stands_alone(house: House, tmp_path: Path) -> None:
    """The views of the copy read the copy's files; contacts are not copied."""
    house.publish()
    copy = tmp_path / "it's a copy"
    publish_to(house.home, copy)
    house.published.rename(tmp_path / "gone")

    with duckdb.connect(copy / "analytics.duckdb", read_only=True) as con:
        assert con.execute("select count(*) from marts.order_lines").fetchone() == (60,)
        assert con.execute("select count(*) from marts.refunds").fetchone() == (0,)
        assert con.execute("select count(*) from marts.customers").fetchone() == (20,)
        views = con.execute("select sql from duckdb_views() where not internal").fetchall()
    assert all(str(tmp_path / "gone") not in sql for (sql,) in views)
    assert not list(copy.rglob("restricted*"))
    assert not list(copy.rglob(".*"))


def test_publish_to_again_replaces_the_copy(house: House, tmp_path: Path) -> None:
    """Files that the last copy has are linked there; old copies go as old releases do."""
    copy = tmp_path / "copy"
    for marker in range(7):
        house.execute(f"update marts.customers set marker = {marker}")
        house.publish()
        publish_to(house.home, copy)
    with duckdb.connect(copy / "analytics.duckdb", read_only=True) as con:
        assert con.execute("select distinct marker from marts.customers").fetchall() == [(6,)]
    folders = sorted((copy / "releases").iterdir())
    assert len(folders) == 5
    files = [folder / "parquet" / "order_lines" / "2026-01.parquet" for folder in folders]
    assert len({file.stat().st_ino for file in files}) == 1


def test_publish_to_clients_that_mount_it_elsewhere(house: House, tmp_path: Path) -> None:
    """The views name paths that need not exist on this machine."""
    house.publish()
    copy, mount = tmp_path / "copy", tmp_path / "mount"
    publish_to(house.home, copy)
    publish_to(house.home, copy, path_prefix=f"{mount}/")

    with (
        duckdb.connect(copy / "analytics.duckdb", read_only=True) as con,
        pytest.raises(duckdb.IOException, match="mount"),
    ):
        con.execute("select * from marts.order_lines")
    copy.rename(mount)
    with duckdb.connect(mount / "analytics.duckdb", read_only=True) as con:
        assert con.execute("select sum(gross_amount) from marts.order_lines").fetchone()[0] == 75
        described = dict(c[:2] for c in con.execute("describe marts.refunds").fetchall())
    assert described["gross_amount"] == "DECIMAL(18,4)"


def test_publish_to_keeps_out_of_the_published_folder(house: House) -> None:
    """A copy onto itself would destroy the release."""
    house.publish()
    for place in (house.published, house.published / "releases"):
        with pytest.raises(ReleaseError, match="within the published folder"):
            publish_to(house.home, place)


def test_publish_to_replaces_no_database_of_others(house: House, tmp_path: Path) -> None:
    """A folder that holds somebody's own analytics.duckdb is refused, and the file stays."""
    house.publish()
    own = tmp_path / "own" / "analytics.duckdb"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ReleaseError, match=r"own/analytics\.duckdb is none of our releases: move it away"):
        publish_to(house.home, own.parent)
    assert [path.name for path in own.parent.iterdir()] == ["analytics.duckdb"]
    assert own.read_text() == "mine"


def test_publish_to_leaves_alone_what_is_not_its_own(house: House, tmp_path: Path) -> None:
    """The directory may hold other things: only leftovers of a crashed copy go."""
    house.publish()
    releases = tmp_path / "copy" / "releases"
    (releases / ".git").mkdir(parents=True)
    (releases / ".DS_Store").touch()
    (releases / ".building-notes").touch()
    (releases / "latest").symlink_to("elsewhere")
    (releases / ".building-20990101T000000Z-dead" / "parquet").mkdir(parents=True)
    (releases / ".removing-20990101T000000Z-dead").mkdir()
    (releases / "20990101T000000Z-dead").symlink_to(".building-20990101T000000Z-dead")

    copied = publish_to(house.home, tmp_path / "copy")
    assert {path.name for path in releases.iterdir()} == {
        ".git",
        ".DS_Store",
        ".building-notes",
        "latest",
        copied.release_id,
    }


def test_publish_to_an_impossible_place_says_so(house: House, tmp_path: Path) -> None:
    """A file in the way, or a place where nothing can be made."""
    house.publish()
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "releases").touch()
    for place in (file, file / "below", tmp_path / "copy", tmp_path / ("x" * 300), Path("/proc/nowhere")):
        with pytest.raises(ReleaseError, match="the release cannot be written to ") as raised:
            publish_to(house.home, place)
        assert str(place) in str(raised.value)


def test_publish_to_a_place_that_is_not_writable_says_so(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is there, but the copy may not be put into it."""

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "analytics.duckdb")

    house.publish()
    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(ReleaseError, match=r"written to .*copy: Permission denied \(analytics.duckdb\)$"):
        publish_to(house.home, tmp_path / "copy")


def test_release_files_are_not_writable(house: House) -> None:
    """Releases share Parquet files: whoever wrote to one would change them all."""
    report = house.publish()
    for path in report.path.rglob("*.parquet"):
        assert path.stat().st_mode & 0o777 == 0o444
    assert os.access(report.path, os.R_OK | os.X_OK)
