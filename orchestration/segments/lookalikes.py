"""`warehouse segments lookalike`: the customers outside a segment who resemble its members most.

What the segment's own rules ask for is no feature, nor is what is made of the same facts: members would be told from
others by the rule that made them members, and the rule's near misses would be the look-alikes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from orchestration.console import say
from orchestration.home import Home, warehouse_home
from orchestration.release import read_release
from orchestration.release.sql import identifier
from orchestration.segments.actions import (
    Act,
    ActionError,
    Segment,
    exports_folder,
    file_stem,
    find_segment,
    moment,
    private_folder,
    put_in_place,
    record,
    require_tables,
    sha256_of,
    write_csv,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    from duckdb import DuckDBPyConnection

    from ml.lookalike import Lookalikes

FEED = "segment_lookalikes"
ATTRIBUTES = "customer_attributes"
NO_FEATURES = frozenset({"id", "user_id", "customer_id", "birth_date", "age", "distance_km"})
"""Keys, and what a profile says of the person that is shown nowhere outside of restricted.duckdb."""
FEATURE_TYPES = r"BOOLEAN|VARCHAR|DOUBLE|FLOAT|DECIMAL\(.*\)|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?"
"""SQL types of flags, texts and numbers; dates and lists are no features."""

FAMILIES: dict[str, frozenset[str]] = {
    name: frozenset(attributes.split())
    for name, attributes in {
        "order dates": """days_since_last_order last_order_date recency_score rfm_segment churn_probability
            orders_last_30_days orders_previous_30_days visits_last_30_days visits_last_180_days order_span_days
            journey_stage""",
        "first order": """days_since_first_order first_order_date acquisition_cohort order_span_days first_order_value
            orders_per_month tenure_days signup_date""",
        "order counts": """order_count visit_count visits_last_30_days visits_last_180_days orders_last_30_days
            orders_previous_30_days orders_per_month purchase_frequency_days order_span_days frequency_score fm_score
            rfm_segment total_spent gross_spent predicted_ltv_1year churn_probability journey_stage""",
        "money": """total_spent gross_spent avg_order_value first_order_value monetary_score fm_score rfm_segment
            predicted_ltv_1year""",
        "discounts": "discounted_order_share",
        "hours": """morning_order_share lunch_order_share afternoon_order_share dinner_order_share night_order_share""",
        "weekdays": "weekend_order_share",
        "seasons": "busiest_quarter_order_share",
        "categories": "favourite_category top_category_order_share",
        "brands": "favourite_brand top_brand_order_share",
        "activity": """event_count_to_date active_days_last_30_days days_since_last_event page_view_count
            product_view_count product_views_last_90_days""",
        "page views": "page_view_count event_count_to_date",
        "product views": "product_view_count product_views_last_90_days event_count_to_date",
        "carts": "add_to_cart_count journey_stage",
        "e-mail": """email_sent_count email_open_count email_click_count email_opens_last_90_days email_open_rate
            preferred_channel email_opt_in""",
        "text messages": "sms_opt_in preferred_channel",
        "reviews": "review_count positive_review_count",
        "social": "share_count social_click_count follows_on_social",
        "referrals": "referral_sent_count referral_converted_count",
        "loyalty": "loyalty_points loyalty_tier points_to_next_tier is_tier_upgrade_eligible is_loyalty_member is_vip",
        "place": "country city distance_km",
        "person": "age birth_date gender",
        "predictions": "churn_probability predicted_ltv_1year",
        "RFM": "rfm_segment recency_score frequency_score monetary_score fm_score",
    }.items()
}
"""Attributes that are made of the same facts. Who uses one of a family in a rule uses them all."""
NO_RELATIVES = frozenset({"dietary_preference", "has_profile", "tags"})
"""Attributes that share their facts with no other."""

FAMILIES_OF_EVENTS: dict[str, tuple[str, ...]] = {
    "purchase": ("order counts", "order dates", "money"),
    "refund": ("money",),
    "return": ("money",),
    "page_view": ("page views",),
    "product_view": ("product views",),
    "add_to_cart": ("carts",),
    "review": ("reviews",),
    "share": ("social",),
    "social_click": ("social",),
    "referral_sent": ("referrals",),
    "referral_converted": ("referrals",),
    "points_earned": ("loyalty",),
}
"""Families that count events of a type; those of e-mails and text messages go by their prefix."""
FAMILY_OF_MATCH = {"category": "categories", "brand": "brands", "product": "categories"}
EVENT_FIELDS = ("event_count", "event_days", "event_sum")
JOINED = "joined_segment"


@dataclass(frozen=True)
class Found:
    """Finished look-alikes."""

    file: Path
    manifest: Path
    lookalikes: Lookalikes
    left_out: tuple[str, ...]


def find_and_write(home: Home, key: str, size: int, act: Act, tenant: str | None = None) -> Found:
    """Write the `size` customers that resemble a segment's members most, and a manifest, and record them."""
    from ml.lookalike import LookalikeError, find_lookalikes  # scikit-learn is slow to import

    with read_release(home.path, with_restricted=True) as con:
        require_tables(con, "restricted", [ATTRIBUTES])
        segment = find_segment(con, key, tenant)
        used = attributes_of(segment.criteria, _criteria_by_key(con, segment))
        left_out = used | NO_FEATURES
        attributes = _attributes(con, segment, left_out)
        members = _members(con, segment)
    try:
        lookalikes = find_lookalikes(attributes, members, size)
    except LookalikeError as error:
        message = f"no look-alikes of {key}: {error}"
        raise ActionError(message) from error
    return _written(home, segment, lookalikes, tuple(sorted(used)), act)


