"""Exports of a segment's members, from a release made by hand."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import stat
import zipfile
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click import UsageError
from click.testing import CliRunner
from segment_release import AS_OF, RELEASE_ID, SegmentRelease, raw_records

from orchestration import load
from orchestration.cli import Warehouse
from orchestration.home import Home
from orchestration.release import ReleaseError
from orchestration.segments import exports
from orchestration.segments.actions import Act, ActionError
from orchestration.segments.exports import (
    Channel,
    Exported,
    Format,
    Wish,
    export,
    export_segment,
    normalized_email,
    normalized_phone,
)

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2024, 11, 10, 9, 30, tzinfo=UTC)
ACT = Act("20241110T093000Z-0a1b2c3d", "Ines", AT)
FORMATS: tuple[Format, ...] = ("csv", "parquet", "xlsx", "jsonl")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home whose release has a segment of seven members, each of whom consents to something else."""
    release = SegmentRelease(tmp_path / "home")
    members = ["ana", "ben", "cleo", "dan", "eva", "finn", "gia"]
    release.add_segment("lapsing", members, action="Send a voucher", left=("gone",))
    release.add_segment("pushed", ["ana"], channel="push")
    release.add_segment("shared", ["ana"])
    release.add_segment("shared", ["zoe"], user_id="bank")
    release.add_segment("lapsing twice", ["ana"])
    both = {"email_opt_in": True, "sms_opt_in": True}
    release.add_contact("ana", email=" Ana@Example.org ", phone="+49 30 123456", name="Ana", **both)
    release.add_contact("ben", email="ben@example.org", phone="030 123456", name="Ben", sms_opt_in=True)
    release.add_contact("cleo", email="cleo@example.org", phone="+1 (212) 555-0100", name="Cleo", email_opt_in=True)
    release.add_contact("dan", email=None, phone=None, name="Dan", **both)
    release.add_contact("eva", email="not an address", phone="unknown", name="Eva", **both)
    release.add_contact("finn", email="finn@example.org", phone="+4930999999", name="Finn")
    release.add_contact("gone", email="gone@example.org", phone="+4930999999", **both)
    release.add_contact("ana", user_id="bank", email="other.ana@example.org", **both)
    release.add_contact("zoe", user_id="bank", email="zoe@example.org", **both)
    return Home(release.write().home)


def exported(home: Home, segment: str = "lapsing", file_format: Format = "jsonl", **wishes: Any) -> Exported:  # noqa: ANN401
    return export_segment(home, Wish(segment, file_format, **wishes), ACT)


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Return the rows of an export in any format, each value as text."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    if file.suffix == ".parquet":
        with duckdb.connect() as con:
            result = con.execute("select columns(*)::varchar from read_parquet($file)", {"file": str(file)})
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return _rows_of_xlsx(file)


