"""`warehouse segments`: definitions are written to the project's seeds, the rest reads the current release."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from orchestration import release
from orchestration.console import say
from orchestration.home import PROJECT_DIR, warehouse_home
from orchestration.segments import definitions as kept
from orchestration.segments.catalogue import SegmentError, choices, read_catalogue
from orchestration.segments.criteria import parse_criteria
from orchestration.segments.explain import explain, list_segments
from orchestration.segments.exports import export
from orchestration.segments.lookalikes import lookalike
from orchestration.segments.preview import preview, rules_of_segment

if TYPE_CHECKING:
    from collections.abc import Collection

SEEDS = PROJECT_DIR / "seeds"

day = click.DateTime(formats=["%Y-%m-%d"])
tenant_option = click.option("--tenant", default=kept.EVERY_TENANT, help="One tenant (default: all).")
since_option = click.option("--since", type=day, help="First local day (default: the day that is published).")
type_option = click.option("--type", "segment_type", help=f"One of {', '.join(kept.SEGMENT_TYPES)}.")


@click.group(name="segments")
def segments_group() -> None:
    """Define segments, and see who is in them and why."""


@segments_group.command()
@click.option("--name", required=True, help="Name that readers see.")
@click.option("--type", "segment_type", required=True, help=f"One of {', '.join(kept.SEGMENT_TYPES)}.")
@click.option("--criteria", help='JSON, as {"minOrders": 5}; {} with --manual.')
@click.option("--key", help="Stable name (default: made from the name).")
@click.option("--manual", "is_manual", is_flag=True, help="Feed segment_assignments says who is in it.")
@click.option("--description", default="", help="Who is in it, in words.")
@click.option("--family", default="", help="Family of segments that are looked at together.")
@tenant_option
@click.option("--owner", default="", help="Who answers for the definition.")
@click.option("--channel", default="any", help=f"One of {', '.join(kept.CHANNELS)}.")
@click.option("--recommended-action", default="", help="What to do with the members.")
@since_option
def add(*, since: datetime | None, tenant: str, **columns: Any) -> None:  # noqa: ANN401 - columns of a segment
    """Add a segment."""
    added = kept.add_segment(
        SEEDS,
        since=since.date() if since else _published_day(tenant),
        tenant=tenant,
        known_tenants=_known_tenants(),
        **columns,
    )
    say(f"segment {added.segment_key} holds since {added.since}; `warehouse run` publishes it")


@segments_group.command()
@click.argument("key")
@click.option("--criteria", help="New criteria in JSON, in place of all the old ones.")
@click.option("--name", help="New name; the key stays.")
@type_option
@click.option("--description")
@click.option("--owner")
@click.option("--channel", help=f"One of {', '.join(kept.CHANNELS)}.")
@click.option("--recommended-action")
@since_option
def change(key: str, *, since: datetime | None, criteria: str | None, **columns: str | None) -> None:
    """Write a new version of segment KEY; what is not given stays as it is."""
    changed = kept.change_segment(SEEDS, key, since=_since(key, since), criteria=criteria, **columns)
    say(f"segment {key} is changed since {changed.since}; `warehouse run` publishes it")


@segments_group.command()
@click.argument("key")
@since_option
def retire(key: str, *, since: datetime | None) -> None:
    """Let segment KEY end; its history stays."""
    retired = kept.retire_segment(SEEDS, key, since=_since(key, since))
    say(f"segment {key} has no members since {retired.since}; `warehouse run` publishes it")


@segments_group.command(name="list")
@tenant_option
def list_command(tenant: str) -> None:
    """List the segments of the current release with their sizes."""
    _check_tenant(tenant)
    with release.read_release(warehouse_home()) as con:
        lines = list_segments(con, tenant=tenant)
    for line in lines:
        say(line)


@segments_group.command(name="explain")
@click.argument("customer_id", metavar="CUSTOMER")
@tenant_option
@click.option("--segment", "segment_key", help="Only this segment.")
def explain_command(customer_id: str, *, tenant: str, segment_key: str | None) -> None:
    """Show for every segment of CUSTOMER, also those left within 30 days, which clause is met and which is not."""
    _check_tenant(tenant)
    if segment_key is not None:
        _check_key(segment_key)
    with release.read_release(warehouse_home()) as con:
        lines = explain(con, _text(customer_id), tenant=tenant, segment_key=segment_key)
    for line in lines:
        say(line)


@segments_group.command(name="preview")
@click.option("--criteria", help="Criteria in JSON.")
@click.option("--segment", "key", help="A segment of the seeds; with --criteria, what would change.")
@tenant_option
def preview_command(*, criteria: str | None, key: str | None, tenant: str) -> None:
    """Show who would be in a segment: size, share, overlap, who would join and leave, ten members."""
    if criteria is None and key is None:
        message = "give --criteria, --segment, or both to see what a change would do"
        raise click.UsageError(message)
    catalogue = read_catalogue(SEEDS)
    definitions = kept.read_definitions(SEEDS)
    rules = () if key is None else rules_of_segment(definitions, key)
    if criteria is not None and not (rules := parse_criteria(criteria, catalogue)):
        message = "{} says nothing: there is nobody to show"
        raise SegmentError(message)
    if key is not None and tenant == kept.EVERY_TENANT:
        tenant = definitions.latest()[key].user_id
    _check_tenant(tenant)
    kept.check_subjects(rules, definitions)
    with release.read_release(warehouse_home(), with_restricted=True) as con:
        seen = preview(con, rules, catalogue, tenant=tenant, published_key=key)
    for line in seen.lines():
        say(line)


def _known_tenants() -> Collection[str]:
    current = release.current_release(warehouse_home())
    return current.as_of if current else ()


def _check_tenant(tenant: str) -> None:
    if tenant != kept.EVERY_TENANT and tenant not in (known := _known_tenants()):
        message = f"there is no tenant {tenant!r}; known are {choices(sorted(known))}"
        raise SegmentError(message)


def _check_key(key: str) -> None:
    known = kept.read_definitions(SEEDS).latest()
    if key not in known:
        message = f"there is no segment {key!r}; there are {choices(sorted(known))}"
        raise SegmentError(message)


def _text(given: str) -> str:
    """Return an argument that is text; bytes that are none stand in for half characters, which DuckDB refuses."""
    return os.fsencode(given).decode("utf-8", errors="replace")


def _published_day(tenant: str) -> date:
    """Return the day that is published, of several tenants the earliest: from it on, the next run shows members."""
    current = release.current_release(warehouse_home())
    if current is None or not current.as_of:
        return datetime.now(UTC).date()
    return current.as_of.get(tenant, min(current.as_of.values()))


def _since(key: str, given: datetime | None) -> date:
    """Return the first day of a new version: the one given, or the day that is published, not before the last one."""
    if given is not None:
        return given.date()
    last = kept.read_definitions(SEEDS).latest().get(key)
    return max(_published_day(last.user_id), last.since) if last else datetime.now(UTC).date()


segments_group.add_command(export)
segments_group.add_command(lookalike)
