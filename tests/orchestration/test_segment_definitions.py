"""Definitions are added, changed and retired on copies of the seeds: what does not hold is refused as a whole."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner
from small_warehouse import PROJECT_DIR

from orchestration import cli
from orchestration.release.records import GateRecord, Release
from orchestration.segments import commands, definitions
from orchestration.segments.catalogue import Catalogue, SegmentError, read_catalogue
from orchestration.segments.criteria import CriteriaError, Rule, parse_criteria
from orchestration.segments.definitions import (
    Definitions,
    Segment,
    add_segment,
    change_segment,
    read_definitions,
    read_rfm_segments,
    retire_segment,
    validate,
    write_definitions,
)

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

DAY = date(2024, 11, 9)
FILES = ("segments.csv", "segment_rules.csv")
HOSTILE = [
    "Robert'); drop table segments; --",
    'He said "no", twice',
    "=HYPERLINK(1)",
    "a, b; c\\d",
    "{{ run_query('select 1') }}",
    "🍷 Weinkenner*innen",
    "-1",
    "'",
    '"',
]


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Return a copy of the project's seeds."""
    return shutil.copytree(PROJECT_DIR / "seeds", tmp_path / "seeds")


def texts(seeds: Path) -> list[str]:
    return [(seeds / "segments" / name).read_text("utf-8") for name in FILES]


def add(seeds: Path, name: str = "Big Spenders", criteria: str | None = '{"minMonetary": 9}', **others: Any) -> Segment:  # noqa: ANN401 - any column
    return add_segment(seeds, **{"name": name, "segment_type": "custom", "since": DAY, "criteria": criteria, **others})