def _rows_of_xlsx(file: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(file) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    rows = [
        [text.replace("&amp;", "&") for text in re.findall(r"<t[^>]*>([^<]*)</t>|<c [^>]*/>", row)]
        for row in re.findall(r"<row [^>]*>(.*?)</row>", sheet, flags=re.DOTALL)
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


# ── Who ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channel", "customers", "without_consent", "without_contact"),
    [
        ("email", ["ana", "cleo"], 3, 2),  # ben, finn and gia did not opt in; dan and eva have no address
        ("sms", ["ana", "ben"], 3, 2),
        ("any", ["ana", "ben", "cleo"], 2, 2),
        (None, ["ana", "cleo"], 3, 2),  # the segment's own channel is email
    ],
)
def test_only_who_consents_to_the_channel_is_exported(
    home: Home, channel: Channel | None, customers: list[str], without_consent: int, without_contact: int
) -> None:
    done = exported(home, channel=channel)
    assert [row["customer_id"] for row in rows_of(done.file)] == customers
    counts = done.counts
    assert counts.member_count == 7
    assert (counts.without_consent_count, counts.without_contact_count) == (without_consent, without_contact)
    assert counts.exported_count + without_consent + without_contact == counts.member_count


def test_contact_that_was_not_consented_to_is_not_in_the_file(home: Home) -> None:
    by_email = rows_of(exported(home, channel="email").file)
    assert by_email[0] == {
        "customer_id": "ana",
        "name": "Ana",
        "email": "Ana@Example.org",
        "joined_date": "2024-09-01",
    }
    by_any = {row["customer_id"]: row for row in rows_of(exported(home, channel="any").file)}
    assert (by_any["ben"]["email"], by_any["ben"]["phone"]) == (None, "030 123456")
    assert (by_any["cleo"]["email"], by_any["cleo"]["phone"]) == ("cleo@example.org", None)


def test_tenants_do_not_mix(home: Home) -> None:
    with pytest.raises(UsageError, match="exists for the tenants bank, shop: say which with --tenant"):
        exported(home, "shared")
    assert rows_of(exported(home, "shared", tenant="bank").file)[0]["email"] == "zoe@example.org"
    assert rows_of(exported(home, "shared", tenant="shop").file)[0]["email"] == "Ana@Example.org"


def test_unknown_segment_is_answered_with_those_that_are_near(home: Home) -> None:
    with pytest.raises(UsageError, match="no segment 'lapsin': there are lapsing, lapsing twice"):
        exported(home, "lapsin")


def test_channel_that_keeps_no_consent_must_be_replaced(home: Home) -> None:
    with pytest.raises(UsageError, match=r"--channel \(email, sms, any\).* its own channel is push"):
        exported(home, "pushed")
    assert exported(home, "pushed", channel="sms").counts.exported_count == 1


# ── Hashes ────────────────────────────────────────────────────────────────────────────────────


def test_hashed_export_holds_no_clear_contact_and_no_key(home: Home) -> None:
    done = exported(home, channel="any", is_hashed=True)

    def sha256(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    assert rows_of(done.file) == [
        {
            "email_sha256": sha256("ana@example.org"),
            "phone_e164_sha256": sha256("+4930123456"),
            "phone_digits_sha256": sha256("4930123456"),
        },
        {"email_sha256": sha256("cleo@example.org"), "phone_e164_sha256": None, "phone_digits_sha256": None},
    ]
    # Ben agreed to text messages only, and his number has no country code.
    assert done.counts.without_contact_count == 3
    text = done.file.read_text("utf-8").lower() + done.manifest.read_text("utf-8").lower()
    assert not [word for word in ("example.org", "123456", "cleo", '"ana"') if word in text]
    assert "no country code" in json.loads(done.manifest.read_text("utf-8"))["phone_rule"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 30 123456", "+4930123456"),
        ("0049 30 123456", "+4930123456"),
        ("+49 (0)30 12-34.56", "+4930123456"),
        (" +1 (212) 555-0100 ", "+12125550100"),
        ("+1/212/5550100", "+12125550100"),
        ("030 123456", None),
        ("49 30 123456", None),
        ("+0 30 123456", None),
        ("+49 30", None),
        ("+1234567890123456", None),
        ("+49 30 123456 ext. 7", None),
        ("+49 30 +123456", None),
        ("", None),
        (None, None),
    ],
)
def test_phone_numbers_are_normalized_or_left_out(text: str | None, number: str | None) -> None:
    assert normalized_phone(text) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [(" Ana@Example.ORG\n", "ana@example.org"), ("ana", None), ("a b@c", None), ("", None), (None, None)],
)
def test_addresses_are_normalized_or_left_out(text: str | None, address: str | None) -> None:
    assert normalized_email(text) == address


# ── How many ──────────────────────────────────────────────────────────────────────────────────


