"""`warehouse verify`: silent where the marts are what the raw tables say, and outspoken where one row is not.

Each verification costs some 10 s, most of them dbt's start.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest
from real_warehouse import Warehouse
from small_warehouse import SmallWarehouse

from orchestration import ledger, load, verify
from orchestration.home import Home, incremental_checksum, known_event_types, project_checksum
from orchestration.parameters import MODELS_STEP
from orchestration.sample_data import write_ten_customers
from orchestration.verify import checking, scratch

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from dbt.contracts.graph.manifest import Manifest

pytestmark = pytest.mark.deep

AS_OF = date(2024, 6, 15)
ALL_DATES = "1000"
"""A sample that holds every tenant and date of ten customers."""

LATE_FILE = """user_id,id,customer_id,event_type,event_value,event_properties,created_at
corner_cafe,late-1,ana,purchase,4.20,,2024-03-05 08:00:00
corner_cafe,late-2,ana,page_view,,,2024-03-06 01:30:00
corner_cafe,late-3,cleo,page_view,,,2024-01-07 12:00:00
corner_cafe,late-4,dan,refund,3.00,"{""order_id"": ""d2""}",2024-06-20 08:00:00
"""


@dataclass(frozen=True)
class Drift:
    """A row that is not as the raw tables say."""

    table: str
    plant: str
    found: str
    """The finding, as a pattern."""


ID = "id=[-0-9a-f]{36}"
PLACE = r"\(user_id=corner_cafe, (event|session)_date=\d{4}-\d\d-\d\d\)"
FIRST = "(select min(id) from {})"
DRIFTS = (
    Drift(
        "marts.customer_behavior_events",
        "delete from marts.customer_behavior_events where source_event_id = 'late-1'",
        rf"{ID} \(user_id=corner_cafe, event_date=2024-03-05\): only in the rebuild",
    ),
    Drift(
        "marts.customer_daily",
        "update marts.customer_daily set gross_amount = gross_amount + 1, page_view_count = 9 "
        "where customer_id = 'ana' and event_date = '2024-03-05'",
        "user_id=corner_cafe, customer_id=ana, event_date=2024-03-05: differs in page_view_count, gross_amount",
    ),
    Drift(
        "marts.event_completeness",
        "insert into marts.event_completeness by name select * replace ('planted' as event_type) "
        "from marts.event_completeness where event_date = '2024-01-07' and column_name = 'browser'",
        r"user_id=corner_cafe, event_date=2024-01-07, event_type=planted, column_name=browser: "
        r"only in the working marts",
    ),
    Drift(
        "intermediate.int_sessions",
        "update intermediate.int_sessions set landing_page = 'https://elsewhere.example/' where id = "
        + FIRST.format("intermediate.int_sessions"),
        rf"{ID} {PLACE}: differs in landing_page",
    ),
    Drift(
        "marts.order_lines",
        "insert into marts.order_lines from marts.order_lines where id = " + FIRST.format("marts.order_lines"),
        rf"{ID} {PLACE}: 2 rows in the working marts, 1 in the rebuild",
    ),
    Drift(
        "marts.refunds",
        "delete from marts.refunds where id = " + FIRST.format("marts.refunds"),
        rf"{ID} {PLACE}: only in the rebuild",
    ),
)
MEMBERSHIP = Drift(
    "intermediate.int_segment_changes",
    "delete from intermediate.int_segment_changes where segment_key = 'email_subscribers' and customer_id = 'ana'",
    r"user_id=corner_cafe, customer_id=ana, segment_key=email_subscribers, change_date=\d{4}-\d\d-\d\d: "
    r"only in the rebuild",
)
"""What hangs on all dates before: a sample cannot tell."""


def land(warehouse: SmallWarehouse, run_id: str, *arguments: str) -> None:
    """Do what a run does to the working database: load what is new, build, record."""
    home, began = Home(warehouse.home), ledger.utc_now()
    with home.connect() as con:
        load.create_raw_tables(con)
        load.load_new_files(
            con,
            home.raw,
            run_id=run_id,
            loaded_at=began,
            known_event_types=known_event_types(),
            docs_dir=home.docs,
            on_progress=lambda _: None,
        )
    warehouse.build(*arguments)
    warehouse.publish()
    checksum = incremental_checksum(warehouse.manifest.writable_manifest().to_dict(omit_none=False))
    models = ledger.Step(run_id, MODELS_STEP, "models", "success", started_at=began, code_checksum=checksum)
    run = ledger.Step(run_id, "run", "run", "success", started_at=began, code_checksum=project_checksum())
    with home.connect() as con:
        ledger.record(con, [models, run])


@pytest.fixture(scope="module")
def settled(dbt_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> SmallWarehouse:
    """Return the warehouse of ten customers after a first run and one with a late file. Two builds in this process."""
    warehouse = SmallWarehouse(tmp_path_factory.mktemp("settled"), dbt_manifest)
    Warehouse(warehouse.home).run("init")
    home = Home(warehouse.home)
    write_ten_customers(home.raw)
    land(warehouse, "first")
    (home.raw / "events" / "corner_cafe" / "late.csv").write_text(LATE_FILE)
    land(warehouse, "second")
    (home.path / "published" / "releases" / "r1").mkdir(parents=True)
    (home.path / "published" / "releases" / "r1" / "release.json").write_text("{}")
    (home.path / "published" / "current").symlink_to("releases/r1")
    return warehouse


@pytest.fixture
def copied(settled: SmallWarehouse, tmp_path: Path) -> SmallWarehouse:
    """Return a copy of the settled warehouse that the test may spoil."""
    shutil.copytree(settled.home, tmp_path / "home", symlinks=True)
    return SmallWarehouse(tmp_path / "home", settled.manifest)


def contents(home: Path) -> dict[str, Any]:
    """Return what a verification must leave alone: every table but the run ledger row by row, every published byte."""
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as con:
        tables = con.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        rows = {table: con.execute(f"from {table}").fetchall() for (table,) in tables if table != "raw.run_ledger"}
    files = [path for path in (home / "published").rglob("*") if path.is_file()]
    return rows | {str(path): hashlib.sha256(path.read_bytes()).digest() for path in files}


def outcomes(output: str) -> dict[str, str]:
    """Return the word behind each table's rows."""
    return dict(re.findall(r"^(\w+) +[\d,]+ rows  (equal|DIFFERS)", output, flags=re.MULTILINE))