def refused(seeds: Path, words: str, act: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - any of ours
    """Expect one clear error, and not one byte changed."""
    before = texts(seeds)
    with pytest.raises(SegmentError, match=re.escape(words)) as error:
        act(seeds, *args, **kwargs)
    str(error.value).encode()
    assert texts(seeds) == before
    assert {path.name for path in (seeds / "segments").iterdir() if path.name.startswith(".")} == set()


# ── The seeds as they are shipped ─────────────────────────────────────────────────────────────


def test_shipped_definitions_hold_and_are_written_as_they_stand(seeds: Path) -> None:
    shipped = read_definitions(seeds)
    validate(shipped, read_catalogue(seeds), read_rfm_segments(seeds))
    assert {segment.segment_type for segment in shipped.segments} == set(definitions.SEGMENT_TYPES)
    before = texts(seeds)
    write_definitions(seeds, shipped)
    assert texts(seeds) == before


# ── Adding ────────────────────────────────────────────────────────────────────────────────────


def test_added_segment_stands_in_both_seeds_and_nothing_else_moves(seeds: Path) -> None:
    before = [set(text.splitlines()) for text in texts(seeds)]
    added = add(
        seeds,
        criteria='{"minMonetary": 1000, "loyaltyLevels": ["GOLD"]}',
        description="Who spends, a lot",
        owner="crm",
        channel="sms",
        recommended_action="Call",
        family="spend",
        tenant="shop",
        known_tenants=["shop"],
    )
    assert added.segment_key == "big_spenders"
    segment_lines, rule_lines = (set(text.splitlines()) - old for text, old in zip(texts(seeds), before, strict=True))
    assert segment_lines == {
        'big_spenders,2024-11-09,shop,Big Spenders,"Who spends, a lot",custom,true,spend,false,crm,true,Call,sms'
    }
    assert rule_lines == {
        "big_spenders,2024-11-09,1,1,total_spent,,>=,1000,,,,,",
        "big_spenders,2024-11-09,1,2,loyalty_tier,,in,GOLD,,,,,",
    }
    assert [old <= set(text.splitlines()) for text, old in zip(texts(seeds), before, strict=True)] == [True, True]


@pytest.mark.parametrize("criteria", [None, "{}"])
def test_manual_segments_have_no_rules(seeds: Path, criteria: str | None) -> None:
    rules = texts(seeds)[1]
    assert not add(seeds, criteria=criteria, is_manual=True).is_automatic
    assert texts(seeds)[1] == rules


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_come_back_as_they_were_also_from_the_warehouse(seeds: Path, text: str) -> None:
    """DuckDB reads the file itself, guessing what the quotes mean, when dbt loads a seed."""
    criteria = json.dumps({"all": [{"field": "city", "operator": "=", "value": text}]})
    add(seeds, name=text, key="hostile", criteria=criteria, description=text, owner=text, recommended_action=text)
    kept = read_definitions(seeds)
    segment = kept.latest()["hostile"]
    assert {segment.name, segment.description, segment.owner, segment.recommended_action} == {text}
    assert [rule.value for rule in kept.rules_of(segment)] == [text]
    for name, column in zip(FILES, ("description", "value"), strict=True):
        path = seeds / "segments" / name
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        with duckdb.connect() as con:
            con.execute(f"create table seed ({', '.join(f'{name} varchar' for name in header)})")
            con.execute(f"copy seed from '{path}' (format csv, header true, delimiter ',')")
            loaded = con.execute(f"select {column} from seed where segment_key = 'hostile'").fetchall()
            assert loaded == [(text,)]
            assert con.execute("select count(*) from seed where segment_key = ''").fetchall() == [(0,)]
            count = con.execute("select count(*) from seed").fetchall()[0][0]
        assert count == len(texts(seeds)[FILES.index(name)].splitlines()) - 1


@pytest.mark.parametrize("bad", ["a\x00b", "a\nb", "a\rb", "a\x1bb", "a\x7fb", "\ud800", "null", "x" * 2_000])
@pytest.mark.parametrize("column", ["name", "description", "family", "owner", "recommended_action", "tenant"])
def test_texts_that_no_seed_can_hold_are_refused(seeds: Path, column: str, bad: str) -> None:
    refused(seeds, " ", add, **{"key": "some_key", column: bad})


@pytest.mark.parametrize(
    ("words", "others"),
    [
        ("unknown type 'vip'; known are rfm", {"segment_type": "vip"}),
        ("unknown channel 'fax'; known are email", {"channel": "fax"}),
        ("there is no tenant 'shopp'; known are bank, shop", {"tenant": "shopp", "known_tenants": ["shop", "bank"]}),
        ("there is no tenant 'shop'; known are none", {"tenant": "shop", "known_tenants": []}),
        ("an automatic segment needs criteria", {"criteria": "{}"}),
        ("no valid JSON", {"criteria": None}),
        ("a manual segment has no criteria", {"is_manual": True}),
        ("known are recency_days", {"criteria": '{"minOrderz": 1}'}),
        ("name", {"name": " "}),
        ("segment at_risk (At-Risk) exists already", {"name": "AT risk!"}),
        ("segment at_risk (At-Risk) exists already", {"key": "at_risk"}),
        ("have the same name", {"name": "vip CUSTOMERS", "key": "other_key"}),
        ("makes no key: give one with --key", {"name": "顧客"}),
        ("makes no key: give one with --key", {"name": "3 orders"}),
        ("'A b' is no segment key", {"key": "A b"}),
        ("'' is no segment key", {"key": ""}),
        ("'a\\nb' is no segment key", {"key": "a\nb"}),
        ("holds since a day from", {"since": date(1999, 12, 31)}),
        ("holds since a day from", {"since": datetime.now(UTC).date() + timedelta(days=368)}),
        ("holds since a day from", {"since": date.max}),
        ("family rfm is exclusive", {"family": "rfm"}),
        (
            "'lost' is in rfm_lost and in big_spenders",
            {
                "family": "rfm",
                "criteria": '{"all": [{"field": "rfm_segment", "operator": "=", "value": "LOST"}]}',
            },
        ),
    ],
)
def test_what_does_not_hold_is_not_added(seeds: Path, words: str, others: dict[str, Any]) -> None:
    refused(seeds, words, add, **others)


def test_same_name_in_two_tenants_is_two_names(seeds: Path) -> None:
    add(seeds, tenant="shop")
    add(seeds, tenant="bank", key="big_spenders_of_bank")
    refused(seeds, "have the same name", add, key="third")


# ── Segments of segments ──────────────────────────────────────────────────────────────────────


def joined(subject: str) -> str:
    rule = {"field": "joined_segment", "operator": "within_days", "value": 7, "subject": subject}
    return json.dumps({"all": [rule]})


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("nobody", "there is no segment 'nobody'; there are about_to_lapse"),
        ("big_spenders", "which itself looks at another segment"),
        ("became_at_risk", "which itself looks at another segment"),
        ("vip_by_hand", "which is manual"),
        ("lapsed", "which is retired"),
        ("of_shop", "of another tenant"),
        ("later", "before segment later"),
    ],
)
def test_derived_segments_look_at_plain_active_ones(seeds: Path, subject: str, words: str) -> None:
    retire_segment(seeds, "lapsed", since=DAY)
    add(seeds, name="Of shop", tenant="shop")
    add(seeds, name="Later", since=DAY + timedelta(days=1))
    refused(seeds, words, add, criteria=joined(subject))