def test_more_than_ten_thousand_are_refused_unless_all_are_wanted(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert exports.MOST_ROWS == 10_000
    monkeypatch.setattr(exports, "MOST_ROWS", 2)
    with pytest.raises(ActionError, match=r"3 customers would be exported, more than 2: say --all"):
        exported(home, channel="any", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert raw_records(home.path, "segment_exports") == []
    assert exported(home, channel="email").counts.exported_count == 2
    done = exported(home, channel="any", is_all=True)
    assert json.loads(done.manifest.read_text("utf-8"))["is_all"] is True


def test_ten_thousand_and_one_are_refused(tmp_path: Path) -> None:
    release = SegmentRelease(tmp_path)
    customers = [f"c{number:05}" for number in range(10_001)]
    release.add_segment("large", customers)
    for customer_id in customers:
        release.add_contact(customer_id, email=f"{customer_id}@example.org", email_opt_in=True)
    home = Home(release.write().home)
    with pytest.raises(ActionError, match="10,001 customers"):
        exported(home, "large")
    assert len(rows_of(exported(home, "large", "csv", is_all=True).file)) == 10_001


def test_more_rows_than_a_sheet_has_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_XLSX_ROWS", 1)
    with pytest.raises(ActionError, match="2 customers are more than a sheet's 1: choose another --format"):
        exported(home, file_format="xlsx")


# ── Files ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_holds_the_same_members(home: Home, file_format: Format) -> None:
    rows = rows_of(exported(home, file_format=file_format).file)
    assert rows == rows_of(exported(home, file_format="jsonl").file)


@pytest.mark.parametrize("file_format", FORMATS)
def test_export_without_members_has_its_columns(tmp_path: Path, file_format: Format) -> None:
    release = SegmentRelease(tmp_path)
    release.add_segment("empty", [])
    done = exported(Home(release.write().home), "empty", file_format)
    assert rows_of(done.file) == []
    assert done.counts.member_count == 0


def test_parquet_has_texts_and_dates(home: Home) -> None:
    file = exported(home, file_format="parquet", channel="any").file
    with duckdb.connect() as con:
        described = con.execute("describe select * from read_parquet($file)", {"file": str(file)}).fetchall()
    types = {name: sql_type for name, sql_type, *_ in described}
    assert types == dict.fromkeys(("customer_id", "name", "email", "phone"), "VARCHAR") | {"joined_date": "DATE"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_formulas_are_not_run_by_a_spreadsheet(tmp_path: Path, start: str, file_format: Format) -> None:
    release = SegmentRelease(tmp_path)
    formula = f"{start}HYPERLINK(A1)"
    release.add_segment("hostile", [formula], channel="any")
    release.add_contact(
        formula, name=formula, email="=x@example.org", phone="+49 30 1", email_opt_in=True, sms_opt_in=True
    )
    home = Home(release.write().home)
    (row,) = rows_of(exported(home, "hostile", file_format).file)
    if file_format == "csv":
        assert row["customer_id"] == row["name"] == f"'{formula}"
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for value in row.values())
    assert (row["email"], row["phone"]) == ("'=x@example.org", "'+49 30 1")


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_numbers_stay_usable_where_no_spreadsheet_reads(home: Home, file_format: Format) -> None:
    assert rows_of(exported(home, file_format=file_format, channel="sms").file)[0]["phone"] == "+49 30 123456"


def test_manifest_says_what_was_exported(home: Home) -> None:
    done = exported(home, file_format="csv")
    manifest = json.loads(done.manifest.read_text("utf-8"))
    assert manifest == {
        "segment_key": "lapsing",
        "segment_name": "Lapsing",
        "segment_id": manifest["segment_id"],
        "user_id": "shop",
        "release_id": RELEASE_ID,
        "as_of_date": AS_OF.isoformat(),
        "export_id": ACT.act_id,
        "exported_at": "2024-11-10T09:30:00Z",
        "actor": "Ines",
        "file_name": done.file.name,
        "format": "csv",
        "channel": "email",
        "is_hashed": False,
        "is_all": False,
        "member_count": 7,
        "exported_count": 2,
        "without_consent_count": 3,
        "without_contact_count": 2,
        "recommended_action": "Send a voucher",
        "sha256": hashlib.sha256(done.file.read_bytes()).hexdigest(),
    }
    assert raw_records(home.path, "segment_exports") == [manifest]


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_are_private_and_nothing_half_written_stays(home: Home, tmp_path: Path, file_format: Format) -> None:
    done = exported(home, file_format=file_format, folder=tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {done.file.name, done.manifest.name}
    audit = home.path / "raw" / "segment_exports"
    assert [file.name for file in audit.iterdir()] == [f"{ACT.act_id}.jsonl"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in (done.file, done.manifest, *audit.iterdir())} == {0o600}


def test_files_go_to_the_exports_folder_by_default(home: Home) -> None:
    done = exported(home)
    assert done.file.parent == done.manifest.parent == home.path / "exports"
    assert stat.S_IMODE(done.file.parent.stat().st_mode) == 0o700


def test_export_that_cannot_be_recorded_does_not_happen(home: Home, tmp_path: Path) -> None:
    (home.path / "raw").mkdir()
    (home.path / "raw" / "segment_exports").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="segment_exports"):
        exported(home, folder=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_working_database_is_not_needed(home: Home) -> None:
    """A run may hold it."""
    exported(home)
    assert not home.database.exists()


@pytest.mark.parametrize("actor", ["ines@example.org", " "])
def test_actor_is_a_name(actor: str) -> None:
    with pytest.raises(ActionError, match="write a name or an account"):
        Act.now(actor)


def test_release_without_segments_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nothing has been published yet"):
        exported(Home(tmp_path))
    release = SegmentRelease(tmp_path)
    release.add_segment("lapsing", [])
    folder = release.write().home / "published" / "current"
    with duckdb.connect(folder / "analytics.duckdb") as con:
        con.execute("drop table marts.segment_members")
    with pytest.raises(ActionError, match="the current release has no segment_members: `warehouse run`"):
        exported(Home(tmp_path))


# ── Command ───────────────────────────────────────────────────────────────────────────────────


def test_command_tells_what_it_did(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_HOME", str(home.path))
    group = Warehouse(commands={"export": export})
    result = CliRunner().invoke(group, ["export", "lapsing", "--format", "csv", "--channel", "any"])
    assert result.exit_code == 0, result.output
    assert "3 of 7 members in " in result.output
    assert "2 without consent, 2 without a usable contact" in result.output
    assert "recommended: Send a voucher" in result.output
    wrong = CliRunner().invoke(group, ["export", "nobody", "--format", "csv"])
    assert (wrong.exit_code, "has no segment 'nobody'" in wrong.output) == (2, True)
    monkeypatch.setattr(exports, "MOST_ROWS", 1)
    refused = CliRunner().invoke(group, ["export", "lapsing", "--format", "csv"])
    assert (refused.exit_code, "say --all" in refused.output) == (1, True)


# ── Audit ─────────────────────────────────────────────────────────────────────────────────────


def loaded(home: Home) -> tuple[load.LoadReport, duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    return load.load_new_files(con, home.raw, run_id="run", loaded_at=datetime(2024, 11, 11, 3)), con  # noqa: DTZ001


def test_next_run_loads_the_record_of_an_export(home: Home) -> None:
    done = exported(home)
    report, con = loaded(home)
    assert [(file.feed, file.state, file.kept_count) for file in report.files] == [("segment_exports", "pending", 1)]
    assert report.warnings == ()
    columns = "user_id, export_id, segment_key, release_id, as_of_date, actor, exported_count, is_hashed, updated_at"
    assert con.execute(f"select {columns} from raw.segment_exports").fetchall() == [
        ("shop", ACT.act_id, "lapsing", RELEASE_ID, date(2024, 11, 9), "Ines", 2.0, False, AT.replace(tzinfo=None))
    ]
    assert con.execute("select file_name from raw.segment_exports").fetchone()[0] == done.file.name


def test_record_of_an_export_makes_no_tenant_and_asks_for_no_date(home: Home) -> None:
    exported(home)
    _, con = loaded(home)
    assert con.execute("select * from raw.tenant_loads").fetchall() == []
    path = f"segment_exports/{ACT.act_id}.jsonl"
    load.withdraw(con, path, run_id="withdraw", loaded_at=datetime(2024, 11, 12))  # noqa: DTZ001
    assert con.execute("select count(*) from raw.segment_exports").fetchone() == (0,)
    assert con.execute("select * from raw.recompute_requests").fetchall() == []


def test_faulty_record_is_rejected_with_its_reason(home: Home) -> None:
    exported(home)
    (record,) = raw_records(home.path, "segment_exports")
    faults = [{"export_id": None}, {"as_of_date": "yesterday"}, {"exported_count": "many"}, {"is_all": "perhaps"}]
    rows = [record | {"export_id": str(number)} | fault for number, fault in enumerate(faults)]
    good = [record | {"export_id": f"good {number}", "as_of_date": "2024-11-12"} for number in range(4)]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, *good])
    (home.raw / "segment_exports" / "by_hand.jsonl").write_text(text)
    _, con = loaded(home)
    rules = con.execute("select rule from raw.rejected_rows order by record_number").fetchall()
    assert [rule for (rule,) in rules] == [
        "missing_export_id",
        "unreadable_date",
        "unreadable_number",
        "unreadable_boolean",
    ]
    assert con.execute("select count(*) from raw.segment_exports").fetchone() == (5,)