def verifications(warehouse: SmallWarehouse) -> list[tuple]:
    """Return what the run ledger knows of verifications."""
    return warehouse.query("select status, message from raw.run_ledger where step = 'verify' order by started_at")


def test_the_late_file_came_in_a_run_that_replaced_dates(settled: SmallWarehouse) -> None:
    assert settled.query("select count(*) from raw.load_ledger where feed = 'events'") == [(2,)]
    assert 0 < settled.query("select count(distinct event_date) from intermediate.int_touched_dates")[0][0] < 10


def test_late_events_and_a_day_given_by_hand_equal_a_rebuild(copied: SmallWarehouse) -> None:
    copied.build("--vars", f"as_of_date: {AS_OF}")
    (copied.home / "tmp" / "verify").mkdir()
    (copied.home / "tmp" / "verify" / "warehouse.duckdb").write_text("left by a verification that was killed")
    before = contents(copied.home)
    output = Warehouse(copied.home).run("verify")
    found = outcomes(output)
    assert f"as of {AS_OF}" in output
    assert set(found.values()) == {"equal"}
    assert {"int_sessions", "sessions", "customer_contacts", "customer_segments", "load_ledger", "data_as_of"} <= set(
        found
    )
    assert contents(copied.home) == before
    assert not (copied.home / "tmp" / "verify").exists()
    assert verifications(copied) == [("success", f"everything: {len(found)} tables equal a rebuild")]
    assert f"{len(found)} tables equal" in verify.last_verification(Home(copied.home))
    with copied.connect() as con:
        assert ledger.last_checksum(con, "run") == project_checksum()
        assert not ledger.is_unpublished(con, MODELS_STEP)


def test_a_row_that_drifted_is_found_by_a_rebuild(copied: SmallWarehouse) -> None:
    drifts = (*DRIFTS, MEMBERSHIP)
    copied.execute(*(drift.plant for drift in drifts))
    before = contents(copied.home)
    output = Warehouse(copied.home).run("verify", expect=1)
    differing = {table for table, word in outcomes(output).items() if word == "DIFFERS"}
    # The mart sessions is a view of the drifted one; nothing else was rebuilt since.
    assert differing == {drift.table.partition(".")[2] for drift in drifts} | {"sessions"}
    assert_found(output, drifts)
    assert contents(copied.home) == before
    assert not (copied.home / "tmp" / "verify").exists()
    [(status, message)] = verifications(copied)
    assert status == "error"
    assert "8 of" in message


