"""Look-alikes of a published segment: what its rules use is no feature, what was chosen is recorded."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from segment_release import AS_OF, RELEASE_ID, SegmentRelease, raw_records
from small_warehouse import PROJECT_DIR

from orchestration import load
from orchestration.cli import Warehouse
from orchestration.home import Home
from orchestration.segments.actions import Act, ActionError
from orchestration.segments.lookalikes import (
    FAMILIES,
    FAMILIES_OF_EVENTS,
    attributes_of,
    find_and_write,
    lookalike,
    relatives_of,
)

if TYPE_CHECKING:
    from pathlib import Path

ACT = Act("20241110T093000Z-0a1b2c3d", "Ines", datetime(2024, 11, 10, 9, 30, tzinfo=UTC))
MEMBERS, ALIKE, OTHERS = 150, 50, 500
COUNT = MEMBERS + ALIKE + OTHERS


def customers() -> pd.DataFrame:
    """Return customers of whom the first are members by their orders, the next resemble them in other ways."""
    chance = np.random.default_rng(3)
    place = np.arange(COUNT)
    is_member, is_like = place < MEMBERS, place < MEMBERS + ALIKE
    return pd.DataFrame(
        {
            "user_id": "shop",
            "customer_id": [f"c{number:04}" for number in place],
            "order_count": np.where(is_member, 10, 1),
            "visit_count": np.where(is_member, 9, 1),
            "total_spent": np.where(is_member, 900.0, 30.0),
            "page_view_count": np.where(is_like, chance.normal(40, 8, COUNT), chance.normal(15, 8, COUNT)).round(),
            "email_opt_in": pd.array(chance.random(COUNT) < np.where(is_like, 0.9, 0.3), dtype="boolean"),
            "favourite_category": np.where(chance.random(COUNT) < np.where(is_like, 0.8, 0.1), "wine", "bread"),
            "age": np.where(is_like, 60, 20),
            "distance_km": np.where(is_like, 1.0, 9.0),
            "birth_date": date(1987, 6, 5),
        }
    )


@pytest.fixture
def release(tmp_path: Path) -> SegmentRelease:
    release = SegmentRelease(tmp_path / "home")
    frame = customers()
    members = list(frame["customer_id"][:MEMBERS])
    rules = {"all": [{"field": "order_count", "operator": ">=", "value": 5}]}
    release.add_segment("regulars", members, criteria=rules, left=(frame["customer_id"][MEMBERS],))
    release.add_segment("few", members[:99])
    release.add_segment("by lot", list(np.random.default_rng(1).choice(frame["customer_id"], 200, replace=False)))
    other = frame.assign(user_id="bank")
    release.attributes = pd.concat([frame, other]).sample(frac=1, random_state=1)
    return release


def chosen(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_planted_lookalikes_are_found_without_what_the_rules_use(release: SegmentRelease) -> None:
    found = find_and_write(Home(release.write().home), "regulars", ALIKE, ACT)
    # Neither the rule's attribute, its relatives, what is personal, nor a column without two values.
    assert found.lookalikes.features == ("email_opt_in", "favourite_category", "page_view_count")
    assert found.lookalikes.non_member_count == ALIKE + OTHERS
    rows = chosen(found.file)
    numbers = [int(row["customer_id"][1:]) for row in rows]
    assert min(numbers) >= MEMBERS
    # By what is left they overlap with the others: most are found, not all.
    assert sum(number < MEMBERS + ALIKE for number in numbers) >= 0.6 * ALIKE
    assert [int(row["rank"]) for row in rows] == list(range(1, ALIKE + 1))


def test_manifest_and_record_say_what_was_done(release: SegmentRelease) -> None:
    home = Home(release.write().home)
    found = find_and_write(home, "regulars", 3, ACT)
    manifest = json.loads(found.manifest.read_text("utf-8"))
    assert {name: manifest[name] for name in ("segment_key", "user_id", "release_id", "as_of_date", "actor")} == {
        "segment_key": "regulars",
        "user_id": "shop",
        "release_id": RELEASE_ID,
        "as_of_date": AS_OF.isoformat(),
        "actor": "Ines",
    }
    assert (manifest["member_count"], manifest["lookalike_count"]) == (MEMBERS, 3)
    assert {"order_count", "visit_count", "total_spent"} <= set(manifest["left_out"])
    assert manifest["auc"] == round(found.lookalikes.auc, 4) > 0.6
    assert manifest["sha256"] == hashlib.sha256(found.file.read_bytes()).hexdigest()
    assert {stat.S_IMODE(file.stat().st_mode) for file in (found.file, found.manifest)} == {0o600}
    records = raw_records(home.path, "segment_lookalikes")
    assert [record["customer_id"] for record in records] == [row["customer_id"] for row in chosen(found.file)]
    assert {record["lookalike_id"] for record in records} == {ACT.act_id}


def test_next_run_loads_the_chosen_customers(release: SegmentRelease) -> None:
    home = Home(release.write().home)
    found = find_and_write(home, "regulars", 3, ACT)
    with duckdb.connect() as con:
        report = load.load_new_files(con, home.raw, run_id="run", loaded_at=datetime(2024, 11, 11, 3))  # noqa: DTZ001
        assert [(file.feed, file.kept_count) for file in report.files] == [("segment_lookalikes", 3)]
        assert con.execute("select * from raw.tenant_loads").fetchall() == []
        rows = con.execute("select customer_id, rank, auc from raw.segment_lookalikes order by rank").fetchall()
    auc = round(found.lookalikes.auc, 4)
    assert rows == [(row["customer_id"], float(row["rank"]), auc) for row in chosen(found.file)]


@pytest.mark.parametrize(
    ("segment", "size", "message"),
    [
        ("few", 10, "no look-alikes of few: 99 members are too few"),
        ("regulars", ALIKE + OTHERS + 1, "551 look-alikes are asked for: there are 550 customers outside"),
        ("by lot", 10, r"no look-alikes of by lot: members are not told from other customers .* AUC 0\.[45]"),
    ],
)
def test_what_cannot_be_told_is_refused_and_nothing_is_written(
    release: SegmentRelease, segment: str, size: int, message: str
) -> None:
    home = Home(release.write().home)
    with pytest.raises(ActionError, match=message):
        find_and_write(home, segment, size, ACT)
    assert not (home.path / "exports").exists()
    assert raw_records(home.path, "segment_lookalikes") == []


def test_release_without_attributes_says_what_to_do(release: SegmentRelease) -> None:
    release.attributes = None
    with pytest.raises(ActionError, match="the current release has no customer_attributes: `warehouse run`"):
        find_and_write(Home(release.write().home), "regulars", 3, ACT)


def test_command_tells_what_it_did(release: SegmentRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_HOME", str(release.write().home))
    group = Warehouse(commands={"lookalike": lookalike})
    result = CliRunner().invoke(group, ["lookalike", "regulars", "--size", "5"])
    assert result.exit_code == 0, result.output
    assert f"5 of {ALIKE + OTHERS} other customers in " in result.output
    assert f"learned from {MEMBERS} members, AUC 0." in result.output
    refused = CliRunner().invoke(group, ["lookalike", "few", "--size", "5"])
    assert (refused.exit_code, "99 members are too few" in refused.output) == (1, True)


# ── What the rules use ────────────────────────────────────────────────────────────────────────


def rule(field: str, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a rule
    return {"field": field, "operator": ">=", "value": 1} | parts


@pytest.mark.parametrize(
    ("criteria", "used", "free"),
    [
        ({}, set(), {"order_count", "page_view_count"}),
        ({"all": [rule("order_count")]}, {"order_count", "visit_count", "total_spent"}, {"page_view_count"}),
        (
            {"any": [{"all": [rule("email_open_rate")]}, {"all": [rule("city"), rule("loyalty_tier")]}]},
            {"email_open_rate", "email_open_count", "city", "country", "loyalty_tier", "loyalty_points"},
            {"order_count", "tags"},
        ),
        ({"all": [rule("rfm_segment")]}, {"recency_score", "monetary_score", "total_spent"}, {"city"}),
        (
            {"all": [rule("event_count", subject="purchase", match_key="category", match_value="wine")]},
            {"order_count", "total_spent", "favourite_category", "event_count_to_date"},
            {"favourite_brand", "page_view_count"},
        ),
        (
            {"all": [rule("event_days", subject="email_click")]},
            {"email_click_count", "email_open_rate"},
            {"order_count"},
        ),
        ({"all": [rule("joined_segment", subject="regulars")]}, {"visit_count"}, {"page_view_count"}),
        ({"all": [rule("a field of tomorrow")]}, {"a field of tomorrow"}, {"order_count"}),
    ],
)
def test_rules_use_attributes_and_their_relatives(criteria: dict[str, Any], used: set[str], free: set[str]) -> None:
    found = attributes_of(criteria, {"regulars": {"all": [rule("order_count")]}})
    assert used <= found
    assert not free & found


def test_relatives_are_mutual() -> None:
    attributes = frozenset().union(*FAMILIES.values())
    assert [(a, b) for a in attributes for b in relatives_of(a) if a not in relatives_of(b)] == []


def test_families_are_named_for_known_event_types() -> None:
    with (PROJECT_DIR / "seeds" / "events" / "event_types.csv").open(encoding="utf-8", newline="") as file:
        known = {row["event_type"] for row in csv.DictReader(file)}
    assert set(FAMILIES_OF_EVENTS) <= known
    assert {name for names in FAMILIES_OF_EVENTS.values() for name in names} <= FAMILIES.keys()
