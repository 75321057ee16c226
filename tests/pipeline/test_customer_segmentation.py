"""The seventeen test cases of document 002, under its names and headings, on real builds; and what lasts.

Where the document calls a function, a run does the work: automatic segments are recomputed by every run, assignments
are rows of feed segment_assignments, segments are added to the seeds by what `warehouse segments add` calls.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from small_project import copy_project
from small_warehouse import SmallWarehouse, customer, event, parse_project

from orchestration import load
from orchestration.load import feeds
from orchestration.segments import Rule, add_segment, parse_criteria, read_catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from small_warehouse import Row

FIRST_LOAD = datetime(2024, 11, 10, 3)  # noqa: DTZ001 - UTC without a zone, as the ledgers keep it
SEGMENT_MARTS = (
    "customer_segments_v2",
    "segment_members",
    "segment_membership_explain",
    "segment_assignment_log",
    "segment_size_daily",
    "segment_transitions",
    "segment_overlap",
    "segment_kpis",
    "segment_health",
    "segment_performance",
    "customer_360",
)
COLUMNS = ("user_id", "segment", "customer_id", "action", "at", "actor", "reason")

FIRST_DAY = """
    shop,vip_by_hand,gold,add,2024-11-08 10:00:00,ann,asked for it
    shop,vip_by_hand,quiet,add,2024-11-08 10:00:00,ann,
    shop,vip_by_hand,quiet,add,2024-11-08 12:00:00,ben,once more
    shop,vip_by_hand,few,add,2024-11-08 10:00:00,ann,
    shop,at_risk,gold,add,2024-11-08 10:00:00,ann,automatic
    shop,no_such_segment,gold,add,2024-11-08 10:00:00,ann,unknown
"""
SECOND_DAY = """
    shop,vip_by_hand,few,remove,2024-11-10 10:00:00,ann,moved away
    shop,infrequent_at_risk,still,remove,2024-11-10 10:00:00,ann,automatic
    shop,no_such_segment,gold,remove,2024-11-10 10:00:00,ann,unknown
    shop,press,few,add,2024-11-10 10:00:00,ann,
"""


def bought(customer_id: str, day: str, times: int, value: float) -> list[Row]:
    return [event(customer_id, f"{day} {9 + hour:02}:00:00", "purchase", event_value=value) for hour in range(times)]


FIRST_EVENTS = [
    *bought("gold", "2024-10-20", 5, 250),
    *bought("silver", "2024-10-20", 5, 250),
    *bought("nobody", "2024-10-20", 5, 250),
    *bought("few", "2024-10-20", 4, 300),
    *bought("fresh", "2024-11-09", 1, 20),
    *bought("quiet", "2024-06-01", 1, 20),
    *bought("still", "2024-06-01", 1, 20),
]
"""`silver` and `nobody` bought what `gold` did: their profiles differ."""
PROFILES = [customer(tier, "2024-01-01", loyalty_tier=tier) for tier in ("gold", "silver")]


@dataclass(frozen=True)
class Stage:
    """What a warehouse holds after a build."""

    warehouse: SmallWarehouse

    def members(self, segment_key: str, user_id: str = "shop") -> set[str]:
        """Return the current members of a segment."""
        rows = self.warehouse.query(f"""
            select customer_id from marts.segment_members
            where user_id = '{user_id}' and segment_key = '{segment_key}' and is_current
        """)
        return {customer_id for (customer_id,) in rows}

    def segments_of(self, customer_id: str) -> set[str]:
        """Return the keys of a customer's segments but for the RFM family."""
        rows = self.warehouse.query(f"""
            select unnest(segment_keys) from marts.customer_360
            where user_id = 'shop' and customer_id = '{customer_id}'
        """)
        return {key for (key,) in rows if not key.startswith("rfm_")}

    def spells(self, segment_key: str, customer_id: str) -> list[tuple]:
        """Return from when to when a customer was in a segment, and how."""
        return self.warehouse.query(f"""
            select joined_date, left_date, assignment_type from marts.segment_members
            where user_id = 'shop' and segment_key = '{segment_key}' and customer_id = '{customer_id}'
            order by joined_date
        """)

    def rejected(self) -> list[tuple]:
        """Return the refused assignments: rule and explanation."""
        return self.warehouse.query("""
            select rule, detail from raw.rejected_rows
            where feed = 'segment_assignments' order by file_id, record_number
        """)

    def marts(self) -> dict[str, list[tuple]]:
        """Return the marts of segments."""
        return {name: sorted(self.warehouse.query(f"from marts.{name}"), key=repr) for name in SEGMENT_MARTS}


@dataclass(frozen=True)
class Told:
    """What the builds left behind, in their order."""

    first: Stage
    repeated: Stage
    second: Stage
    refreshed: Stage
    project: Path