def _attributes(con: DuckDBPyConnection, segment: Segment, left_out: frozenset[str]) -> pd.DataFrame:
    """Return the tenant's customers with their numbers, flags and texts as of the release's date."""
    described = con.execute(f"describe restricted.{ATTRIBUTES}").fetchall()
    columns = [
        f"{identifier(name)}{'' if sql_type == 'VARCHAR' else '::double as ' + identifier(name)}"
        for name, sql_type, *_ in described
        if name not in left_out and re.fullmatch(FEATURE_TYPES, sql_type)
    ]
    found = con.execute(
        f"select {', '.join(['customer_id', *columns])} from restricted.{ATTRIBUTES} where user_id = $user_id",
        {"user_id": segment.user_id},
    ).df()
    return found.set_index("customer_id")


def _members(con: DuckDBPyConnection, segment: Segment) -> list[str]:
    found = con.execute(
        """
        select customer_id from marts.segment_members
        where user_id = $user_id and segment_id = $segment_id::uuid and is_current
        """,
        {"user_id": segment.user_id, "segment_id": segment.segment_id},
    ).fetchall()
    return [customer_id for (customer_id,) in found]


# ── What the rules use ────────────────────────────────────────────────────────────────────────


def attributes_of(criteria: Mapping[str, Any], criteria_by_key: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the attributes that criteria use, with their relatives.

    `criteria_by_key`: of the tenant's other segments, because a rule may ask who joined one.
    """
    used: set[str] = set()
    for rule in rules_in(criteria):
        if rule["field"] == JOINED:
            used |= attributes_of(criteria_by_key.get(rule["subject"], {}), criteria_by_key)
        elif rule["field"] in EVENT_FIELDS:
            used |= _of_event(rule)
        else:
            used |= relatives_of(rule["field"])
    return frozenset(used)


def rules_in(criteria: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the rules of canonical criteria: {"all": [rule, …]} or {"any": [{"all": […]}, …]}; `{}` has none."""
    for part in (*criteria.get("any", ()), *criteria.get("all", ())):
        if "field" in part:
            yield part
        else:
            yield from rules_in(part)


def relatives_of(attribute: str) -> frozenset[str]:
    """Return an attribute with all that are made of the same facts."""
    return frozenset({attribute}).union(*(family for family in FAMILIES.values() if attribute in family))


def _of_event(rule: Mapping[str, Any]) -> frozenset[str]:
    event_type = rule.get("subject") or ""
    names = list(FAMILIES_OF_EVENTS.get(event_type, ()))
    names += ["e-mail"] * event_type.startswith("email_") + ["text messages"] * event_type.startswith("sms_")
    match = rule.get("match_key")
    names += [FAMILY_OF_MATCH[match]] if match in FAMILY_OF_MATCH else []
    # Every event is activity; a count of all events is near to one of the frequent ones.
    return frozenset({"event_count_to_date"}).union(*(FAMILIES[name] for name in names))


def _criteria_by_key(con: DuckDBPyConnection, segment: Segment) -> dict[str, Mapping[str, Any]]:
    found = con.execute(
        "select segment_key, criteria::varchar from marts.customer_segments_v2 where user_id = $user_id",
        {"user_id": segment.user_id},
    ).fetchall()
    return {key: json.loads(criteria or "{}") for key, criteria in found}


# ── What is written ───────────────────────────────────────────────────────────────────────────


def _written(home: Home, segment: Segment, lookalikes: Lookalikes, left_out: tuple[str, ...], act: Act) -> Found:
    folder = exports_folder(home)
    described = segment.described() | {
        "lookalike_id": act.act_id,
        "chosen_at": moment(act.at),
        "actor": act.actor,
        "auc": round(lookalikes.auc, 4),
        "member_count": lookalikes.member_count,
        "non_member_count": lookalikes.non_member_count,
    }
    rows = lookalikes.customers.to_dict("records")
    recorded = {name: value for name, value in described.items() if name != "segment_name"}
    with private_folder(folder) as inner:
        file = inner / f"{file_stem(segment, act, 'lookalikes')}.csv"
        columns = list(lookalikes.customers.columns)
        write_csv(file, columns, lookalikes.customers.itertuples(index=False))
        content = described | {
            "file_name": file.name,
            "lookalike_count": len(rows),
            "features": list(lookalikes.features),
            "left_out": list(left_out),
            "giveaways": list(lookalikes.giveaways),
            "sha256": sha256_of(file),
        }
        manifest = write_manifest(file.with_suffix(".manifest.json"), content)
        record(home, FEED, act, [recorded | row for row in rows])
        file, manifest = put_in_place([file, manifest], folder)
    return Found(file, manifest, lookalikes, left_out)


# ── Command ───────────────────────────────────────────────────────────────────────────────────


@click.command()
@click.argument("segment")
@click.option("--size", type=click.IntRange(min=1), required=True, help="How many customers.")
@click.option("--tenant", help="Whose segment; needed where several tenants have it.")
@click.option("--actor", help="Who asks; default: the account that runs the command.")
def lookalike(segment: str, size: int, tenant: str | None, actor: str | None) -> None:
    """Write the customers outside SEGMENT who resemble its members most into a file, with a manifest; recorded."""
    found = find_and_write(Home(warehouse_home()), segment, size, Act.now(actor), tenant)
    told = found.lookalikes
    say(
        f"{len(told.customers):,} of {told.non_member_count:,} other customers in {found.file}; learned from"
        f" {told.member_count:,} members, AUC {told.auc:.3f} out of fold (0.5 is chance)"
    )
    say(f"left out, because the segment's rules use them or their like: {', '.join(found.left_out) or 'none'}")
    if told.giveaways:
        say(f"left out, because each alone tells members from others: {', '.join(told.giveaways)}")
