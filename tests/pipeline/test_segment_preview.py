"""A preview of a shipped segment's published criteria finds its members: two evaluations that share no SQL agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest
from small_warehouse import PROJECT_DIR, SmallWarehouse, show_as_release

from orchestration.segments.catalogue import read_catalogue
from orchestration.segments.criteria import parse_criteria, render_criteria
from orchestration.segments.definitions import read_definitions
from orchestration.segments.preview import preview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestration.segments.catalogue import Catalogue

Member = tuple[str, str, str]
"""Segment, tenant and customer."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(PROJECT_DIR / "seeds")


@pytest.fixture(scope="module")
def release(built_warehouse: SmallWarehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the built warehouse with the names of a release and its restricted file."""
    with duckdb.connect() as con:
        show_as_release(con, built_warehouse.database)
        yield con


@pytest.fixture(scope="module")
def published(release: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Return the criteria of every active automatic segment by key and tenant."""
    rows = release.execute(
        "select segment_key, user_id, criteria from marts.customer_segments_v2 where is_active and is_automatic"
    ).fetchall()
    return {(key, user_id): criteria for key, user_id, criteria in rows}


def test_published_criteria_are_the_rules(published: dict[tuple[str, str], str], catalogue: Catalogue) -> None:
    definitions = read_definitions(PROJECT_DIR / "seeds")
    automatic = {key: segment for key, segment in definitions.latest().items() if segment.is_automatic}
    assert {key for key, _ in published} == {key for key, segment in automatic.items() if segment.is_active}
    for (key, _), criteria in published.items():
        rules = parse_criteria(criteria, catalogue)
        assert rules == tuple(definitions.rules_of(automatic[key])), key
        assert parse_criteria(json.dumps(render_criteria(rules, catalogue)), catalogue) == rules, key


def test_previews_find_the_current_members(
    release: duckdb.DuckDBPyConnection, published: dict[tuple[str, str], str], catalogue: Catalogue
) -> None:
    current: set[Member] = set(
        release.execute(
            "select segment_key, user_id, customer_id from marts.segment_members where is_current"
        ).fetchall()
    )
    found: set[Member] = set()
    for (key, user_id), criteria in published.items():
        told = preview(release, parse_criteria(criteria, catalogue), catalogue, tenant=user_id, published_key=key)
        members = release.execute("select user_id, customer_id from previewed where is_member").fetchall()
        assert (told.size, told.joining, told.leaving) == (len(members), 0, 0), key
        found |= {(key, *member) for member in members}
    by_rules = {member for member in current if member[:2] in published}
    assert found == by_rules
    assert len({key for key, *_ in by_rules}) > 15, "too few segments have members to prove anything"
