"""Any number of runs, in any grouping, with late and repeated files, ends like one full refresh (DESIGN.md D3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from histories import (
    BACKFILLED_BEFORE,
    BACKFILLED_DATES,
    ROUNDS,
    SMALL_SEGMENTS,
    WITHDRAWN,
    all_files,
    change_only_definitions,
    differing_tenants,
    differs_from_full_refresh,
    draw_histories,
    explained,
    files_withdrawn_before,
    land,
    load_files,
    play,
)
from real_warehouse import Warehouse
from small_project import copy_project
from small_warehouse import SmallWarehouse, parse_project

if TYPE_CHECKING:
    from pathlib import Path


def check_histories(count: int, folder: Path) -> None:
    """Play histories round by round; compare with a full refresh, and with another landing order."""
    tenants = draw_histories(count)
    assert len(tenants) == count
    project = copy_project(folder / "project")
    manifest = parse_project(folder / "parse", project)
    played = SmallWarehouse(folder / "played", manifest, project).create()
    play(played, tenants)
    change_only_definitions(played)
    decided = {key for (key,) in played.query("select distinct segment_key from marts.segment_members")}
    assert decided >= {key.replace(" ", "_").lower() for key in SMALL_SEGMENTS} | {"late", "added"}
    found = differs_from_full_refresh(played)
    assert not found, explained(found, tenants)

    # Which of two contents of an event wins is a matter of order: such histories are left out.
    peaceful = {name: history for name, history in tenants.items() if not history.has_conflicts}
    assert len(peaceful) >= count / 4
    others = {name: history for name, history in tenants.items() if history.has_conflicts}
    at_once = SmallWarehouse(folder / "at_once", manifest, project).create()
    land(at_once.home / "raw", tenants, set(all_files()) - WITHDRAWN.keys())
    reverse_names(at_once.home / "raw")
    load_files(at_once, ROUNDS - 1)
    at_once.build()
    found = differing_tenants(played.database, at_once.database, ignoring_loads=True)
    found = {table: names - others.keys() for table, names in found.items() if names - others.keys()}
    assert not found, explained(found, tenants)


def reverse_names(raw: Path) -> None:
    """Name files so that the last comes first."""
    for feed in raw.iterdir():
        for path in list(feed.iterdir()):
            number, letter = path.stem
            path.rename(path.with_name(f"{9 - int(number)}{'cba'['abc'.index(letter)]}{path.stem}.csv"))


def test_fifty_histories_equal_a_full_refresh(tmp_path: Path) -> None:
    check_histories(50, tmp_path)


@pytest.mark.deep
def test_five_hundred_histories_equal_a_full_refresh(tmp_path: Path) -> None:
    check_histories(500, tmp_path)


@pytest.mark.deep
def test_three_histories_run_as_users_run_them(tmp_path: Path) -> None:
    """The same files and requests, each round by `warehouse run` in a process of its own; costs three minutes."""
    tenants = draw_histories(53)
    last_three = {name: tenants[name] for name in list(tenants)[50:]}
    warehouse = Warehouse(tmp_path / "home")
    for number in range(ROUNDS):
        for path in files_withdrawn_before(number, warehouse.raw):
            warehouse.run("load", "withdraw", path)
            (warehouse.raw / path).unlink()
        if number == BACKFILLED_BEFORE:
            first, last = map(str, BACKFILLED_DATES)
            warehouse.run("backfill", "--from", first, "--to", last)
        land(warehouse.raw, last_three, [(number, letter) for letter in "abc"])
        warehouse.run("run", "--accept-release")
    assert "tables equal a rebuild" in warehouse.run("verify")
    with warehouse.release() as con:
        published = {name for (name,) in con.execute("select user_id from marts.data_as_of").fetchall()}
    assert published == last_three.keys()