def test_derived_rules_stand_alone(seeds: Path) -> None:
    rules = json.loads(joined("at_risk"))["all"] + [{"field": "order_count", "operator": ">", "value": 1}]
    refused(seeds, "stands alone", add, criteria=json.dumps({"all": rules}))
    refused(seeds, "stands alone", add, criteria=json.dumps({"any": [{"all": [rule]} for rule in rules]}))


def test_what_others_look_at_stays_as_they_need_it(seeds: Path) -> None:
    refused(seeds, "became_at_risk looks at segment at_risk, which is retired", retire_segment, "at_risk", since=DAY)
    refused(seeds, "which itself looks at", change_segment, "at_risk", since=DAY, criteria=joined("vip_customers"))
    add(seeds, criteria=joined("at_risk"), tenant="shop")
    for key in ("big_spenders", "became_at_risk", "at_risk"):
        retire_segment(seeds, key, since=DAY)


# ── Changing and retiring ─────────────────────────────────────────────────────────────────────


def test_a_change_is_a_version_and_the_old_one_stays(seeds: Path) -> None:
    old = read_definitions(seeds)
    change_segment(seeds, "at_risk", since=DAY, criteria='{"minDaysSinceLastPurchase": 45}', channel="sms")
    new = read_definitions(seeds)
    first, second = new.versions("at_risk")
    assert (first, new.rules_of(first)) == (old.latest()["at_risk"], old.rules_of(first))
    assert second == replace(first, since=DAY, channel="sms")
    assert [rule.value for rule in new.rules_of(second)] == ["45"]
    change_segment(seeds, "at_risk", since=DAY, name="Drifting")
    assert [s.name for s in read_definitions(seeds).versions("at_risk")] == ["At-Risk", "Drifting"]
    assert [r.value for r in read_definitions(seeds).rules_of(replace(second, name="Drifting"))] == ["45"]


def test_versions_stand_beside_each_other_in_the_file(seeds: Path) -> None:
    change_segment(seeds, "at_risk", since=DAY, name="Drifting")
    keys = [line.split(",")[0] for line in texts(seeds)[0].splitlines()]
    assert keys.index("at_risk") + 1 == len(keys) - 1 - keys[::-1].index("at_risk")


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("unknown channel 'fax'", {"channel": "fax"}),
        ("unknown type 'vip'", {"segment_type": "vip"}),
        ("have the same name", {"name": "Lapsed"}),
        ("control character", {"name": "a\x00"}),
        ("U+D800", {"description": "\ud800"}),
        ("segment at_risk is automatic: it needs criteria", {"criteria": "{}"}),
        ("unknown criterion", {"criteria": '{"min": 1}'}),
        ("nothing changes", {}),
        ("nothing changes", {"name": "At-Risk"}),
        ("nothing changes", {"criteria": '{"minDaysSinceLastPurchase": 60}'}),
        ("holds since a day from", {"since": date(1990, 1, 1), "name": "x"}),
        ("holds since a day from", {"since": date(2990, 1, 1), "name": "x"}),
    ],
)
def test_what_does_not_hold_is_not_changed(seeds: Path, words: str, columns: dict[str, Any]) -> None:
    since = columns.pop("since", date(2000, 1, 1))
    refused(seeds, words, change_segment, "at_risk", since=since, **columns)


def test_manual_segments_stay_manual(seeds: Path) -> None:
    refused(seeds, "is manual", change_segment, "vip_by_hand", since=DAY, criteria='{"minOrders": 1}')
    change_segment(seeds, "vip_by_hand", since=DAY, criteria="{}", name="Chosen")


