"""Seven temporal splits of three public logs against the reference's figures: `make backtest DATA=path`.

The logs are landed as purchase events, one a customer and UTC day, gross of refunds; the warehouse's own models make
features and outcomes of them; `ml` fits and scores at each split's date, from origins before it only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml import evaluation
from ml.backtest import Trial, trial
from ml.training import LEAST_HISTORY_DAYS, THREADS, Past, Settings
from orchestration.load import create_raw_tables, load_new_files

if TYPE_CHECKING:
    from collections.abc import Callable

    Arrays = tuple[np.ndarray, np.ndarray]

PROJECT_DIR = Path(__file__).resolve().parents[1]
ORIGIN_STEP_DAYS, ORIGINS = 15, 12
"""As int_feature_dates has them."""
NEAR_HORIZON_DAYS = 90
RESAMPLES = 1_000
BOUNDS = {"rmse": 1.02, "gini": -0.005, "auc": -0.003, "log_loss": 0.005}
"""RMSE: ratio to the reference; the others: difference from it."""


@dataclass(frozen=True)
class Split:
    """A date T, a horizon of H days, and the reference's RMSE, normalised Gini, AUC and log loss there."""

    log: str
    date: date
    horizon_days: int
    rmse: float
    gini: float
    auc: float
    log_loss: float


SPLITS = (
    Split("cdnow", date(1997, 9, 30), 273, 92.8, 0.720, 0.772, 0.491),
    Split("cdnow", date(1997, 12, 31), 181, 55.8, 0.754, 0.807, 0.412),
    Split("cdnow", date(1997, 12, 31), 90, 34.8, 0.735, 0.808, 0.344),
    Split("online_retail", date(2011, 6, 12), 90, 1532, 0.819, 0.759, 0.585),
    Split("online_retail", date(2011, 9, 10), 90, 4053, 0.671, 0.744, 0.596),
    Split("complete_journey", date(2017, 7, 2), 90, 262, 0.867, 0.906, 0.154),
    Split("complete_journey", date(2017, 10, 1), 90, 275, 0.855, 0.898, 0.155),
)


def cdnow(data: Path) -> pd.DataFrame:
    """Return CDNOW's purchases: customer_id, date, value."""
    frame = pd.read_csv(data / "cdnow" / "CDNOW_master.txt", sep=r"\s+", dtype=str, encoding="latin-1")
    frame.columns = ["customer_id", "date", "quantity", "value"]
    return frame.assign(date=pd.to_datetime(frame["date"]), value=frame["value"].astype(float))


def online_retail(data: Path) -> pd.DataFrame:
    """Return Online Retail's purchases, without the lines that have no customer and the returned ones."""
    source = next((data / "online_retail").glob("*.csv.gz"))
    frame = pd.read_csv(source, encoding="latin-1", dtype={"CustomerID": str, "InvoiceNo": str})
    frame = frame[frame["CustomerID"].notna() & (frame["Quantity"] > 0)]
    days = pd.to_datetime(frame["InvoiceDate"], format="%m/%d/%Y %H:%M").dt.normalize()
    return pd.DataFrame(
        {"customer_id": frame["CustomerID"], "date": days, "value": frame["Quantity"] * frame["UnitPrice"]}
    )


def complete_journey(data: Path) -> pd.DataFrame:
    """Return the Complete Journey's purchases by UTC day."""
    frame = pd.read_parquet(data / "complete_journey" / "transactions.parquet")
    days = pd.to_datetime(frame["transaction_timestamp"]).dt.tz_localize(None).dt.normalize()
    return pd.DataFrame(
        {"customer_id": frame["household_id"].astype(str), "date": days, "value": frame["sales_value"].astype(float)}
    )


LOGS = {"cdnow": cdnow, "online_retail": online_retail, "complete_journey": complete_journey}


def land(raw: Path, data: Path, logs: dict[str, Callable[[Path], pd.DataFrame]]) -> None:
    """Write each log as purchase events of a tenant of its name, one a customer and day, at noon UTC."""
    (raw / "events").mkdir(parents=True)
    for name, read in logs.items():
        days = read(data).groupby(["customer_id", "date"], as_index=False)["value"].sum()
        days["user_id"], days["event_type"] = name, "purchase"
        days["created_at"] = (days.pop("date") + pd.Timedelta(hours=12)).astype(str)
        days["event_value"] = days.pop("value").round(4)
        days.to_csv(raw / "events" / f"{name}.csv", index=False)


def grid(split: Split, first: date) -> list[date]:
    """Return a split's origins: from T - H back; from T - 90 where T - H has too little history before it."""
    near = split.date - timedelta(days=split.horizon_days)
    days = split.horizon_days if (near - first).days >= LEAST_HISTORY_DAYS else NEAR_HORIZON_DAYS
    return [split.date - timedelta(days=days + place * ORIGIN_STEP_DAYS) for place in range(ORIGINS)]


FIRST_DATES = {"cdnow": date(1997, 1, 1), "online_retail": date(2010, 12, 1), "complete_journey": date(2017, 1, 1)}


