"""The customer marts computed a second time, in pandas, from the definitions and not from the SQL.

Every function takes the rows of one tenant with tenant-local dates, and `as_of`, the last date that counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from datetime import date

NEW_CUSTOMER_DAYS = 90

# Recency score → segments of FM scores 1 to 5.
RFM_GRID = {
    5: ["New Customers", "Potential Loyalists", "Potential Loyalists", "Champions", "Champions"],
    4: ["Promising", "Potential Loyalists", "Potential Loyalists"] + 2 * ["Loyal Customers"],
    3: ["About to Sleep", "About to Sleep", "Need Attention", "Loyal Customers", "Loyal Customers"],
    2: ["Hibernating", "Hibernating", "At Risk", "At Risk", "At Risk"],
    1: ["Lost", "Lost", "At Risk", "Cannot Lose Them", "Cannot Lose Them"],
}


def strictly_smaller(values: pd.Series) -> np.ndarray:
    """For each value, how many values are strictly smaller."""
    return np.searchsorted(np.sort(values.to_numpy()), values.to_numpy(), side="left")


def rfm(orders: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Recency, frequency and monetary scores and the grid's segment, indexed by customer.

    `orders`: customer_id, order_date, net_amount (whole numbers of the smallest unit, or Decimal, so
    that sums tie exactly), is_unmatched_refund.
    """
    orders = orders.assign(order_date=pd.to_datetime(orders["order_date"]))
    orders = orders[orders["order_date"] <= pd.Timestamp(as_of)]
    purchases = orders[~orders["is_unmatched_refund"]].groupby("customer_id")["order_date"]
    table = pd.DataFrame(
        {
            "recency_days": (pd.Timestamp(as_of) - purchases.max()).dt.days,
            "purchase_count": purchases.size(),
            "net_spend": orders.groupby("customer_id")["net_amount"].sum(),
        }
    ).dropna(subset="recency_days")
    buyers = len(table)
    spend = table["net_spend"].where(table["net_spend"] > 0, 0)
    table["recency_score"] = 5 - 5 * strictly_smaller(table["recency_days"]) // buyers
    table["frequency_score"] = 1 + 5 * strictly_smaller(table["purchase_count"]) // buyers
    table["monetary_score"] = 1 + 5 * strictly_smaller(spend) // buyers
    table["fm_score"] = (table["frequency_score"] + table["monetary_score"]) // 2
    table["segment"] = [
        RFM_GRID[recency][fm - 1] for recency, fm in zip(table["recency_score"], table["fm_score"], strict=True)
    ]
    age_days = (pd.Timestamp(as_of) - purchases.min().reindex(table.index)).dt.days
    is_old = (table["segment"] == "New Customers") & (age_days > NEW_CUSTOMER_DAYS)
    table.loc[is_old, "segment"] = "Promising"
    return table


def cohort_retention(orders: pd.DataFrame, as_of: date, frequency: str = "M") -> pd.DataFrame:
    """Retention of acquisition cohorts by calendar period, indexed by (cohort, period_number).

    `orders`: as for `rfm`. `frequency`: M for months, Q for quarters, W for weeks from Monday.
    """
    orders = orders.assign(order_date=pd.to_datetime(orders["order_date"]))
    orders = orders[orders["order_date"] <= pd.Timestamp(as_of)]
    purchases = orders[~orders["is_unmatched_refund"]]
    first = purchases.groupby("customer_id")["order_date"].min().dt.to_period(frequency)
    last = purchases.groupby("customer_id")["order_date"].max().dt.to_period(frequency)
    orders = orders[orders["customer_id"].isin(first.index)]
    period = orders["order_date"].dt.to_period(frequency)
    current = pd.Period(pd.Timestamp(as_of), frequency)
    rows = []
    for cohort, members in first.groupby(first).groups.items():
        of_cohort = orders["customer_id"].isin(members)
        for number in range((current - cohort).n + 1):
            # A refund of an unknown order may be dated before the first purchase: period 0.
            in_cell = of_cohort & (period == cohort + number if number else period <= cohort)
            cell = orders[in_cell]
            bought = cell[~cell["is_unmatched_refund"]]
            is_complete = (cohort + number).end_time.date() <= pd.Timestamp(as_of).date()
            rows.append(
                {
                    "cohort": cohort.start_time.date(),
                    "period_number": number,
                    "member_count": len(members),
                    "eligible_count": len(members) if is_complete else 0,
                    "return_on_count": bought["customer_id"].nunique(),
                    "return_on_or_after_count": int((last[members] >= cohort + number).sum()),
                    "order_count": len(bought),
                    "revenue": cell["net_amount"].sum(),
                    "is_complete": is_complete,
                }
            )
    return pd.DataFrame(rows).set_index(["cohort", "period_number"])


