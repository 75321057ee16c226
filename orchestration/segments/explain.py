"""Why a customer is in a segment or left it, and what segments there are, as the current release says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.segments.catalogue import SegmentError
from orchestration.segments.definitions import EVERY_TENANT

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def explain(
    con: DuckDBPyConnection, customer_id: str, *, tenant: str = EVERY_TENANT, segment_key: str | None = None
) -> list[str]:
    """Return lines for people: each segment of the customer, clause by clause."""
    known = con.execute(
        f"""
        select user_id from marts.customers
        where customer_id = $customer_id and $tenant in (user_id, '{EVERY_TENANT}')
        order by user_id
        """,
        {"customer_id": customer_id, "tenant": tenant},
    ).fetchall()
    if not known:
        message = f"there is no customer {customer_id!r}" + (f" of tenant {tenant!r}" if tenant != EVERY_TENANT else "")
        raise SegmentError(message)
    _check_explained(con, "segment_membership_explain")
    rows = con.execute(
        f"""
        select user_id, segment_key, is_member, group_number, clause, value, threshold, is_met
        from marts.segment_membership_explain
        where
            customer_id = $customer_id
            and $tenant in (user_id, '{EVERY_TENANT}')
            and ($segment_key is null or segment_key = $segment_key)
        order by user_id, not is_member, segment_key, group_number, rule_number
        """,
        {"customer_id": customer_id, "tenant": tenant, "segment_key": segment_key},
    ).fetchall()
    if not rows:
        where = f"segment {segment_key}" if segment_key else "any segment"
        return [f"{customer_id} is not in {where} and left none within 30 days"]
    lines, heading, group = [], None, None
    for user_id, key, is_member, group_number, clause, value, threshold, is_met in rows:
        if heading != (user_id, key):
            lines.append(f"{user_id}  {key}: {'member' if is_member else 'left within 30 days'}")
            heading, group = (user_id, key), group_number
        if group != group_number:
            lines.append("  or")
            group = group_number
        found = "nothing is known" if value is None else f"is {value}"
        wanted = "" if threshold is None else f" (threshold {threshold})"
        lines.append(f"  {'yes' if is_met else 'no ':<3}  {clause}: {found}{wanted}")
    return lines


def list_segments(con: DuckDBPyConnection, *, tenant: str = EVERY_TENANT) -> list[str]:
    """Return lines for people: every active segment of the release with its size."""
    _check_explained(con, "customer_segments_v2")
    rows = con.execute(
        f"""
        with customers as (select user_id, count(*) as customers from marts.customers group by user_id)
        select
            segments.user_id, segments.segment_key, segments.name, segments.segment_type, segments.is_automatic,
            segments.member_count, segments.member_count / customers.customers
        from marts.customer_segments_v2 as segments
        left join customers on segments.user_id = customers.user_id
        where segments.is_active and $tenant in (segments.user_id, '{EVERY_TENANT}')
        order by segments.user_id, segments.segment_key
        """,
        {"tenant": tenant},
    ).fetchall()
    lines = [f"{'tenant':<20} {'segment':<32} {'type':<12} {'how':<10} {'members':>12} {'share':>7}  name"]
    for user_id, key, name, segment_type, is_automatic, members, share in rows:
        how = "automatic" if is_automatic else "manual"
        lines.append(
            f"{user_id:<20} {key:<32} {segment_type:<12} {how:<10} {members or 0:>12,} {share or 0:>7.1%}  {name}"
        )
    return lines


def _check_explained(con: DuckDBPyConnection, table: str) -> None:
    query = "select count(*) from information_schema.tables where table_schema = 'marts' and table_name = $table"
    if con.execute(query, {"table": table}).fetchall() == [(0,)]:
        message = "the current release knows no segments yet: `warehouse run` publishes them"
        raise SegmentError(message)