def test_the_past_is_not_written_behind_a_later_version(seeds: Path) -> None:
    change_segment(seeds, "at_risk", since=DAY, name="Drifting")
    before = DAY - timedelta(days=1)
    refused(seeds, "has a version since 2024-11-09", change_segment, "at_risk", since=before, name="Else")
    refused(seeds, "has a version since 2024-11-09", retire_segment, "at_risk", since=before)


def test_what_is_retired_stays_so(seeds: Path) -> None:
    retired = retire_segment(seeds, "lapsed", since=DAY)
    kept = read_definitions(seeds)
    assert not retired.is_active
    assert [s.is_active for s in kept.versions("lapsed")] == [True, False]
    assert kept.rules_of(retired) == kept.rules_of(kept.versions("lapsed")[0])
    refused(seeds, "lapsed is retired since 2024-11-09", retire_segment, "lapsed", since=DAY)
    refused(seeds, "lapsed is retired since 2024-11-09", change_segment, "lapsed", since=DAY, name="x")
    refused(seeds, "was retired on 2024-11-09", add, name="Lapsed")
    add(seeds, name="Lapsed", key="lapsed_again")


def test_rfm_segments_cannot_be_taken_out_of_their_family(seeds: Path) -> None:
    refused(seeds, "lost would be in none", retire_segment, "rfm_lost", since=DAY)
    refused(
        seeds,
        "'champions' is in rfm_champions and in rfm_lost",
        change_segment,
        "rfm_lost",
        since=DAY,
        criteria='{"all": [{"field": "rfm_segment", "operator": "in", "value": ["Lost", "champions"]}]}',
    )


@pytest.mark.parametrize("act", [change_segment, retire_segment])
def test_unknown_segments_are_named_with_the_known(seeds: Path, act: Any) -> None:  # noqa: ANN401 - either
    refused(seeds, "there is no segment 'at-risk'; there are about_to_lapse, at_risk", act, "at-risk", since=DAY)


# ── Files ─────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_leaves_both_seeds_as_they_were(seeds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = texts(seeds)
    calls = []

    def fails_at_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestration.segments.definitions.os.fsync", fails_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        add(seeds)
    assert texts(seeds) == before
    assert sorted(path.name for path in (seeds / "segments").iterdir() if path.suffix == ".new") == []


def test_rules_that_a_crash_left_alone_are_cleared_away(seeds: Path) -> None:
    rules = seeds / "segments" / "segment_rules.csv"
    whole = texts(seeds)
    rules.write_text(whole[1] + "big_spenders,2024-11-09,1,1,city,,=,Rome,,,,,\n", "utf-8")
    add(seeds)
    retired = retire_segment(seeds, "big_spenders", since=DAY)
    assert [rule.field for rule in read_definitions(seeds).rules_of(retired)] == ["total_spent"]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("segments.csv", "is_automatic", "automatic", "has other columns than"),
        ("segments.csv", "at_risk,2000-01-01,*", "at_risk,2000-01-01", "more or fewer values"),
        ("segments.csv", "at_risk,2000-01-01", "at_risk,1.1.2000", "cannot be read"),
        ("segments.csv", "behavioral,true", "behavioral,TRUE", "cannot be read"),
        ("segment_rules.csv", "at_risk,2000-01-01,1", "at_risk,2000-01-01,one", "cannot be read"),
        ("segment_rules.csv", "at_risk,2000-01-01,1", "at_risk,2000-01-01,2", "at_risk since 2000-01-01"),
        ("segment_rules.csv", "days_since_last_order,,>=,60", "days_since,,>=,60", "unknown field"),
        ("segment_rules.csv", "days_since_last_order,,>=,60", "days_since_last_order,,>=,sixty", "is no number"),
    ],
)
def test_seeds_edited_badly_by_hand_are_not_written_over(
    seeds: Path, name: str, old: str, new: str, words: str
) -> None:
    path = seeds / "segments" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    refused(seeds, words, add)


