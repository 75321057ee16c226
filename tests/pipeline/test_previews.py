"""A preview of a segment's own rules finds its published members: two ways to evaluate rules, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_warehouse import PROJECT_DIR

from orchestration import release
from orchestration.segments import preview, read_catalogue, read_definitions

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = PROJECT_DIR / "seeds"
DEFINITIONS = read_definitions(SEEDS)
AUTOMATIC = sorted(key for key, segment in DEFINITIONS.latest().items() if segment.is_automatic)


@pytest.mark.parametrize("key", AUTOMATIC)
def test_preview_of_a_published_segment_changes_nobody(key: str, published: Path) -> None:
    rules = DEFINITIONS.rules_of(DEFINITIONS.latest()[key])
    with release.read_release(published, with_restricted=True) as con:
        seen = preview(con, rules, read_catalogue(SEEDS), published_key=key)
        query = "select sum(member_count) from marts.customer_segments_v2 where segment_key = ?"
        (size,) = con.execute(query, [key]).fetchall()[0]
    assert (seen.size, seen.joining, seen.leaving) == (size, 0, 0)
