"""Time and memory of predictions for a million customers who have bought: features, fit, score, the backtest apart.

    python benchmarks/predictions.py [--customers 1000000]

The customers are made: each buys at a rate of his own until he is gone, within two years, for amounts around a mean of
his own. They are landed as events and go through the warehouse's own load and models; fit, score and backtest are what
a run does (ml.learning). Results go to benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
from run import timed

from ml.backtest import backtest, measured, with_intervals
from ml.scoring import score
from ml.training import Past, Settings, fit
from orchestration.home import PROJECT_DIR
from orchestration.load import create_raw_tables, load_new_files

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).with_name("results.json")
MEMORY = "4GB"
DAYS = 730
LAST = date(2025, 12, 31)


def main() -> None:
    """Measure, and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers = parser.parse_args().customers
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        figures = measure(Path(folder), customers)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["predictions"] = figures
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def measure(home: Path, customers: int) -> dict[str, Any]:
    """Return seconds and peak memory of each part, what learns and scores in a process of its own."""
    made = make(home, customers)
    dbt(home, "--select", "+customer_features", "+customer_outcomes", "--exclude", "int_feature_days+")
    features = dbt(home, "--select", "int_feature_days+,+customer_features", "int_feature_days+,+customer_outcomes")
    learned = alone(learned_and_scored, home)
    return {
        "customers": customers,
        "purchase_days": made,
        "measured_at": datetime.now(UTC).date().isoformat(),
        "memory_limit_of_duckdb": MEMORY,
        "features_seconds": features["seconds"],
        "features_peak_gigabytes": round(features["peak_gib"] * 2**30 / 1e9, 2),
        **learned,
        "features_fit_and_score_seconds": round(
            features["seconds"] + learned["read_seconds"] + learned["fit_seconds"] + learned["score_seconds"], 1
        ),
    }


def make(home: Path, customers: int) -> int:
    """Land made-up purchases and load them; return how many."""
    (home / "raw" / "events").mkdir(parents=True)
    with duckdb.connect(home / "made.duckdb") as con:
        con.execute("set threads = 1")
        con.execute("select setseed(0.5)")
        con.execute(f"""
            create table customers as
            select
                number,
                (random() * {DAYS - 30})::integer as first_day,
                -- Gamma of shape 2: the sum of two exponential variables.
                10 + 60 * -ln(random() * random()) as mean_gap,
                30 + 200 * -ln(random() * random()) as life,
                10 + 20 * -ln(random() * random()) as worth
            from range({customers}) as numbers (number)
        """)
        con.execute(f"""
            create table purchases as
            with recursive bought as (
                select number, first_day::double as day, first_day + life as gone, mean_gap, worth from customers
                union all
                select number, day + 1 + mean_gap * -ln(random()), gone, mean_gap, worth from bought
                where day < least(gone, {DAYS})
            )

            select number, day, worth * (0.5 + random()) as spend from bought where day < {DAYS} and day <= gone
        """)
        first = LAST - timedelta(days=DAYS - 1)
        con.execute(f"""
            copy (
                select
                    'shop' as user_id, number || '-' || row_number() over (order by number, day) as id,
                    'c' || number as customer_id, 'purchase' as event_type, round(spend, 2) as event_value,
                    timestamp '{first}' + to_seconds(day * 86400) as created_at
                from purchases order by created_at, number
            ) to '{home / "raw" / "events" / "purchases.parquet"}' (format parquet)
        """)
        count = con.execute("select count(*) from purchases").fetchall()[0][0]
    with duckdb.connect(home / "warehouse.duckdb", config={"memory_limit": MEMORY}) as con:
        con.execute("set TimeZone = 'UTC'")
        create_raw_tables(con)
        load_new_files(con, home / "raw", run_id="bench", loaded_at=datetime.now(UTC).replace(tzinfo=None))
    return count


def dbt(home: Path, *arguments: str) -> dict[str, float]:
    """Build models, without their tests, in the made warehouse; return seconds and peak memory."""
    kinds = ["--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
    folders = ["--project-dir", PROJECT_DIR, "--profiles-dir", PROJECT_DIR]
    written = ["--target-path", home / "target", "--log-path", home / "logs"]
    os.environ["WAREHOUSE_DUCKDB_MEMORY"] = MEMORY
    command = [Path(sys.executable).parent / "dbt", "--quiet", "build", *arguments, *kinds, *folders, *written]
    return timed(command, home)


def alone(part: Callable[[Path], dict[str, float]], home: Path) -> dict[str, float]:
    """Return what a part measured of itself in a new process, with the most memory that it took."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(part, (home,))


def learned_and_scored(home: Path) -> dict[str, float]:
    """Read, backtest, fit and score, in the order of `ml.learning.learn`; in seconds.

    The backtest fits the purchase models at earlier origins; those that the fit asks for again are there already.
    """
    began = time.monotonic()
    features, outcomes = (read(home, table) for table in ("customer_features", "customer_outcomes"))
    past = Past(features, outcomes)
    was_read = time.monotonic()
    trials = backtest(past, LAST, Settings())
    measured(trials)
    was_tried = time.monotonic()
    model = with_intervals(past, fit(past, pd.Timestamp(LAST), Settings()), trials)
    was_fitted = time.monotonic()
    scores = score(model, features[features["is_current"]])
    ended = time.monotonic()
    return {
        "read_seconds": round(was_read - began, 1),
        "backtest_seconds": round(was_tried - was_read, 1),
        "fit_seconds": round(was_fitted - was_tried, 1),
        "score_seconds": round(ended - was_fitted, 1),
        "customers_scored": int(scores["churn_probability"].notna().sum()),
        "peak_gigabytes": peak(),
    }


def read(home: Path, table: str) -> pd.DataFrame:
    """Return a mart of features."""
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as con:
        return con.execute(f"from marts.{table}").df()


def peak() -> float:
    """Return the most resident memory of this process so far, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


if __name__ == "__main__":
    main()