def test_families_are_exclusive_or_not(seeds: Path) -> None:
    kept = read_definitions(seeds)
    catalogue, rfm_segments = read_catalogue(seeds), read_rfm_segments(seeds)

    def judge(segment: Segment, criteria: str = '{"all": [{"field": "city", "operator": "=", "value": "x"}]}') -> None:
        validate(kept.with_version(segment, parse_criteria(criteria, catalogue)), catalogue, rfm_segments)

    lone = replace(kept.latest()["lapsed"], segment_key="lone", name="Lone", since=DAY)
    with pytest.raises(SegmentError, match="in no family"):
        judge(replace(lone, is_exclusive=True))
    with pytest.raises(SegmentError, match="exclusive segments and others"):
        judge(replace(lone, family="rfm"))
    judge(replace(lone, family="cities", is_exclusive=True))
    with pytest.raises(SegmentError, match="all versions have the same tenant"):
        judge(replace(lone, segment_key="lapsed", user_id="shop"))
    with pytest.raises(SegmentError, match="two versions"):
        validate(Definitions((*kept.segments, kept.segments[0]), kept.rules), catalogue, rfm_segments)
    with pytest.raises(SegmentError, match="has no criteria"):
        judge(lone, "{}")
    with pytest.raises(SegmentError, match="is manual"):
        judge(replace(lone, is_automatic=False))


# ── The command ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def home(tmp_path: Path, seeds: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home without a release; the command's seeds are a copy."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(commands, "SEEDS", seeds)
    return tmp_path / "home"


@pytest.fixture
def published(home: Path, seeds: Path) -> Path:
    """Return a home whose release holds two tenants and three customers."""
    folder = home / "published" / "releases" / "20241110T030000Z-run"
    folder.mkdir(parents=True)
    (home / "published" / "current").symlink_to("releases/20241110T030000Z-run")
    release = Release(
        release_id=folder.name,
        run_id="run",
        published_at=datetime(2024, 11, 10, 3, tzinfo=UTC),
        follows=None,
        code_checksum="",
        as_of={"shop": DAY, "bank": DAY - timedelta(days=3)},
        marts={},
        gate=GateRecord("first"),
    )
    (folder / "release.json").write_text(release.to_json(), "utf-8")
    with duckdb.connect(folder / "analytics.duckdb") as con:
        con.execute(
            """
            create schema marts;
            create table marts.data_as_of as
            select * from (values ('shop', date '2024-11-09'), ('bank', date '2024-11-06')) as t (user_id, as_of_date);
            create table marts.customers as
            select * from (values ('shop', 'ann'), ('shop', 'bob'), ('bank', 'cy')) as t (user_id, customer_id);
            create table marts.segment_members as
            select 'shop' as user_id, 'bob' as customer_id, 'high_spenders' as segment_key, true as is_current;
            create table marts.customer_segments_v2 as
            select
                'shop' as user_id, 'high_spenders' as segment_key, 'High Spenders' as name,
                'value-based' as segment_type, true as is_automatic, 1 as member_count, true as is_active;
            create table marts.segment_membership_explain as
            select * from (values
                ('shop', 'high_spenders', 'bob', true, 1, 1, 'avg_order_value > 100', '120', '100', true),
                ('shop', 'high_spenders', 'bob', true, 2, 1, 'city = Rome', null, 'Rome', false)
            ) as t (
                user_id, segment_key, customer_id, is_member, group_number, rule_number, clause, value, threshold,
                is_met
            );
            """
        )
    with duckdb.connect(folder / "restricted.duckdb") as con:
        columns = [f'null::varchar as "{name}"' for name in read_catalogue(seeds).fields if name != "avg_order_value"]
        con.execute(
            f"""
            create table customer_attributes as
            select t.*, {", ".join(columns)}
            from (values ('shop', 'ann', 150), ('shop', 'bob', 50), ('bank', 'cy', 150))
                as t (user_id, customer_id, avg_order_value);
            """
        )
    return home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["segments", *arguments])


ADD = ("add", "--name", "Big Spenders", "--type", "custom", "--criteria", '{"minMonetary": 9}')


def test_command_adds_changes_and_retires(published: Path, seeds: Path) -> None:  # noqa: ARG001 - it is there
    result = run(*ADD)
    assert (result.exit_code, result.output) == (
        0,
        "segment big_spenders holds since 2024-11-06; `warehouse run` publishes it\n",
    )
    assert "2024-11-09" in run(*ADD, "--key", "of_shop", "--name", "Of shop", "--tenant", "shop").output
    result = run("change", "big_spenders", "--criteria", '{"minMonetary": 10}', "--since", "2024-12-01")
    assert "is changed since 2024-12-01" in result.output
    # The last version holds only later: no version before it.
    assert "no members since 2024-12-01" in run("retire", "big_spenders").output
    assert [s.since for s in read_definitions(seeds).versions("big_spenders")] == [
        date(2024, 11, 6),
        date(2024, 12, 1),
    ]


