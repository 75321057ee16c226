"""Real data, through nothing but files in raw/ and `warehouse run`, against an independent computation in pandas.

Complete Journey comes with a package; CDNOW and Online Retail are foreign: `make test-data DATA=path`.
"""

from __future__ import annotations

import random
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import oracle
import pandas as pd
import pytest
from real_warehouse import Warehouse

from orchestration import sample_data

if TYPE_CHECKING:
    from pathlib import Path


PUBLISHED_ROUNDING = 0.5e-4 + 1e-9
"""Half of the last published digit, and the noise of adding up floats."""


def land_cdnow(raw: Path, data: Path) -> None:
    """Land CDNOW_master.txt as purchase events without ids."""
    (raw / "events").mkdir(parents=True)
    frame = pd.read_csv(data / "cdnow" / "CDNOW_master.txt", sep=r"\s+", dtype=str, encoding="latin-1")
    frame.columns = ["customer_id", "created_at", "quantity", "event_value"]
    frame["created_at"] = pd.to_datetime(frame["created_at"]).astype(str)
    frame["event_type"] = "purchase"
    frame[["customer_id", "event_type", "created_at", "event_value"]].to_csv(raw / "events" / "cdnow.csv", index=False)


def land_online_retail(raw: Path, data: Path) -> None:
    """Land Online Retail: purchases and, for lines of negative quantity, refunds; lines without customer too."""
    (raw / "events").mkdir(parents=True)
    source = next((data / "online_retail").glob("*.csv.gz"))
    frame = pd.read_csv(source, dtype=str, encoding="latin-1")
    quantity = frame["Quantity"].astype(int)
    value = [abs(int(q) * Decimal(p)) for q, p in zip(quantity, frame["UnitPrice"], strict=True)]
    pd.DataFrame(
        {
            "customer_id": frame["CustomerID"],
            "event_type": quantity.lt(0).map({True: "refund", False: "purchase"}),
            "created_at": pd.to_datetime(frame["InvoiceDate"], format="%m/%d/%Y %H:%M").astype(str),
            "product_id": frame["StockCode"],
            "product_name": frame["Description"],
            "event_value": value,
            "order_id": frame["InvoiceNo"],
            "quantity": quantity.abs(),
        }
    ).to_csv(raw / "events" / "online_retail.csv", index=False)