def test_a_sample_finds_no_drift_where_there_is_none(
    copied: SmallWarehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checking, "_record", lambda *_: None)
    before = copied.database.read_bytes()
    verify.verify(Home(copied.home), run_id="sample", sample=int(ALL_DATES), seed=1)
    output = capsys.readouterr().out
    assert copied.database.read_bytes() == before, "but for the ledger's step, nothing is written"
    assert outcomes(output) == {drift.table.partition(".")[2]: "equal" for drift in DRIFTS}
    assert "of seed 1" in output
    # All dates are drawn: every row is compared, sessions of the last day included.
    rows = dict(re.findall(r"^(\w+) +([\d,]+) rows", output, flags=re.MULTILINE))
    for drift in DRIFTS:
        (count,) = copied.query(f"select count(*) from {drift.table}")[0]
        assert rows[drift.table.partition(".")[2]] == f"{count:,}"


def test_a_row_that_drifted_is_found_by_a_sample(copied: SmallWarehouse) -> None:
    copied.execute(*(drift.plant for drift in (*DRIFTS, MEMBERSHIP)))
    before = contents(copied.home)
    output = Warehouse(copied.home).run("verify", "--sample", ALL_DATES, expect=1)
    assert outcomes(output) == {drift.table.partition(".")[2]: "DIFFERS" for drift in DRIFTS}
    assert_found(output, DRIFTS)
    assert contents(copied.home) == before
    assert not (copied.home / "tmp" / "verify").exists()


def assert_found(output: str, drifts: tuple[Drift, ...]) -> None:
    """Every planted drift is named with its key below its table."""
    for drift in drifts:
        table = drift.table.partition(".")[2]
        assert re.search(rf"^{table} .* DIFFERS in 1 keys .*\n  ({drift.found})$", output, flags=re.MULTILINE), output


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("update raw.load_ledger set state = 'pending' where load_id = 1", "wait for publication"),
        (
            "insert into raw.recompute_requests by name select 1 as request_id, 'pending' as state",
            "1 requests to recompute dates",
        ),
        ("update raw.run_ledger set code_checksum = 'older' where step = 'run'", "models, macros or seeds changed"),
        (
            "insert into raw.run_ledger by name select 'third' as run_id, 'models' as step, '2100-01-01' as started_at",
            "has not been published",
        ),
        ("delete from raw.run_ledger", "nothing is published yet"),
    ],
)
def test_what_a_run_would_still_change_is_not_verified(copied: SmallWarehouse, spoil: str, reason: str) -> None:
    copied.execute(spoil)
    with pytest.raises(verify.VerifyError, match=rf"{reason}.*`warehouse run` first"):
        verify.verify(Home(copied.home), run_id="refused")
    assert verifications(copied) == []


def test_a_warehouse_without_events_has_nothing_to_sample(copied: SmallWarehouse) -> None:
    copied.execute("delete from raw.events", *(f"delete from {drift.table}" for drift in DRIFTS))
    assert verify.verify(Home(copied.home), run_id="empty", sample=20).drifted == []


def test_an_empty_home_is_told_to_run_first(tmp_path: Path) -> None:
    output = Warehouse(tmp_path).run("verify", expect=1)
    assert "`warehouse run` first" in output


def test_scratch_goes_also_when_dbt_cannot_build(copied: SmallWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "DBT", shutil.which("false"))
    with pytest.raises(verify.RebuildError, match=r"verify\.log"):
        verify.verify(Home(copied.home), run_id="broken")
    assert not (copied.home / "tmp" / "verify").exists()
    [(status, message)] = verifications(copied)
    assert status == "error"
    assert message in verify.last_verification(Home(copied.home))


def test_scratch_goes_also_when_somebody_stops_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch.scratch_folder(Home(tmp_path)):
        raise KeyboardInterrupt
    assert not (tmp_path / "tmp" / "verify").exists()