@pytest.mark.usefixtures("home")
def test_command_before_the_first_release(seeds: Path) -> None:
    assert run(*ADD).exit_code == 0
    assert abs(read_definitions(seeds).latest()["big_spenders"].since - datetime.now(UTC).date()) <= timedelta(days=1)
    for arguments in (["list"], ["explain", "ann"], ["preview", "--segment", "at_risk"]):
        result = run(*arguments)
        assert (result.exit_code, result.output) == (1, "warehouse: nothing has been published yet\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "--name", "x", "--type", "custom"), 2, "warehouse: "),
        (("add", "--name", "x"), 2, "Missing option '--type'"),
        ((*ADD, "--since", "tomorrow"), 2, "does not match the format"),
        ((*ADD, "--tenant", "shopp"), 2, "there is no tenant 'shopp'; known are bank, shop"),
        ((*ADD[:-1], "{"), 2, "no valid JSON"),
        ((*ADD[:-1], '{"all": [{"field": "city", "operator": "=", "value": "\udcff"}]}'), 2, "U+DCFF"),
        ((*ADD, "--description", "\udcff"), 2, "U+DCFF"),
        ((*ADD, "--key", "\udcff"), 2, "is no segment key"),
        (("change", "nobody", "--name", "x"), 2, "there is no segment 'nobody'"),
        (("change", "at_risk"), 2, "nothing changes"),
        (("retire", "nobody"), 2, "there is no segment 'nobody'"),
        (("list", "--tenant", "shopp"), 2, "there is no tenant 'shopp'"),
        (("explain", "nobody"), 2, "there is no customer 'nobody'"),
        (("explain", "\udcff"), 2, "there is no customer"),
        (("explain", "ann", "--segment", "nothing"), 2, "there is no segment 'nothing'"),
        (("preview",), 2, "give --criteria, --segment, or both"),
        (("preview", "--criteria", "{}"), 2, "{} says nothing"),
        (("preview", "--criteria", joined("nobody")), 2, "there is no segment 'nobody'"),
        (("preview", "--criteria", joined("vip_by_hand")), 2, "there is no segment 'vip_by_hand' to look at"),
        (("preview", "--criteria", joined("became_at_risk")), 2, "there is no segment 'became_at_risk' to look at"),
        (("preview", "--segment", "nobody"), 2, "there is no segment 'nobody'"),
        (("preview", "--segment", "vip_by_hand"), 2, "is manual"),
        (("preview", "--segment", "at_risk", "--tenant", "\udcff"), 2, "there is no tenant"),
    ],
)
@pytest.mark.usefixtures("published")
def test_command_refuses_in_a_sentence(arguments: tuple[str, ...], code: int, words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("published")
def test_command_shows_what_is_published() -> None:
    assert "high_spenders" in run("list").output
    assert "  50.0%  High Spenders" in run("list", "--tenant", "shop").output
    assert run("explain", "bob").output.splitlines() == [
        "shop  high_spenders: member",
        "  yes  avg_order_value > 100: is 120 (threshold 100)",
        "  or",
        "  no   city = Rome: nothing is known (threshold Rome)",
    ]
    assert "ann is not in segment lapsed" in run("explain", "ann", "--segment", "lapsed").output
    lines = run("preview", "--segment", "high_spenders").output.splitlines()
    assert lines[:2] == ["2 of 3 customers (66.7%)", "would join 2, would leave 1"]
    assert "1 of 2 customers (50.0%)" in run("preview", "--segment", "high_spenders", "--tenant", "shop").output
    changed = run("preview", "--segment", "high_spenders", "--criteria", '{"minAvgOrderValue": 50}').output
    assert changed.splitlines()[:2] == ["3 of 3 customers (100.0%)", "would join 2, would leave 0"]


def test_classes_are_what_they_say() -> None:
    assert issubclass(CriteriaError, SegmentError)
    assert SegmentError in cli.OUR_OWN
    assert {Rule.__name__, Catalogue.__name__} == {"Rule", "Catalogue"}
