"""Made-up customers for the tests of ml: purchases by a process with drop-out, features of them by plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd

START = pd.Timestamp("2023-01-01")
DAYS = 420
END = START + pd.Timedelta(days=DAYS)
HORIZONS = (30, 90, 180)
ORIGINS = tuple(END - pd.Timedelta(days=90 + 30 * place) for place in range(6))


def purchases(customers: int, days: int = DAYS, seed: int = 1) -> pd.DataFrame:
    """Return customer_id, day (from 0), spend: one row per purchase day."""
    chance = np.random.default_rng(seed)
    first = chance.integers(0, max(1, days // 2), customers)
    rate = chance.gamma(0.8, 1 / 40, customers)
    life = chance.exponential(1 / chance.gamma(1.5, 1 / 150, customers))
    worth = 20 * chance.gamma(6, 1 / chance.gamma(4, 1 / 15, customers))
    rows = []
    for place in range(customers):
        day = float(first[place])
        end = min(days, first[place] + life[place])
        while day <= end:
            rows.append((f"c{place:05d}", int(day), round(float(worth[place] * chance.gamma(6, 1 / 6)), 2)))
            day += 1 + chance.exponential(1 / rate[place])
    return pd.DataFrame(rows, columns=["customer_id", "day", "spend"]).drop_duplicates(["customer_id", "day"])


def features(bought: pd.DataFrame, date: pd.Timestamp, start: pd.Timestamp = START) -> pd.DataFrame:
    """Return rows as customer_features has them at a date; who had no purchase by then has none."""
    today = (date - start).days
    known = bought[bought["day"] <= today].sort_values(["customer_id", "day"])
    by = known.groupby("customer_id")
    table = pd.DataFrame({"purchase_days": by.size(), "total_spend": by["spend"].sum()})
    first, last = by["day"].min(), by["day"].max()
    gaps = by["day"].diff().groupby(known["customer_id"])
    spend = by["spend"]
    table["repeat_days"] = table["purchase_days"] - 1
    table["recency_age_days"], table["age_days"] = last - first, today - first
    table["days_since_last_purchase"], table["tenure_days"] = today - last, today - first
    table["order_count"], table["ticket_count"] = table["purchase_days"], 0
    table["mean_spend_per_day"] = table["total_spend"] / table["purchase_days"]
    table["first_spend"], table["last_spend"], table["max_spend"] = spend.first(), spend.last(), spend.max()
    table["spend_sd"] = spend.std()
    table["spend_variation"] = table["spend_sd"] / table["mean_spend_per_day"]
    table["mean_gap_days"], table["sd_gap_days"] = gaps.mean(), gaps.std()
    table["last_gap_days"], table["max_gap_days"] = gaps.last(), gaps.max()
    table["recency_over_mean_gap"] = table["days_since_last_purchase"] / table["mean_gap_days"]
    for window in (30, 90, 180):
        recent = known[known["day"] > today - window].groupby("customer_id")["spend"]
        count, total = recent.size().reindex(table.index).fillna(0), recent.sum().reindex(table.index).fillna(0)
        table[f"share_of_orders_last_{window}_days"] = count / table["purchase_days"]
        table[f"share_of_spend_last_{window}_days"] = total / table["total_spend"].where(table["total_spend"] > 0)
    for name in ("session", "engagement_event", "open_and_click"):
        table[f"{name}_count_last_30_days"] = table[f"{name}_count_last_90_days"] = 0
    table["spend_last_365_days"] = (
        known[known["day"] > today - 365].groupby("customer_id")["spend"].sum().reindex(table.index).fillna(0)
    )
    table["category_entropy"] = table["discount_share"] = np.nan
    table["refund_share"] = 0.0
    table["first_purchase_date"] = start + pd.to_timedelta(first, unit="D")
    table = table.reset_index()
    return table.assign(user_id="shop", as_of_date=date, sample_rank=np.arange(1, len(table) + 1))


def outcomes(bought: pd.DataFrame, date: pd.Timestamp, days: int, start: pd.Timestamp = START) -> pd.DataFrame:
    """Return rows as customer_outcomes has them."""
    today = (date - start).days
    ids = sorted(bought.loc[bought["day"] <= today, "customer_id"].unique())
    after = bought[(bought["day"] > today) & (bought["day"] <= today + days)].groupby("customer_id")["spend"]
    table = pd.DataFrame({"purchase_days": after.size(), "spend": after.sum()}).reindex(ids).fillna(0)
    table = table.rename_axis("customer_id").reset_index()
    return table.assign(user_id="shop", as_of_date=date, horizon_days=days)


def frames(bought: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return features at END and at the origins, and the outcomes whose windows closed by END."""
    windows = [(origin, days) for origin in ORIGINS for days in HORIZONS if origin + pd.Timedelta(days=days) <= END]
    return (
        pd.concat([features(bought, date) for date in (END, *ORIGINS)], ignore_index=True),
        pd.concat([outcomes(bought, origin, days) for origin, days in windows], ignore_index=True),
    )