def most_frequent(rows: pd.DataFrame, value: str, occurred_at: str) -> pd.Series:
    """Each customer's most frequent value; ties go to the latest, then to the first by name."""
    counts = (
        rows.dropna(subset=value)
        .groupby(["customer_id", value])[occurred_at]
        .agg(["size", "max"])
        .reset_index()
        .sort_values(["size", "max", value], ascending=[False, False, True])
    )
    return counts.drop_duplicates("customer_id").set_index("customer_id")[value]


def behavior_summary(events: pd.DataFrame, as_of: date, sessions: pd.DataFrame | None = None) -> pd.DataFrame:
    """Totals, order values, dates and preferences of every customer with an event, by customer.

    `events`: id, customer_id, event_type, order_id (null: the event is its own order), event_value,
    product_category, event_date, created_at; a purchase event is one order line. `sessions`:
    customer_id, product_category, device_type, event_category, session_date, started_at.
    """
    events = events.assign(event_date=pd.to_datetime(events["event_date"]))
    events = events[events["event_date"] <= pd.Timestamp(as_of)]
    by_customer = events.groupby("customer_id")
    table = pd.DataFrame({"total_events": by_customer.size()})
    for column, event_type in {
        "total_page_views": "page_view",
        "total_product_views": "product_view",
        "total_add_to_cart": "add_to_cart",
    }.items():
        of_type = (events["event_type"] == event_type).groupby(events["customer_id"])
        table[column] = of_type.sum()

    lines = events[events["event_type"] == "purchase"]
    lines = lines.assign(order_id=lines["order_id"].where(lines["order_id"].notna(), lines["id"]))
    orders = lines.groupby(["customer_id", "order_id"]).agg(
        order_date=("event_date", "min"), ordered_at=("created_at", "min")
    )
    orders = orders.groupby("customer_id")
    gross = lines.groupby("customer_id")["event_value"].sum()
    refunds = events[events["event_type"].isin(["refund", "return"])]
    refunded = refunds.groupby("customer_id")["event_value"].sum()
    table["total_purchases"] = orders.size().reindex(table.index, fill_value=0)
    table["total_spent"] = gross.reindex(table.index, fill_value=0) - refunded.reindex(table.index, fill_value=0)
    table["avg_order_value"] = gross.astype(float) / orders.size()
    table["first_purchase_date"] = orders["ordered_at"].min()
    table["last_purchase_date"] = orders["ordered_at"].max()
    first_date, last_date = orders["order_date"].min(), orders["order_date"].max()
    table["days_since_purchase"] = (pd.Timestamp(as_of) - last_date).dt.days
    gaps = (orders.size() - 1).where(orders.size() > 1)
    table["purchase_frequency_days"] = (last_date - first_date).dt.days / gaps

    table["preferred_category"] = most_frequent(lines, "product_category", "created_at")
    if sessions is not None:
        sessions = sessions[pd.to_datetime(sessions["session_date"]) <= pd.Timestamp(as_of)]
        from_sessions = most_frequent(sessions, "product_category", "started_at")
        table["preferred_category"] = table["preferred_category"].fillna(from_sessions)
        table["preferred_device"] = most_frequent(sessions, "device_type", "started_at")
        table["preferred_source"] = most_frequent(sessions, "event_category", "started_at")
    return table