def assign(warehouse: SmallWarehouse, project: Path, text: str, loaded_at: datetime) -> None:
    """Land a file of assignments and load it, judged by the definitions of the copied project."""
    path = warehouse.home / "raw" / "segment_assignments" / f"{loaded_at:%Y-%m-%d}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS), *(line.strip() for line in text.strip().splitlines())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with warehouse.connect() as con, mock.patch.object(feeds, "_SEEDS", project / "seeds"):
        report = load.load_new_files(con, warehouse.home / "raw", run_id=path.stem, loaded_at=loaded_at)
    assert not report.refused, report.refused


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, whose definitions may be added to."""
    return copy_project(tmp_path_factory.mktemp("customer_segmentation") / "project")


@pytest.fixture(scope="module")
def told(project: Path) -> Told:
    """Build four times: the first day, the same again, a second day with more segments, and that one in full."""
    home = project.parent
    warehouse = SmallWarehouse(home / "warehouse", parse_project(home / "parse", project), project).create()

    def stage(name: str) -> Stage:
        return Stage(warehouse.copy_to(home / name))

    warehouse.load(events=FIRST_EVENTS, customers=PROFILES, loaded_at=str(FIRST_LOAD))
    assign(warehouse, project, FIRST_DAY, FIRST_LOAD)
    warehouse.build()
    first = stage("first")
    warehouse.publish()
    warehouse.build()
    repeated = stage("repeated")

    warehouse.publish()
    common: dict[str, Any] = {"segment_type": "custom", "since": date(2024, 11, 10)}
    add_segment(project / "seeds", name="Twice Bought", criteria='{"minOrders": 2}', **common)
    add_segment(project / "seeds", name="Press", is_manual=True, description="Journalists", **common)
    tomorrow = FIRST_LOAD + timedelta(days=1)
    warehouse.load(events=bought("quiet", "2024-11-10", 1, 5), loaded_at=str(tomorrow))
    assign(warehouse, project, SECOND_DAY, tomorrow)
    warehouse.build()
    second = stage("second")
    warehouse.publish()
    warehouse.build("--full-refresh")
    return Told(first, repeated, second, stage("refreshed"), project)


# ── Document 002's test cases ─────────────────────────────────────────────────────────────────


class TestCalculateAutomaticSegments:
    """calculateAutomaticSegments."""

    def test_identifies_matching_segments_based_on_customer_metrics(self, told: Told) -> None:
        assert told.first.members("high_lifetime_value") == {"gold", "silver", "nobody"}
        assert told.first.members("recent_first_orders") == {"gold", "silver", "nobody", "few", "fresh"}
        assert told.first.members("infrequent_at_risk") == {"quiet", "still"}

    def test_excludes_segments_when_criteria_are_not_met(self, told: Told) -> None:
        """Enough money in too few orders, and orders without enough money."""
        assert told.first.segments_of("few") & {"high_lifetime_value", "infrequent_at_risk"} == set()
        assert told.first.segments_of("fresh") & {"high_lifetime_value", "infrequent_at_risk"} == set()

    def test_handles_loyalty_level_criteria_correctly(self, told: Told) -> None:
        """The document writes GOLD, the profile gold; a customer without a level is in no such segment."""
        assert told.first.members("loyal_high_value") == {"gold"}


class TestAssignAutomaticSegments:
    """assignAutomaticSegments."""

    def test_assigns_matching_automatic_segments_to_customers(self, told: Told) -> None:
        assert told.first.spells("loyal_high_value", "gold") == [(date(2024, 10, 20), None, "automatic")]

    def test_removes_old_automatic_assignments_that_no_longer_match(self, told: Told) -> None:
        """One order ends it, on its day; whoever ordered nothing stays."""
        *_, last = told.second.spells("infrequent_at_risk", "quiet")
        assert last[1:] == (date(2024, 11, 10), "automatic")
        assert told.second.members("infrequent_at_risk") == {"still"}

    def test_preserves_manual_segment_assignments_during_automatic_updates(self, told: Told) -> None:
        """The run that takes `quiet` out of the automatic segment leaves the manual one alone."""
        assert told.second.members("vip_by_hand") == {"gold", "quiet"}
        assert told.second.spells("vip_by_hand", "quiet") == told.first.spells("vip_by_hand", "quiet")


class TestAssignManualSegment:
    """assignManualSegment."""

    def test_assigns_manual_segments_to_customers(self, told: Told) -> None:
        assert told.first.members("vip_by_hand") == {"gold", "quiet", "few"}
        assert told.first.spells("vip_by_hand", "gold") == [(date(2024, 11, 8), None, "manual")]

    def test_prevents_manual_assignment_of_automatic_segments(self, told: Told) -> None:
        assert told.first.rejected()[0] == REFUSED
        assert "gold" not in told.first.members("at_risk")

    def test_idempotent_behavior_no_error_on_duplicate_assignment(self, told: Told) -> None:
        """The second row is kept in the log, and changes nothing."""
        assert told.first.spells("vip_by_hand", "quiet") == [(date(2024, 11, 8), None, "manual")]
        log = "select outcome from marts.segment_assignment_log where customer_id = 'quiet' order by assigned_at"
        assert told.first.warehouse.query(log) == [("effective",), ("no change",)]

    def test_throws_error_for_non_existent_segments(self, told: Told) -> None:
        """The row is refused in a sentence that names the segments there are; the others go on."""
        assert told.first.rejected() == [REFUSED, REFUSED]


class TestRemoveManualSegment:
    """removeManualSegment."""

    def test_removes_manual_segment_assignments(self, told: Told) -> None:
        """The membership ends on the day of the removal and stays in the history, with who did it and why."""
        assert told.second.spells("vip_by_hand", "few") == [(date(2024, 11, 8), date(2024, 11, 10), "manual")]
        log = "select actor, reason from marts.segment_assignment_log where action = 'remove' and is_effective"
        assert told.second.warehouse.query(log) == [("ann", "moved away")]

    def test_prevents_removal_of_automatic_segments(self, told: Told) -> None:
        assert told.second.rejected()[2] == REFUSED_LATER
        assert "still" in told.second.members("infrequent_at_risk")

    def test_throws_error_for_non_existent_segments(self, told: Told) -> None:
        assert told.second.rejected()[2:] == [REFUSED_LATER, REFUSED_LATER]


class TestGetAllSegments:
    """getAllSegments."""

    def test_returns_all_segments(self, told: Told) -> None:
        with (told.project / "seeds" / "segments" / "segments.csv").open(encoding="utf-8", newline="") as file:
            defined = {row["segment_key"] for row in csv.DictReader(file)}
        rows = told.second.warehouse.query("select segment_key from marts.customer_segments_v2 where user_id = 'shop'")
        assert sorted(key for (key,) in rows) == sorted(defined)

    def test_returns_segments_ordered_by_name(self, told: Told) -> None:
        """An order belongs to the query; names are never empty and no two active segments of a tenant share one."""
        rows = told.second.warehouse.query(GET_ALL_SEGMENTS)
        names = [name for (name,) in rows]
        assert names == sorted(set(names))
        assert {"At-Risk", "Press", "Twice Bought"} <= set(names)


class TestCreateSegment:
    """createSegment."""

    def test_creates_new_automatic_segments(self, told: Told) -> None:
        [(is_automatic, criteria, member_count)] = published(told.second, "twice_bought")
        assert (is_automatic, member_count) == (True, 5)
        assert parse_criteria(criteria, read_catalogue(told.project / "seeds")) == (
            Rule(1, 1, "order_count", ">=", "2"),
        )
        assert told.second.members("twice_bought") == {"gold", "silver", "nobody", "few", "quiet"}
        assert {first for first, *_ in told.second.spells("twice_bought", "gold")} == {date(2024, 11, 10)}

    def test_creates_new_manual_segments(self, told: Told) -> None:
        assert published(told.second, "press") == [(False, "{}", 1)]
        assert told.second.spells("press", "few") == [(date(2024, 11, 10), None, "manual")]


REFUSED = ("not_a_manual_segment", "segment is no manual segment of the tenant: vip_by_hand")
REFUSED_LATER = ("not_a_manual_segment", "segment is no manual segment of the tenant: press, vip_by_hand")
GET_ALL_SEGMENTS = "select name from marts.customer_segments_v2 where user_id = 'shop' and is_active order by name"


def published(stage: Stage, segment_key: str) -> list[tuple]:
    """Return whether a segment is automatic, its criteria and its size."""
    return stage.warehouse.query(f"""
        select is_automatic, criteria::varchar, member_count from marts.customer_segments_v2
        where user_id = 'shop' and segment_key = '{segment_key}'
    """)


# ── What lasts ────────────────────────────────────────────────────────────────────────────────


def test_two_recomputations_in_a_row_change_nothing(told: Told) -> None:
    before, after = told.first.marts(), told.repeated.marts()
    assert {name: rows for name, rows in before.items() if not rows}.keys() <= {"segment_health"}
    assert after == before


def test_manual_members_survive_a_full_refresh(told: Told) -> None:
    assert told.refreshed.members("vip_by_hand") == {"gold", "quiet"}
    assert told.refreshed.marts() == told.second.marts()


@pytest.mark.deep
def test_a_manual_member_survives_thirty_daily_runs(told: Told, tmp_path: Path) -> None:
    """Each day somebody buys something and the day is built, published and done."""
    warehouse = told.second.warehouse.copy_to(tmp_path / "daily")
    for day in range(2, 32):
        loaded_at = FIRST_LOAD + timedelta(days=day)
        yesterday = f"{loaded_at - timedelta(days=1):%Y-%m-%d}"
        warehouse.publish()
        warehouse.load(events=bought("fresh", yesterday, 1, 5), loaded_at=str(loaded_at))
        warehouse.build()
    daily = Stage(warehouse)
    assert daily.spells("vip_by_hand", "gold") == [(date(2024, 11, 8), None, "manual")]
    assert daily.members("super_regulars") == {"fresh"}
    warehouse.build("--full-refresh")
    assert daily.spells("vip_by_hand", "gold") == [(date(2024, 11, 8), None, "manual")]
