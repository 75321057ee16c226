"""The five behavioural segments of document 003 find the generator's personas: precision against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from real_warehouse import Warehouse

from orchestration import sample_data

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

EVENTS = 3_000_000
AS_OF = "2025-12-31"
RUN_SECONDS = 900
"""A run over so many events takes 200 s on two busy cores."""
LEAST_PRECISION = 0.95
"""Of the members, how many the truth calls so. How many it calls so besides is another matter: most of them have been
around too shortly to show it."""
LEAST_MEMBERS = 100
"""Fewer would make the precision a matter of luck."""

PERSONAS = {
    "frequent_buyers": "frequent_buyer",
    "bargain_hunters": "bargain_hunter",
    "brand_loyal": "brand_loyal",
    "window_shoppers": "window_shopper",
    "seasonal_buyers": "seasonal_buyer",
}
"""The persona that each behavioural segment is to find."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, Path]:
    """Return a warehouse of a generated world, and the folder of the truth about it."""
    home = tmp_path_factory.mktemp("behavioural_truth")
    warehouse, truth = Warehouse(home / "warehouse"), home / "truth"
    sample_data.generate(warehouse.raw, events=EVENTS, truth_dir=truth)
    process = warehouse.start("run", "--as-of", AS_OF)
    output, _ = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 0, output
    return warehouse, truth


def judged(con: duckdb.DuckDBPyConnection, truth: Path, segment: str) -> tuple[int, float, float]:
    """Return how many members a segment has, its precision and its recall."""
    return con.execute(
        f"""
        with judged as (
            select members.customer_id is not null as is_member, truth.persona = $persona as is_true
            from '{truth}/customers/*/*.parquet' as truth
            left join marts.segment_members as members
                on truth.user_id = members.user_id and truth.customer_id = members.customer_id
                and members.segment_key = $segment and members.is_current
        )
        select
            count(*) filter (where is_member),
            count(*) filter (where is_member and is_true) / count(*) filter (where is_member),
            count(*) filter (where is_member and is_true) / count(*) filter (where is_true)
        from judged
        """,
        {"segment": segment, "persona": PERSONAS[segment]},
    ).fetchone()


@pytest.mark.deep
@pytest.mark.parametrize("segment", PERSONAS)
def test_behavioural_segments_are_precise(world: tuple[Warehouse, Path], segment: str) -> None:
    warehouse, truth = world
    with warehouse.release() as con:
        members, precision, recall = judged(con, truth, segment)
    found = f"{segment}: {members:,} members, precision {precision:.3f}, recall {recall:.3f}"
    print(found)  # noqa: T201 - the figures are worth knowing also where all is well
    assert members >= LEAST_MEMBERS, found
    assert precision >= LEAST_PRECISION, found