def build(home: Path) -> None:
    """Load what was landed and build the models up to features and outcomes."""
    with duckdb.connect(home / "warehouse.duckdb") as con:
        con.execute("set TimeZone = 'UTC'")
        create_raw_tables(con)
        load_new_files(con, home / "raw", run_id="backtest", loaded_at=datetime.now(UTC))
    dates = {day for split in SPLITS for day in (split.date, *grid(split, FIRST_DATES[split.log]))}
    horizons = sorted({30, 120, 180, 365} | {split.horizon_days for split in SPLITS} - {NEAR_HORIZON_DAYS})
    variables = {"feature_dates": sorted(map(str, dates)), "outcome_horizons": horizons}
    dbt = Path(sys.executable).parent / "dbt"
    folders = ["--project-dir", PROJECT_DIR, "--profiles-dir", PROJECT_DIR]
    written = ["--target-path", home / "target", "--log-path", home / "logs"]
    # Tests of models that are not built here would fail: the project's own tests are run by `make test`.
    kinds = ["--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
    selected = ["--select", "+customer_features", "+customer_outcomes", *kinds, "--vars", str(variables)]
    command = [dbt, "build", "--quiet", *selected, *folders, *written]
    subprocess.run(command, check=True, env=os.environ | {"WAREHOUSE_HOME": str(home)})  # noqa: S603


def past_of(con: duckdb.DuckDBPyConnection, split: Split) -> Past:
    """Return what a model may know at a split's date, and what followed it."""
    days = (split.date, *grid(split, FIRST_DATES[split.log]))
    listed = ", ".join(f"date '{day}'" for day in days)
    where = f"user_id = '{split.log}' and as_of_date in ({listed})"
    features = con.execute(f"from marts.customer_features where {where}").df()
    return Past(features, con.execute(f"from marts.customer_outcomes where {where}").df())


def figures(found: Trial, spend: np.ndarray, silence: np.ndarray) -> dict[str, tuple[Callable[..., float], Arrays]]:
    """Return for each bound what measures it and of what."""
    values, probabilities = (found.actual_spend, spend), (found.is_silent, silence)
    return {
        "rmse": (evaluation.root_mean_squared_error, values),
        "gini": (evaluation.normalised_gini, values),
        "auc": (evaluation.roc_auc, probabilities),
        "log_loss": (evaluation.log_loss, probabilities),
    }


def report(split: Split, found: Trial) -> dict[str, object]:
    """Return a split's figures with 90 % bootstrap intervals, the purchase models' beside, and which bounds hold."""
    ours = figures(found, found.spend, found.silence)
    btyd = figures(found, found.btyd_spend, found.btyd_silence)
    count = len(found.actual_spend)
    row: dict[str, object] = {"log": split.log, "T": split.date, "H": split.horizon_days, "customers": count}
    for name, (measure, arrays) in ours.items():
        value, reference = measure(*arrays), getattr(split, name)
        low, high = evaluation.bootstrap_interval(measure, *arrays, draws=RESAMPLES)
        change = value / reference if name == "rmse" else value - reference
        is_met = change <= BOUNDS[name] if name in {"rmse", "log_loss"} else change >= BOUNDS[name]
        row |= {
            name: value, f"{name}_low": low, f"{name}_high": high, f"{name}_btyd": measure(*btyd[name][1]),
            f"{name}_change": change, f"{name}_met": is_met,
        }  # fmt: skip
    return row


def printed(rows: list[dict[str, object]]) -> str:
    """Return the table as Markdown, and the mean ratios to the purchase models alone."""
    head = ["log", "T", "H", "customers"] + [f"{name} [90 %] (reference, BTYD alone)" for name in BOUNDS]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row, split in zip(rows, SPLITS, strict=True):
        cells = [str(row[name]) for name in head[:4]]
        for name in BOUNDS:
            digits = 1 if name == "rmse" else 3
            value, low, high, btyd = (row[f"{name}{part}"] for part in ("", "_low", "_high", "_btyd"))
            change = f"{row[f'{name}_change']:.3f}" if name == "rmse" else f"{row[f'{name}_change']:+.4f}"
            mark = "" if row[f"{name}_met"] else " **missed**"
            cells.append(
                f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] ({getattr(split, name)}: {change}{mark},"
                f" {btyd:.{digits}f})"
            )
        lines.append("| " + " | ".join(cells) + " |")
    ratios = {name: np.mean([row[name] / row[f"{name}_btyd"] for row in rows]) for name in ("rmse", "log_loss")}
    return "\n".join([*lines, "", *(f"mean {name} ratio to BTYD alone: {ratio:.4f}" for name, ratio in ratios.items())])


def main() -> None:
    """Build, fit, score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with cdnow, online_retail, complete_journey")
    parser.add_argument("--home", type=Path, help="a built home to keep and use again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).resolve()
        if not (home / "warehouse.duckdb").exists():
            land(home / "raw", options.data, LOGS)
            build(home)
        rows = []
        with duckdb.connect(home / "warehouse.duckdb", read_only=True) as con, threadpool_limits(THREADS):
            for split in SPLITS:
                start = time.perf_counter()
                found = trial(past_of(con, split), pd.Timestamp(split.date), split.horizon_days, Settings())
                sys.stderr.write(
                    f"{split.log} {split.date} {split.horizon_days}: {time.perf_counter() - start:.1f} s\n"
                )
                rows.append(report(split, found))
    sys.stdout.write(printed(rows) + "\n")


if __name__ == "__main__":
    main()
