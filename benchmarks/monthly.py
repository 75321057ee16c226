"""A shop's year, month by month: what was predicted at each month's end, against what then came.

    python benchmarks/monthly.py --data path

Online Retail is landed as in backtest.py; `warehouse run --as-of` trains and scores at the last day of each of twelve
months, from what was known on it, and a last run closes the windows. All figures are read from the published
`prediction_outcomes`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from backtest import land, online_retail

from ml import evaluation

if TYPE_CHECKING:
    import pandas as pd

MONTH_ENDS = [date(2010, 12, 31), *(date(2011, month + 1, 1) - timedelta(days=1) for month in range(1, 12))]
CHURN_DAYS = 90
FIFTHS = 5


def main() -> None:
    """Run the months and print what came of their predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with online_retail")
    parser.add_argument("--home", type=Path, help="a home to keep, and to read again once its months were run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).resolve()
        if not (home / "published").exists():
            land(home / "raw", options.data, {"online_retail": online_retail})
            for day in MONTH_ENDS:
                run(home, "--as-of", str(day))
            run(home)
        with duckdb.connect(home / "published" / "analytics.duckdb", read_only=True) as con:
            outcomes = con.execute("from marts.prediction_outcomes").df()
    sys.stdout.write(by_month(outcomes) + "\n\n" + by_fifth(outcomes) + "\n")


def run(home: Path, *arguments: str) -> None:
    """Run the warehouse; a gate's warning is no failure."""
    command = [Path(sys.executable).parent / "warehouse", "run", *arguments]
    environment = os.environ | {"WAREHOUSE_HOME": str(home)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


def by_month(outcomes: pd.DataFrame) -> str:
    """Return for each month and horizon how churn, purchases, spend and intervals came out."""
    head = ["as of", "days", "customers", "P(purchase), mean", "bought", "ECE", "AUC", "spend expected", "spent"]
    head.append("within 90 % interval")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (day, days), rows in outcomes.groupby(["as_of_date", "horizon_days"]):
        probability, came = rows["purchase_probability"], rows["has_purchased"].astype(float)
        spend = f"{rows['expected_spend'].sum():,.0f} | {rows['spend'].sum():,.0f}" if days == CHURN_DAYS else "|"
        known = rows["is_within_interval"].dropna()
        covered = f"{known.astype(float).mean():.3f}" if len(known) else ""
        lines.append(
            f"| {day:%Y-%m-%d} | {days} | {len(rows):,} | {probability.mean():.3f} | {came.mean():.3f} |"
            f" {evaluation.expected_calibration_error(came, probability):.3f} |"
            f" {evaluation.roc_auc(came, probability):.3f} | {spend} | {covered} |"
        )
    return "\n".join(lines)


def by_fifth(outcomes: pd.DataFrame) -> str:
    """Return predicted and realised churn by fifths of the prediction, all months together."""
    rows = outcomes[outcomes["churn_probability"].notna()]
    fifths = np.minimum((rows["churn_probability"] * FIFTHS).astype(int), FIFTHS - 1)
    lines = ["| churn probability | customers | mean | came true |", "|---|---|---|---|"]
    for fifth, part in rows.groupby(fifths):
        silent = 1 - part["has_purchased"].astype(float)
        lines.append(
            f"| {fifth / FIFTHS:.1f} to {(fifth + 1) / FIFTHS:.1f} | {len(part):,} |"
            f" {part['churn_probability'].mean():.3f} | {silent.mean():.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
