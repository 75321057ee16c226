"""Document 001's upload from file to segments: 10,000 churn scores, and what they do to customers and memberships."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from small_warehouse import PROJECT_DIR, SmallWarehouse, customer, event, score

from orchestration import load, predictions, sample_data

if TYPE_CHECKING:
    from pathlib import Path

    from dbt.contracts.graph.manifest import Manifest

KNOWN = 9_987
"""Customers whom the tenant has, of 10,000 in the file: document 001's example."""
LAST_DAY = datetime(2024, 11, 9, tzinfo=UTC)
LOADED_AT = datetime(2024, 11, 10, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def uploaded(dbt_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return a warehouse of 9,987 customers, built with document 001's file of scores."""
    warehouse = SmallWarehouse(tmp_path_factory.mktemp("uploaded"), dbt_manifest).create()
    raw = warehouse.home / "raw"
    sample_data.write_churn_scores(raw, "shop")
    with warehouse.connect() as con:
        (raw / "events").mkdir()
        con.execute(f"""
            copy (
                select 'shop' as user_id, 'CUST_' || lpad(number::varchar, 5, '0') as customer_id,
                    case when number % 50 = 0 then 'page_view' else 'purchase' end as event_type,
                    timestamp '2024-11-09 12:00' - to_days((hash(number, purchase) % 400)::integer) as created_at,
                    5 + hash(number, purchase, 'value') % 95 as event_value
                from range(1, {KNOWN + 1}) as customers (number), range(1, 5) as purchases (purchase)
                where purchase <= 1 + hash(number) % 4
            ) to '{raw / "events" / "a.parquet"}' (format parquet)
        """)
        load.load_new_files(con, raw, run_id="run", loaded_at=LOADED_AT)
    warehouse.build()
    return warehouse


def test_the_file_has_the_shares_of_document_001(tmp_path: Path) -> None:
    path = sample_data.write_churn_scores(tmp_path, "shop", customers=["a", "b"], seed=7)
    assert (
        path.read_bytes() == sample_data.write_churn_scores(tmp_path, "shop", customers=["a", "b"], seed=7).read_bytes()
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["customer_id"], float(row["churn_score"])) for row in csv.DictReader(file)]
    assert len({name for name, _ in rows}) == len(rows) == 10_000
    assert [name for name, _ in rows[:3]] == ["a", "b", "CUST_00001"]
    bands = Counter(band for _, value in rows for band, low, high, _ in sample_data.CHURN_SHARES if low <= value < high)
    assert bands == {"Low": 4500, "Medium": 3000, "High": 1800, "Critical": 700}


def test_the_load_is_told_as_document_001_does(uploaded: SmallWarehouse) -> None:
    loads = (
        "select received_count, accepted_count, rejected_count, accepted_rate, in_force_count from marts.score_loads"
    )
    assert uploaded.query(loads) == [(10_000, KNOWN, 13, 0.9987, KNOWN)]
    errors = [detail for (detail,) in uploaded.query("select detail from marts.rejected_rows order by record_number")]
    assert errors == [f"Customer CUST_{number:05} not found in organization" for number in range(KNOWN + 1, 10_001)]


def test_shares_of_risk_are_those_of_the_file(uploaded: SmallWarehouse) -> None:
    shares = dict(
        uploaded.query(
            "select risk_segment, count(*) / sum(count(*)) over () from marts.customer_churn_scores group by 1"
        )
    )
    assert shares == pytest.approx({"Low": 0.45, "Medium": 0.30, "High": 0.18, "Critical": 0.07}, abs=0.0013)
    assert uploaded.query("select distinct score_source, churn_horizon_days from marts.customer_churn_scores") == [
        ("uploaded", None)
    ]


def test_segments_are_those_of_the_grid_and_the_overrides(uploaded: SmallWarehouse) -> None:
    """Each customer's segment is decided once more here, from the seed's rows and document 001's bands."""
    with (PROJECT_DIR / "seeds" / "rfm" / "segment_overrides.csv").open(encoding="utf-8", newline="") as file:
        overrides = [tuple(row.values())[:4] for row in csv.DictReader(file)]
    rows = uploaded.query("""
        select coalesce(rfm.segment, 'No Purchase Yet'), rfm.engagement_score, scores.churn_score,
            rfm.recency_score + rfm.frequency_score + rfm.monetary_score, segments.segment, segments.segment_score
        from marts.customer_segments as segments
        join marts.customer_churn_scores as scores using (customer_id)
        left join marts.customer_rfm as rfm using (customer_id)
    """)
    assert len(rows) == KNOWN
    sizes: Counter[str] = Counter()
    for grid, engagement, churn, scores, segment, segment_score in rows:
        band = next(band for band, low, high, _ in sample_data.CHURN_SHARES if low <= churn < high)
        category = {1: "Low", 2: "Low", 3: "Medium", 4: "High", 5: "High"}.get(engagement)
        matching = [final for *key, final in overrides if key[:2] == [grid, band] and key[2] in {"*", category}]
        assert [segment] == (matching or [grid])
        if scores is not None:
            expected = 0.7 * 100 * (scores - 3) / 12 + 0.3 * 100 * (1 - churn)
            assert float(segment_score) == pytest.approx(expected, abs=0.0051)
        sizes[segment] += 1
    distribution = uploaded.query(
        "select segment, count, percentage, expected_share_low, expected_share_high from marts.segment_distribution"
    )
    assert {segment: count for segment, count, *_ in distribution if count} == sizes
    assert sum(count for _, count, *_ in distribution) == KNOWN
    # What document 001 expects of its own data stands beside, for information: this world was made to no such shares.
    assert {row[0]: row[3:] for row in distribution if row[3]} == {
        "Champions": (0.10, 0.15),
        "At Risk": (0.08, 0.12),
        "Lost": (0.05, 0.07),
    }


# ── Predictions and memberships ───────────────────────────────────────────────────────────────


def _at(days_ago: int) -> str:
    return f"{LAST_DAY - timedelta(days=days_ago):%Y-%m-%d} 12:00:00"


def _record(warehouse: SmallWarehouse, days_ago: int, **churn: float) -> None:
    """Record model predictions as of a day, of customers by name, and count them as published."""
    day = (LAST_DAY - timedelta(days=days_ago)).date()
    names = list(churn)
    frame = pd.DataFrame({"customer_id": names, "churn_probability": list(churn.values())})
    frame = frame.assign(user_id="shop", as_of_date=day, churn_horizon_days=30, model_version="v1", current_ltv=10)
    for years, value in ((1, 20), (3, 30), (5, 40)):
        frame[f"predicted_ltv_{years}year"] = value
        frame[f"expected_spend_{years}year"] = value - 10
    with warehouse.connect() as con:
        predictions.record_scores(con, frame, run_id="run", recorded_at=LOADED_AT.replace(tzinfo=None))


def _memberships(warehouse: SmallWarehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "select customer_id, joined_date::varchar, left_date::varchar from marts.segment_members "
        "where segment_key = 'at_risk_retention' order by all"
    )


def _assigned(warehouse: SmallWarehouse) -> dict[str, tuple[str, str]]:
    rows = "select customer_id, segment, assigned_at::date::varchar from marts.customer_segments"
    return {name: (segment, day) for name, segment, day in warehouse.query(rows)}


@pytest.mark.deep
def test_a_day_knows_the_predictions_made_up_to_it(dbt_manifest: Manifest, tmp_path: Path) -> None:
    """Incremental runs, whose uploads speak of days long evaluated, end as one full refresh does; uploads win."""
    warehouse = SmallWarehouse(tmp_path / "home", dbt_manifest).create()
    names = ["model", "upload", "late", "silent"]
    warehouse.load(
        customers=[customer(name, "2024-01-01", signup_at="2024-01-01") for name in names],
        events=[event(name, _at(3 * n), "purchase", event_value=10) for name in names for n in range(1, 30)],
    )
    warehouse.build()
    warehouse.publish()
    assert _memberships(warehouse) == []
    _record(warehouse, 20, model=0.9, upload=0.9)
    warehouse.build()
    warehouse.publish()
    _record(warehouse, 10, model=0.2, upload=0.9)
    warehouse.load(
        churn_scores=[score("upload", _at(15), churn_score=0.1), score("late", _at(5), churn_score=60, scale="100")]
    )
    warehouse.build()
    warehouse.publish()
    day = {n: f"{LAST_DAY - timedelta(days=n):%Y-%m-%d}" for n in (20, 15, 10, 5)}
    expected = [("late", day[5], None), ("model", day[20], day[10]), ("upload", day[20], day[15])]
    assert _memberships(warehouse) == expected
    assert warehouse.query("select customer_id, score_source from marts.customer_churn_scores order by all") == [
        ("late", "uploaded"),
        ("model", "model"),
        ("silent", None),
        ("upload", "uploaded"),
    ]
    # What came of the first recording within 30 days is not known yet.
    assert warehouse.query("select count(*) from marts.prediction_outcomes") == [(0,)]
    spells = _assigned(warehouse)
    warehouse.build("--full-refresh")
    assert _memberships(warehouse) == expected
    assert _assigned(warehouse) == spells

    # A withdrawn file says nothing any more, also of days that are over.
    warehouse.execute(
        "delete from raw.churn_scores",
        "update raw.load_ledger set state = 'withdrawn' where feed = 'churn_scores'",
    )
    warehouse.build()
    assert _memberships(warehouse) == [("model", day[20], day[10]), ("upload", day[20], None)]


@pytest.mark.deep
def test_outcomes_survive_and_are_not_made_anew(dbt_manifest: Manifest, tmp_path: Path) -> None:
    warehouse = SmallWarehouse(tmp_path / "home", dbt_manifest).create()
    warehouse.load(events=[event("a", _at(days_ago), "purchase", event_value=10) for days_ago in (60, 39, 11, 10, 0)])
    _record(warehouse, 40, a=0.25)
    warehouse.build()
    rows = "select horizon_days, churn_probability, purchase_days, spend, has_purchased from marts.prediction_outcomes"
    assert warehouse.query(rows) == [(30, 0.25, 3, 30, True)]
    warehouse.publish()
    warehouse.load(events=[event("a", _at(20), "purchase", event_value=99)], loaded_at="2024-11-10 04:00:00")
    warehouse.build("--full-refresh")
    warehouse.publish()
    assert warehouse.query(rows) == [(30, 0.25, 3, 30, True)]
    assert warehouse.query("select count(*) from raw.prediction_outcomes") == [(1,)]