@pytest.fixture(scope="module")
def complete_journey(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return Complete Journey, run once."""
    warehouse = Warehouse(tmp_path_factory.mktemp("complete_journey"))
    sample_data.write_complete_journey(warehouse.raw)
    warehouse.run()
    return warehouse


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Warehouse:
    """Return CDNOW, run once."""
    warehouse = Warehouse(tmp_path_factory.mktemp("cdnow"))
    land_cdnow(warehouse.raw, data)
    warehouse.run()
    return warehouse


@pytest.fixture(scope="module")
def online_retail(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Warehouse:
    """Return Online Retail, run once."""
    warehouse = Warehouse(tmp_path_factory.mktemp("online_retail"))
    land_online_retail(warehouse.raw, data)
    warehouse.run()
    return warehouse


def events_from_files(warehouse: Warehouse, timezone: str) -> pd.DataFrame:
    """Return the kept events as the oracle wants them, read from the raw files and not from the warehouse."""
    pattern = f"{warehouse.raw}/events/**/*"
    reader = "read_parquet" if list(warehouse.raw.rglob("events/**/*.parquet")) else "read_csv"
    suffix = "parquet" if reader == "read_parquet" else "csv"
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create view files as from {reader}('{pattern}.{suffix}', union_by_name = true)")
        names = {name for (name,) in con.execute("select column_name from (describe files)").fetchall()}
        properties = "event_properties ->> '$.order_id'" if "event_properties" in names else "null"
        order_id = "order_id" if "order_id" in names else properties
        category = "product_category" if "product_category" in names else "null"
        return con.execute(
            f"""
            select
                row_number() over ()::varchar as id, customer_id::varchar as customer_id, event_type,
                ({order_id})::varchar as order_id, event_value::decimal(18, 4) as event_value,
                ({category})::varchar as product_category, created_at,
                timezone('{timezone}', timezone('UTC', created_at::timestamp))::date as event_date
            from files
            where customer_id is not null
            """
        ).df()


def orders_from_events(events: pd.DataFrame) -> pd.DataFrame:
    """Return orders as the oracle wants them; no order id means that the event is an order."""
    key = events["order_id"].where(events["order_id"].notna(), events["id"])
    signed = events["event_value"].where(events["event_type"] == "purchase", -events["event_value"])
    money = events.assign(key=key, net_amount=signed)
    money = money[money["event_type"].isin(["purchase", "refund", "return"])]
    orders = money.groupby(["customer_id", "key"]).agg(
        order_date=("event_date", "min"),
        net_amount=("net_amount", "sum"),
        types=("event_type", set),
    )
    orders["is_unmatched_refund"] = ["purchase" not in types for types in orders["types"]]
    # Whole ten-thousandths: sums tie exactly.
    orders["net_amount"] = (orders["net_amount"].astype(float) * 10_000).round().astype("int64")
    return orders.reset_index()


def assert_marts_equal_the_oracle(warehouse: Warehouse, timezone: str = "UTC") -> None:
    """Compare customer_rfm, cohort_retention and customer_behavior_summary, customer by customer, cell by cell."""
    events = events_from_files(warehouse, timezone)
    orders = orders_from_events(events)
    as_of = warehouse.rows("select as_of_date from marts.data_as_of")[0][0]

    expected = oracle.rfm(orders, as_of)
    found = warehouse.frame("from marts.customer_rfm").set_index("customer_id").loc[expected.index]
    for column in ("recency_days", "purchase_count", "recency_score", "frequency_score", "monetary_score", "fm_score"):
        assert (found[column] == expected[column]).all(), column
    assert (found["segment"] == expected["segment"]).all()
    assert ((found["net_spend"].astype(float) * 10_000).round() == expected["net_spend"]).all()
    assert len(found) == warehouse.rows("select count(*) from marts.customer_rfm")[0][0]

    cells = oracle.cohort_retention(orders, as_of)
    found = warehouse.frame(
        """
        select cohorts.acquisition_start_date::date as cohort, cohort_retention.*
        from marts.cohort_retention join marts.cohorts on cohorts.id = cohort_retention.cohort_id
        where cohorts.cohort_type = 'acquisition' and cohorts.period_grain = 'month'
            and cohort_retention.acquisition_channel is null
        """
    )
    found["cohort"] = pd.to_datetime(found["cohort"]).dt.date
    found = found.set_index(["cohort", "period_number"])
    assert set(found.index) == set(cells.index)
    found = found.loc[cells.index]
    for column in ("member_count", "eligible_count", "return_on_count", "return_on_or_after_count", "order_count"):
        assert (found[column] == cells[column]).all(), column
    assert (found["is_complete"] == cells["is_complete"]).all()
    assert ((found["revenue"].astype(float) * 10_000).round() == cells["revenue"]).all()

    summary = oracle.behavior_summary(events, as_of)
    found = warehouse.frame("from marts.customer_behavior_summary").set_index("customer_id").loc[summary.index]
    for column in ("total_events", "total_page_views", "total_purchases"):
        assert (found[column] == summary[column]).all(), column
    for column in ("total_spent", "avg_order_value", "days_since_purchase", "purchase_frequency_days"):
        difference = (found[column].astype(float) - summary[column].astype(float)).abs()
        assert (found[column].isna() == summary[column].isna()).all(), column
        assert difference.max() <= PUBLISHED_ROUNDING, column
    if events["product_category"].notna().any():
        both = found["preferred_category"].notna() & summary["preferred_category"].notna()
        assert (found["preferred_category"][both] == summary["preferred_category"][both]).all()


@pytest.mark.deep
def test_complete_journey_totals(complete_journey: Warehouse) -> None:
    households = "select count(distinct customer_id) from marts.orders"
    assert complete_journey.rows(households) == [(2469,)]
    assert complete_journey.rows("select count(*), sum(gross_amount) from marts.orders") == [
        (155_848, Decimal("4596039.5800"))
    ]
    assert complete_journey.rows("select count(*) from marts.order_lines") == [(1_469_307,)]
    sends = "select sum(email_sent_count), sum(coupon_redeemed_count) from marts.customer_daily"
    assert complete_journey.rows(sends) == [(6589, 2102)]


@pytest.mark.deep
def test_complete_journey_equals_the_oracle(complete_journey: Warehouse) -> None:
    assert_marts_equal_the_oracle(complete_journey, "America/New_York")


@pytest.mark.data
def test_cdnow(cdnow: Warehouse) -> None:
    assert cdnow.rows("select sum(kept_count), sum(duplicate_count) from marts.load_ledger") == [(69_659, 0)]
    assert cdnow.rows("select count(*), sum(total_spent) from marts.customer_behavior_summary") == [
        (23_570, Decimal("2500315.6300"))
    ]
    months = cdnow.rows(
        "select cohort_name, member_count from marts.cohorts "
        "where cohort_type = 'acquisition' and period_grain = 'month' order by acquisition_start_date"
    )
    assert [name.split()[0] for name, _ in months] == ["1997-01", "1997-02", "1997-03"]
    assert sum(count for _, count in months) == 23_570
    assert_marts_equal_the_oracle(cdnow)


@pytest.mark.data
def test_online_retail(online_retail: Warehouse) -> None:
    assert online_retail.rows("select rejected_count, kept_count from marts.load_ledger") == [(135_080, 406_829)]
    assert online_retail.rows("select rule, count(*) from marts.rejected_events group by rule") == [
        ("missing_customer_id", 135_080)
    ]
    assert online_retail.rows("select count(*) from marts.customers") == [(4372,)]
    assert online_retail.rows("select count(*) from marts.customer_rfm") == [(4339,)]
    assert online_retail.rows(
        # Some prices have a tenth of a penny.
        "select count(*) filter (not is_unmatched_refund), "
        "round(sum(gross_amount), 2), round(sum(refund_amount), 2), round(sum(net_amount), 2) from marts.orders"
    ) == [(18_536, Decimal("8911407.90"), Decimal("611342.09"), Decimal("8300065.81"))]
    assert online_retail.rows("select count(*) from marts.refunds") == [(8905,)]
    assert online_retail.rows("select sum(refund_amount) from marts.orders where not is_unmatched_refund") == [
        (Decimal(0),)
    ]
    assert_marts_equal_the_oracle(online_retail)


@pytest.mark.data
def test_online_retail_by_day_in_random_order_equals_one_file(online_retail: Warehouse, tmp_path: Path) -> None:
    """305 daily files land in random order over twenty runs; the marts are those of one run, and verify says so."""
    frame = pd.read_csv(online_retail.raw / "events" / "online_retail.csv", dtype=str)
    days = dict(list(frame.groupby(frame["created_at"].str[:10])))
    assert len(days) == 305
    order = sorted(days)
    random.Random(305).shuffle(order)  # noqa: S311 - any order will do, the same every time
    warehouse = Warehouse(tmp_path / "home")
    (warehouse.raw / "events").mkdir(parents=True)
    for number in range(20):
        for day in order[number::20]:
            days[day].to_csv(warehouse.raw / "events" / f"{day}.csv", index=False)
        output = warehouse.run(expect=None)
        # On some days more than half of the lines lack a customer: gate 1 asks a person.
        refused = re.findall(r"refused (events/\S+\.csv)", output)
        for path in dict.fromkeys(refused):
            warehouse.run("load", "accept", path)
        if refused:
            warehouse.run()

    expected, found = online_retail.marts(), warehouse.marts()
    # A rejected row is named by its file and place there, which differ: the rules must be the same.
    by_rule = "select rule, count(*) from marts.rejected_events group by rule"
    with online_retail.release() as one, warehouse.release() as many:
        assert one.execute(by_rule).fetchall() == many.execute(by_rule).fetchall()
    del expected["rejected_events"], found["rejected_events"]
    assert found.keys() == expected.keys()
    assert {table: len(found[table] ^ rows) for table, rows in expected.items() if found[table] != rows} == {}
    assert "tables equal a rebuild" in warehouse.run("verify")
