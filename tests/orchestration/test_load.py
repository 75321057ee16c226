"""Loading: what becomes of every kind of file and line, on small real files."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import child
import duckdb
import pytest

from orchestration import load
from orchestration.failures import in_words
from orchestration.load import feeds, files, loading, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADED_AT = datetime(2026, 11, 20, 6, 0, 0)  # noqa: DTZ001 (the raw tables hold UTC without a zone)
HEADER = "id,user_id,customer_id,event_type,created_at"


class Warehouse:
    """A raw/ folder and a database; each `run` is a day later than the one before."""

    def __init__(self, home: Path) -> None:
        """Make an empty raw/ folder and database in a folder."""
        self.raw = home / "raw"
        self.raw.mkdir()
        self.con = duckdb.connect(str(home / "warehouse.duckdb"))
        self.runs = 0
        self.messages: list[str] = []

    def write(self, path: str, content: str | bytes | list[dict[str, Any]]) -> Path:
        """Write a raw file: text, bytes, or records as JSON Lines."""
        file = self.raw / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(record) + "\n" for record in content)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        stamp = 1_700_000_000 + self.runs
        os.utime(file, (stamp, stamp))
        return file

    def write_parquet(self, path: str, select: str) -> Path:
        """Write the result of a query as a raw Parquet file."""
        file = self.raw / path
        file.parent.mkdir(parents=True, exist_ok=True)
        self.con.execute(f"copy ({select}) to '{file}' (format parquet)")
        return file

    def run(self, **settings: Any) -> load.LoadReport:  # noqa: ANN401
        """Load what is new."""
        self.runs += 1
        return load.load_new_files(self.con, self.raw, **self.at_this_run(), **settings)

    def at_this_run(self) -> dict[str, Any]:
        """Return the arguments that every run has."""
        return {"run_id": f"run {self.runs}", "loaded_at": LOADED_AT + timedelta(days=self.runs - 1)}

    def rows(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        return self.con.execute(sql).fetchall()

    def values(self, sql: str) -> list[Any]:
        """Return the first column of a query."""
        return [row[0] for row in self.rows(sql)]

    def counts(self, path: str) -> tuple[int, ...]:
        """Return (rows, kept, rejected, duplicate, conflict, missing) of the last version of a path."""
        return self.rows(f"""
            select row_count, kept_count, rejected_count, duplicate_count, conflict_count, missing_line_count
            from raw.load_ledger where path = '{path}' order by file_id desc limit 1
        """)[0]

    def pending(self) -> list[int]:
        """Return the loads that wait to be published."""
        return self.values("select distinct load_id from raw.load_ledger where state = 'pending' order by load_id")

    def publish(self) -> None:
        """Mark what waits as published, as the publish step does."""
        for table in ("raw.load_ledger", "raw.recompute_requests"):
            self.con.execute(f"update {table} set state = 'published' where state = 'pending'")

    def rejects(self) -> list[tuple[int, str]]:
        """Return (record number, rule) of every rejected row."""
        return self.rows("select record_number, rule from raw.rejected_rows order by file_id, record_number")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    warehouse = Warehouse(tmp_path)
    yield warehouse
    warehouse.con.close()


def event(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a valid event record with some values set."""
    return {"customer_id": "c1", "event_type": "purchase", "created_at": "2026-11-01T10:00:00"} | values


def good_events(count: int, **values: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return valid events with ids g1, g2, …: enough of them keep gate 1 out of a test about rows."""
    return [event(id=f"g{number}", **values) for number in range(1, count + 1)]


# ── Tables and keys ───────────────────────────────────────────────────────────────────────────


def test_raw_tables_are_created_once_and_kept(warehouse: Warehouse) -> None:
    load.create_raw_tables(warehouse.con)
    warehouse.con.execute("insert into raw.releases (release_id) values ('r')")
    load.create_raw_tables(warehouse.con)
    tables = set(warehouse.values("select table_schema || '.' || table_name from information_schema.tables"))
    assert set(load.TABLES) <= tables
    assert warehouse.values("select release_id from raw.releases") == ["r"]


def test_key_parts_do_not_run_together(warehouse: Warehouse) -> None:
    pairs = [("'a'", "'bc'"), ("'ab'", "'c'"), ("null::varchar", "'abc'"), ("''", "'abc'")]
    keys = {warehouse.values(f"select {load.uuid_sql(pair)}")[0] for pair in pairs}
    assert len(keys) == len(pairs)


def test_event_key_is_md5_of_tenant_and_source_id(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="7", user_id="t1")])
    warehouse.run()
    expected = warehouse.values("select md5('2:t1' || '1:7')::uuid")
    assert warehouse.values("select event_id from raw.events") == expected


# ── Formats ───────────────────────────────────────────────────────────────────────────────────

FULL_EVENT = {
    "id": "e1",
    "user_id": "t1",
    "customer_id": "17850",
    "event_type": "purchase",
    "event_category": "website",
    "product_id": "p1",
    "product_name": "Café ☕",
    "product_category": "drinks",
    "event_value": 12.5,
    "event_properties": {"order_id": "o1", "lines": [{"quantity": 2}]},
    "page_url": "https://shop.example/p?x=1",
    "referrer_url": "https://search.example/",
    "ip_address": "10.0.0.7",
    "user_agent": "Agent, with comma",
    "device_type": "mobile",
    "browser": "Fox",
    "os": "Linux",
    "location": {"country": "US", "city": "New York"},
    "session_id": "s1",
    "created_at": "2026-11-01T10:00:00",
}
EXPECTED_EVENT = {
    "source_event_id": "e1",
    "event_value": pytest.approx(12.5),
    "event_properties": '{"order_id":"o1","lines":[{"quantity":2}]}',
    "location": '{"country":"US","city":"New York"}',
    "created_at": datetime(2026, 11, 1, 10),  # noqa: DTZ001
    "record_number": 1,
}


def write_in_every_format(warehouse: Warehouse, name: str, record: dict[str, Any]) -> None:
    """Write one record as JSON Lines, as CSV, and as Parquet with JSON text and with structs."""
    warehouse.write(f"events/{name}.jsonl", [record])
    texts = [json.dumps(v) if isinstance(v, dict) else str(v) for v in record.values()]
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    warehouse.write(f"events/{name}.csv", f"{','.join(record)}\n{','.join(quoted)}\n")
    source = f"read_json('{warehouse.raw}/events/{name}.jsonl', columns = {{{{{{types}}}}}})"
    text_types = dict.fromkeys(record, "VARCHAR") | {"event_value": "DOUBLE", "created_at": "TIMESTAMP"}
    struct_types = text_types | {
        "customer_id": "DOUBLE",
        "event_properties": "STRUCT(order_id VARCHAR, gift VARCHAR, lines STRUCT(quantity BIGINT)[])",
        "location": "STRUCT(country VARCHAR, city VARCHAR)",
    }
    for suffix, types in (("text", text_types), ("struct", struct_types)):
        listed = ", ".join(f"{key}: '{sql_type}'" for key, sql_type in types.items() if key in record)
        warehouse.write_parquet(f"events/{name}_{suffix}.parquet", f"from {source.format(types=listed)}")


@pytest.mark.parametrize("file", ["a.jsonl", "a.csv", "a_text.parquet", "a_struct.parquet"])
def test_every_format_gives_the_same_typed_row(warehouse: Warehouse, file: str) -> None:
    write_in_every_format(warehouse, "a", FULL_EVENT)
    for other in (warehouse.raw / "events").iterdir():
        if other.name != file:
            other.unlink()
    report = warehouse.run()
    assert not report.refused
    row = warehouse.con.execute("select * from raw.events").df().to_dict("records")[0]
    unchanged = {key: value for key, value in FULL_EVENT.items() if key in row and key not in EXPECTED_EVENT}
    assert {key: row[key] for key in unchanged} == unchanged
    assert {key: row[key] for key in EXPECTED_EVENT} == EXPECTED_EVENT


def test_content_hash_does_not_depend_on_the_format(warehouse: Warehouse) -> None:
    without_id = {key: value for key, value in FULL_EVENT.items() if key != "id"}
    write_in_every_format(warehouse, "a", without_id)
    warehouse.run()
    assert warehouse.values("select count(*) from raw.events") == [1]
    assert warehouse.values("select is_conflict from raw.duplicate_events") == [False] * 3


def test_event_needs_only_three_columns(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", "customer_id,event_type,created_at\nc1,login,2026-11-01\n")
    warehouse.run()
    assert warehouse.rows("select user_id, customer_id, event_value, location, created_at from raw.events") == [
        ("default", "c1", None, None, datetime(2026, 11, 1))  # noqa: DTZ001
    ]


def test_empty_strings_are_null_and_an_empty_tenant_is_default(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", f'{HEADER},event_value,browser\n,,c1,login,2026-11-01,,""\n')
    warehouse.run()
    found = warehouse.rows("select source_event_id, user_id, event_value, browser from raw.events")
    assert found == [(None, "default", None, None)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_keys_are_trimmed_and_a_blank_one_is_missing(warehouse: Warehouse, suffix: str) -> None:
    columns = ["id", "user_id", "customer_id", "event_type", "product_id"]
    rows = [[" 1 ", " t1\t", " c1 ", " login ", " p1 "], [" ", "\t ", "c2", "login", " "]]
    records = [dict(zip(columns, row, strict=True), created_at="2026-11-01") for row in rows]
    if suffix == "csv":
        lines = [",".join(record.values()) for record in records]
        warehouse.write("events/a.csv", "\n".join([",".join(records[0]), *lines]))
    elif suffix == "jsonl":
        warehouse.write("events/a.jsonl", records)
    else:
        values = ", ".join(str(tuple(record.values())) for record in records)
        names = ", ".join(records[0])
        warehouse.write_parquet("events/a.parquet", f"from (values {values}) t({names})".replace("\\t", "\t"))
    warehouse.run()
    names = "source_event_id, user_id, customer_id, event_type, product_id"
    assert warehouse.rows(f"select {names} from raw.events order by record_number") == [
        ("1", "t1", "c1", "login", "p1"),
        (None, "default", "c2", "login", None),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiter_is_found(warehouse: Warehouse, delimiter: str) -> None:
    lines = [HEADER, "1,t,c1,login,2026-11-01", "2,t,c2,login,2026-11-02"]
    warehouse.write("events/a.csv", "\n".join(lines).replace(",", delimiter))
    warehouse.run()
    assert warehouse.values("select customer_id from raw.events order by all") == ["c1", "c2"]


def test_csv_with_byte_order_mark_and_header_in_any_case(warehouse: Warehouse) -> None:
    text = "\ufeffCustomer_ID, Event_Type ,CREATED_AT\r\nc1,login,2026-11-01\r\n"
    warehouse.write("events/a.csv", text)
    warehouse.run()
    assert warehouse.values("select customer_id || event_type from raw.events") == ["c1login"]


@pytest.mark.parametrize("path", ["events/a.csv", "events/a.jsonl"])
def test_latin_1_is_read_where_a_file_is_not_utf_8(warehouse: Warehouse, path: str) -> None:
    text = "customer_id,event_type,created_at,product_name\nc1,login,2026-11-01,Café Müller\n"
    if path.endswith("jsonl"):
        text = json.dumps(event(product_name="Café Müller"), ensure_ascii=False)
    warehouse.write(path, text.encode("latin-1"))
    warehouse.run()
    assert warehouse.values("select product_name from raw.events") == ["Café Müller"]


def test_csv_quotes_hold_newlines_delimiters_and_quotes(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", f'{HEADER},product_name\n1,t,c1,login,2026-11-01,"a\nb, ""c"""\n')
    warehouse.run()
    assert warehouse.values("select product_name from raw.events") == ['a\nb, "c"']


def test_csv_broken_lines_are_rejected_and_records_keep_their_numbers(warehouse: Warehouse) -> None:
    good = [f"{n},t,c{n},login,2026-11-01" for n in range(1, 9)]
    good[2], good[5] = "3,t,c3", "6,t,c6,login,2026-11-01,surplus"
    good[6] = '7,t,c7,"log\nin",2026-11-01'
    warehouse.write("events/a.csv", "\n".join([HEADER, *good]))
    warehouse.run()
    assert warehouse.rejects() == [(3, "unreadable_line"), (6, "unreadable_line")]
    assert warehouse.rows("select source_event_id, record_number from raw.events order by 2") == [
        (str(number), number) for number in (1, 2, 4, 5, 7, 8)
    ]
    assert warehouse.counts("events/a.csv") == (8, 6, 2, 0, 0, 0)
    assert warehouse.values("select raw_text from restricted.rejected_texts order by record_number") == [
        good[2],
        good[5],
    ]


def test_csv_with_mixed_line_ends_loses_nothing(warehouse: Warehouse) -> None:
    lines = f"{HEADER}\r\n1,t,c1,login,2026-11-01\n2,t,c2,login,2026-11-01,surplus\r\n3,t,c3,login,2026-11-01\n"
    warehouse.write("events/a.csv", lines)
    warehouse.run()
    assert warehouse.values("select source_event_id from raw.events order by all") == ["1", "3"]
    assert warehouse.rejects() == [(2, "unreadable_line")]


def test_csv_files_with_other_orders_of_columns_are_read_by_name(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", "customer_id,event_type,created_at\nc1,login,2026-11-01\n")
    warehouse.write("events/b.csv", "event_type,created_at,customer_id\nlogin,2026-11-01,c2\n")
    warehouse.run()
    found = warehouse.rows("select customer_id, event_type, file_id from raw.events order by all")
    assert found == [("c1", "login", 1), ("c2", "login", 2)]


def test_jsonl_bad_lines_are_rejected_by_line_number(warehouse: Warehouse) -> None:
    good = [json.dumps(event(id=str(n))) for n in range(6)]
    lines = [good[0], "", "{not json", good[1] + "\r", "[1, 2]", "   ", *good[2:]]
    warehouse.write("events/a.jsonl", "\n".join(lines))
    warehouse.run()
    assert warehouse.rejects() == [(3, "unreadable_line"), (5, "unreadable_line")]
    assert warehouse.values("select record_number from raw.events order by all") == [1, 4, 7, 8, 9, 10]
    assert warehouse.values("select raw_text from restricted.rejected_texts order by record_number") == [
        "{not json",
        "[1, 2]",
    ]
    assert warehouse.counts("events/a.jsonl") == (8, 6, 2, 0, 0, 0)


def test_jsonl_lines_longer_than_a_block_are_whole(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 64)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    warehouse.write("events/a.jsonl", [event(id=str(n), product_name="é" * 10 * n) for n in range(20)])
    warehouse.run()
    found = warehouse.rows("select length(product_name), record_number from raw.events order by 2")
    assert found == [(None if n == 0 else 10 * n, n + 1) for n in range(20)]


def test_parquet_files_of_one_shape_keep_their_own_records(warehouse: Warehouse) -> None:
    for name, first in (("b", 0), ("a", 3), ("sub/c", 6)):
        warehouse.write_parquet(
            f"events/{name}.parquet",
            f"select (i + {first})::varchar as id, 'c' as customer_id, 'login' as event_type,"
            " timestamp '2026-11-01' as created_at from range(3) t(i)",
        )
    warehouse.run()
    found = warehouse.rows("""
        select path, list(source_event_id order by record_number), list(record_number order by record_number)
        from raw.events join raw.load_ledger using (file_id) group by path order by path
    """)
    assert found == [
        ("events/a.parquet", ["3", "4", "5"], [1, 2, 3]),
        ("events/b.parquet", ["0", "1", "2"], [1, 2, 3]),
        ("events/sub/c.parquet", ["6", "7", "8"], [1, 2, 3]),
    ]


def test_folder_names_add_no_columns(warehouse: Warehouse) -> None:
    warehouse.write_parquet(
        "events/user_id=t9/a.parquet",
        "select 'c' as customer_id, 'login' as event_type, date '2026-11-19' as created_at",
    )
    warehouse.run()
    assert warehouse.rows("select user_id, event_properties from raw.events") == [("default", None)]


# ── Values ────────────────────────────────────────────────────────────────────────────────────


TIMES = {
    "2026-11-02": "2026-11-02 00:00:00",
    "2026-11-02 10:30:00": "2026-11-02 10:30:00",
    "2026-11-02T10:30:00Z": "2026-11-02 10:30:00",
    "2026-11-02T10:30:00.250+02:00": "2026-11-02 08:30:00.25",
    "2026-11-02 10:30:00 America/New_York": "2026-11-02 15:30:00",
    " 2026-11-02 10:31 ": "2026-11-02 10:31:00",
    "\t2026-11-02 10:32": "2026-11-02 10:32:00",
}


def test_times_are_utc_and_zones_are_converted(warehouse: Warehouse) -> None:
    warehouse.con.execute("set TimeZone = 'Asia/Tokyo'")
    warehouse.write("events/a.jsonl", [event(id=str(n), created_at=text) for n, text in enumerate(TIMES)])
    warehouse.run()
    assert warehouse.values("select created_at::varchar from raw.events order by record_number") == list(TIMES.values())


def test_zoned_and_nanosecond_parquet_times_are_utc(warehouse: Warehouse) -> None:
    columns = "'c' as customer_id, 'login' as event_type"
    warehouse.write_parquet("events/a.parquet", f"select {columns}, timestamptz '2026-11-01 10:00:00+02' as created_at")
    warehouse.write_parquet("events/b.parquet", f"select {columns}, timestamp_ns '2026-11-01 11:00:00' as created_at")
    warehouse.run()
    found = warehouse.values("select created_at::varchar from raw.events order by all")
    assert found == ["2026-11-01 08:00:00", "2026-11-01 11:00:00"]


def test_json_is_minified_with_escapes_resolved_and_nulls_left_out(warehouse: Warehouse) -> None:
    line = '{"customer_id":"c","event_type":"e","created_at":"2026-11-01","event_properties":'
    values = ['{ "a" : "\\u00e9" , "b": null }', '"{\\"a\\": 1}"', "{}", "null", '""']
    warehouse.write("events/a.jsonl", "\n".join(f"{line}{value}}}" for value in values))
    warehouse.run()
    found = warehouse.values("select event_properties from raw.events order by record_number")
    found += warehouse.values("select event_properties from raw.duplicate_events")
    assert found == ['{"a":"é"}', '{"a":1}', None, None, None]


@pytest.mark.parametrize("path", ["events/a.jsonl", "events/a.csv"])
def test_extra_event_columns_join_the_properties_which_win(warehouse: Warehouse, path: str) -> None:
    if path.endswith("jsonl"):
        warehouse.write(path, [event(coupon="SAVE", note=None, event_properties={"coupon": "OWN", "n": 1}, shop="x")])
    else:
        warehouse.write(
            path,
            "customer_id,event_type,created_at,coupon,note,shop,event_properties\n"
            'c1,purchase,2026-11-01,SAVE,,x,"{""coupon"": ""OWN"", ""n"": 1}"\n',
        )
    warehouse.run()
    properties = json.loads(warehouse.values("select event_properties from raw.events")[0])
    assert properties == {"coupon": "OWN", "n": 1, "shop": "x"}


def test_known_columns_are_found_in_any_case(warehouse: Warehouse) -> None:
    line = {"Customer_ID": "c1", "EVENT_TYPE": "login", "Created_At": "2026-11-01", "Shop": "x"}
    warehouse.write("events/a.jsonl", [line, event(customer_id="c2", Customer_Id="other")])
    columns = "'c3' as Customer_ID, 'login' as EVENT_TYPE, timestamp '2026-11-01' as Created_At"
    warehouse.write_parquet("events/b.parquet", f"select {columns}")
    assert not warehouse.run().refused
    assert warehouse.rows("select customer_id, event_properties from raw.events order by all") == [
        ("c1", '{"Shop":"x"}'),
        ("c2", '{"Customer_Id":"other"}'),
        ("c3", None),
    ]


def test_extra_csv_columns_bear_the_names_of_known_properties(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", "customer_id,event_type,created_at,Order_ID,Shop\nc1,purchase,2026-11-01,o1,x\n")
    warehouse.run()
    properties = json.loads(warehouse.values("select event_properties from raw.events")[0])
    assert properties == {"order_id": "o1", "Shop": "x"}


def test_extra_parquet_columns_keep_their_types(warehouse: Warehouse) -> None:
    warehouse.write_parquet(
        "events/a.parquet",
        "select 'c' as customer_id, 'e' as event_type, timestamp '2026-11-01' as created_at, 3 as quantity,"
        " true as is_gift, 'nan'::double as rate, [1, 2] as sizes, 7 as __index_level_0__",
    )
    warehouse.run()
    properties = json.loads(warehouse.values("select event_properties from raw.events")[0])
    assert properties == {"quantity": 3, "is_gift": True, "sizes": [1, 2]}


# ── Row rules of events ───────────────────────────────────────────────────────────────────────

BAD_EVENTS = [
    ("missing_customer_id", {"customer_id": ""}),
    ("missing_event_type", {"event_type": None}),
    ("unreadable_timestamp", {"created_at": "yesterday"}),
    ("unreadable_timestamp", {"created_at": None}),
    ("future_timestamp", {"created_at": "2026-11-21T06:00:01"}),
    ("unreadable_timestamp", {"created_at": "infinity"}),
    ("unreadable_timestamp", {"created_at": "epoch"}),
    ("unreadable_timestamp", {"created_at": "now"}),
    ("unreadable_timestamp", {"created_at": "today"}),
    ("missing_customer_id", {"customer_id": " \t"}),
    ("missing_event_type", {"event_type": " "}),
    ("timestamp_before_1970", {"created_at": "1969-12-31T23:59:59"}),
    ("value_not_a_number", {"event_value": "12,50"}),
    ("value_negative", {"event_value": -0.01}),
    ("value_not_finite", {"event_value": "NaN"}),
    ("value_not_finite", {"event_value": "inf"}),
    ("value_above_limit", {"event_value": 1e9 + 1}),
    ("unreadable_json", {"event_properties": "{broken"}),
    ("unreadable_json", {"event_properties": [1]}),
    ("unreadable_json", {"location": "Berlin"}),
    ("missing_customer_id", {"customer_id": None, "created_at": "never", "event_value": -1}),
]


def test_bad_events_are_rejected_under_the_first_rule_they_break(warehouse: Warehouse) -> None:
    bad = [event(id=f"bad {number}", **values) for number, (_, values) in enumerate(BAD_EVENTS)]
    warehouse.write("events/a.jsonl", [*bad, *good_events(len(bad))])
    warehouse.run()
    assert warehouse.rejects() == [(number, rule) for number, (rule, _) in enumerate(BAD_EVENTS, start=1)]
    assert warehouse.values("select distinct feed || path from raw.rejected_rows") == ["eventsevents/a.jsonl"]
    texts = warehouse.values("select raw_text from restricted.rejected_texts order by record_number")
    assert [json.loads(text)["id"] for text in texts] == [record["id"] for record in bad]
    assert warehouse.values("select count(*) from raw.events where source_event_id like 'g%'") == [len(bad)]


EDGE_EVENTS = [
    {"created_at": "2026-11-21T06:00:00"},
    {"created_at": "1970-01-01T00:00:00"},
    {"event_value": 0},
    {"event_value": 1e9},
    {"event_value": "1e3"},
    {"event_properties": None, "location": ""},
]


def test_events_at_the_edge_of_a_rule_are_kept(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(**values) for values in EDGE_EVENTS])
    warehouse.run()
    assert warehouse.rejects() == []
    assert warehouse.values("select count(*) from raw.events") == [len(EDGE_EVENTS)]


def test_parquet_and_csv_rejects_name_the_record(warehouse: Warehouse) -> None:
    select = "select 'c' as customer_id, 'e' as event_type, date '2026-11-01' as created_at, v as event_value"
    warehouse.write_parquet("events/a.parquet", f"{select} from (values (1.0), (-1.0), (2.0)) t(v)")
    warehouse.write("events/b.csv", f"{HEADER},event_value\n1,t,c,e,2026-11-01,3\n2,t,c,e,2026-11-01,x\n")
    warehouse.run()
    assert warehouse.rejects() == [(2, "value_negative"), (2, "value_not_a_number")]
    texts = [json.loads(text) for text in warehouse.values("select raw_text from restricted.rejected_texts")]
    assert sorted(str(text["event_value"]) for text in texts) == ["-1.0", "x"]


def test_details_of_rejects_never_hold_the_text(warehouse: Warehouse) -> None:
    secret = "ada@example.com"  # noqa: S105
    warehouse.write("events/a.jsonl", [*good_events(2), event(created_at=secret), event(event_value=secret)])
    warehouse.write("events/b.csv", f"{HEADER}\n1,t,c,e,2026-11-01\n2,{secret}\n")
    warehouse.run()
    details = warehouse.values("select concat(rule, detail, path) from raw.rejected_rows")
    assert len(details) == 3
    assert not [detail for detail in details if secret in detail]


# ── Dimension feeds ───────────────────────────────────────────────────────────────────────────


def test_customer_row_is_typed(warehouse: Warehouse) -> None:
    warehouse.write(
        "customers/a.csv",
        "customer_id,birth_date,latitude,email_opt_in,sms_opt_in,is_vip,tags,signup_at,updated_at,shoe_size\n"
        "c1,1990-02-03,40.5,yes,0,TRUE,a; b,2026-01-01T00:00:00+01:00,2026-02-01,42\n",
    )
    warehouse.run()
    columns = "user_id, birth_date, latitude, email_opt_in, sms_opt_in, is_vip, tags, attributes"
    assert warehouse.rows(f"select {columns}, signup_at::varchar, updated_at::varchar from raw.customers") == [
        ("default", date(1990, 2, 3), 40.5, True, False, True, '["a","b"]', '{"shoe_size":"42"}',
         "2025-12-31 23:00:00", "2026-02-01 00:00:00")
    ]  # fmt: skip


def test_updated_at_is_the_time_of_the_load_where_the_file_has_none(warehouse: Warehouse) -> None:
    warehouse.write("customers/a.jsonl", [{"customer_id": "c1"}, {"customer_id": "c2", "tags": ["x", "y"]}])
    warehouse.run()
    found = warehouse.rows("select customer_id, tags, updated_at from raw.customers order by all")
    assert found == [("c1", None, LOADED_AT), ("c2", '["x","y"]', LOADED_AT)]


BAD_DIMENSION_ROWS = {
    "customers": [
        ("missing_customer_id", {"customer_id": ""}),
        ("unreadable_date", {"birth_date": "3.2.1990"}),
        ("unreadable_timestamp", {"signup_at": "soon"}),
        ("unreadable_timestamp", {"updated_at": "soon"}),
        ("unreadable_date", {"birth_date": "epoch"}),
        ("unreadable_date", {"birth_date": "1899-12-31"}),
        ("unreadable_date", {"birth_date": "2026-11-21"}),
        ("unreadable_timestamp", {"signup_at": "1899-12-31T23:59:59"}),
        ("unreadable_timestamp", {"signup_at": "infinity"}),
        ("unreadable_timestamp", {"updated_at": "2026-11-21T06:00:01"}),
        ("unreadable_number", {"latitude": "north"}),
        ("unreadable_number", {"loyalty_points": "nan"}),
        ("unreadable_boolean", {"is_vip": "perhaps"}),
        ("unreadable_json", {"attributes": "{"}),
        ("unreadable_json", {"tags": '["a"'}),
    ],
    "organizations": [
        ("missing_user_id", {"user_id": None}),
        ("unknown_timezone", {"timezone": "Europe/Atlantis"}),
        ("unknown_org_type", {"org_type": "circus"}),
        ("unreadable_number", {"gross_margin_rate": "half"}),
    ],
}


@pytest.mark.parametrize("feed", BAD_DIMENSION_ROWS)
def test_bad_dimension_rows_are_rejected(warehouse: Warehouse, feed: str) -> None:
    cases = BAD_DIMENSION_ROWS[feed]
    good = [{"user_id": f"t{n}", "customer_id": f"c{n}"} for n in range(len(cases))]
    bad = [record | values for record, (_, values) in zip(good, cases, strict=True)]
    warehouse.write(f"{feed}/a.jsonl", [*bad, *good])
    warehouse.run()
    assert warehouse.rejects() == [(number, rule) for number, (rule, _) in enumerate(cases, start=1)]
    assert warehouse.values(f"select count(*) from raw.{feed}") == [len(good)]


def test_customer_dates_at_the_edge_are_kept(warehouse: Warehouse) -> None:
    edges = [
        {"birth_date": "1900-01-01", "signup_at": "1900-01-01"},
        {"birth_date": "2026-11-20", "updated_at": "2026-11-21T06:00:00"},
    ]
    warehouse.write("customers/a.jsonl", [{"customer_id": f"c{n}"} | dates for n, dates in enumerate(edges)])
    warehouse.run()
    assert warehouse.rejects() == []


def test_organization_row_is_typed(warehouse: Warehouse) -> None:
    warehouse.write(
        "organizations/a.csv",
        "user_id,name,org_type,timezone,gross_margin_rate\nt1,Shop,Ecommerce,Europe/Berlin,0.4\nt2,,,,\n",
    )
    report = warehouse.run()
    columns = "user_id, name, org_type, timezone, gross_margin_rate"
    found = warehouse.rows(f"select {columns} from raw.organizations order by all")
    assert found == [("t1", "Shop", "ecommerce", "Europe/Berlin", 0.4), ("t2", None, None, None, None)]
    assert not report.warnings


def test_dated_version_repeats_any_equal_version(warehouse: Warehouse) -> None:
    def version(tier: str, at: str) -> dict[str, str]:
        return {"customer_id": "c1", "loyalty_tier": tier, "updated_at": at}

    warehouse.write("customers/a.jsonl", [version("gold", "2026-01-01"), version("silver", "2026-02-01")])
    warehouse.run()
    warehouse.write("customers/b.jsonl", [version("gold", "2026-01-01"), version("gold", "2026-03-01")])
    warehouse.run()
    assert warehouse.counts("customers/b.jsonl") == (2, 1, 0, 1, 0, 0)
    found = warehouse.values("select loyalty_tier from raw.customers order by updated_at")
    assert found == ["gold", "silver", "gold"]


def test_undated_version_repeats_only_the_latest(warehouse: Warehouse) -> None:
    for number, tier in enumerate(("gold", "gold", "silver", "gold")):
        line = json.dumps({"customer_id": "c1", "loyalty_tier": tier})
        warehouse.write(f"customers/{number}.jsonl", line + "\n" * number)  # no file is a copy of another
        warehouse.run()
    found = warehouse.values("select loyalty_tier from raw.customers order by updated_at")
    assert found == ["gold", "silver", "gold"]
    assert warehouse.values("select count(distinct row_id) from raw.customers") == [3]


def test_value_that_comes_back_within_a_file_is_a_version(warehouse: Warehouse) -> None:
    lines = [{"customer_id": "c1", "loyalty_tier": tier} for tier in ("gold", "silver", "silver", "gold")]
    warehouse.write("customers/a.jsonl", lines)
    warehouse.run()
    assert warehouse.counts("customers/a.jsonl") == (4, 3, 0, 1, 0, 0)
    assert warehouse.values("select record_number from raw.customers order by all") == [1, 2, 4]


def test_customers_that_left_a_file_are_counted_once(warehouse: Warehouse) -> None:
    customers = [{"customer_id": f"c{n}", "loyalty_tier": "gold"} for n in range(3)]
    warehouse.write("customers/a.jsonl", customers)
    warehouse.run()
    changed = [customers[0] | {"loyalty_tier": "silver"}, customers[1]]
    warehouse.write("customers/a.jsonl", changed)
    assert len(warehouse.run().warnings) == 1
    assert warehouse.counts("customers/a.jsonl") == (2, 1, 0, 1, 0, 1)
    warehouse.write("customers/a.jsonl", [customers[0] | {"loyalty_tier": "iron"}, customers[1]])
    assert not warehouse.run().warnings


def test_columns_that_have_no_place_are_named(warehouse: Warehouse) -> None:
    warehouse.write("organizations/a.csv", "user_id,color\nt1,red\n")
    assert warehouse.run().warnings == ("organizations: columns without a place were not kept: color",)


# ── Assignments to manual segments ────────────────────────────────────────────────────────────


@pytest.fixture
def manual_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be the manual segments `vip` and `press` of every tenant, and `staff` of tenant bank."""
    monkeypatch.setattr(feeds, "manual_segments", lambda: frozenset({("*", "vip"), ("*", "press"), ("bank", "staff")}))


def assignment(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a valid record of segment_assignments with some values set."""
    return {"segment": "vip", "customer_id": "c1", "action": "add", "at": "2026-11-01T10:00:00"} | values


@pytest.mark.usefixtures("manual_segments")
def test_assignment_row_is_typed(warehouse: Warehouse) -> None:
    warehouse.write(
        "segment_assignments/a.csv",
        "user_id,segment,customer_id,action,at,actor,reason\n"
        "bank, staff,c1, ADD ,2026-11-01T10:00:00+01:00,ann,works here\n"
        ",press,c2,remove,,,\n",
    )
    assert warehouse.run().warnings == ()
    columns = "user_id, segment_key, customer_id, action, actor, reason, updated_at"
    assert warehouse.rows(f"select {columns} from raw.segment_assignments order by all") == [
        ("bank", "staff", "c1", "add", "ann", "works here", datetime(2026, 11, 1, 9)),  # noqa: DTZ001
        ("default", "press", "c2", "remove", None, None, LOADED_AT),
    ]


BAD_ASSIGNMENTS = [
    ("missing_segment", {"segment": " "}),
    ("missing_customer_id", {"customer_id": None}),
    ("missing_action", {"action": ""}),
    ("unknown_action", {"action": "promote"}),
    ("unreadable_timestamp", {"at": "soon"}),
    ("unreadable_timestamp", {"at": "1899-12-31T23:59:59"}),
    ("unreadable_timestamp", {"at": "infinity"}),
    ("future_timestamp", {"at": "2026-11-21T06:00:01"}),
    ("not_a_manual_segment", {"segment": "champions"}),
    ("not_a_manual_segment", {"segment": "x') or true --"}),
    ("not_a_manual_segment", {"segment": "staff"}),
    ("not_a_manual_segment", {"segment": "staff", "user_id": "shop"}),
]


@pytest.mark.usefixtures("manual_segments")
def test_bad_assignments_are_rejected_in_the_words_of_the_file(warehouse: Warehouse) -> None:
    good = [assignment(customer_id=f"g{n}") for n in range(len(BAD_ASSIGNMENTS))]
    good.append(assignment(segment="staff", user_id="bank", at="2026-11-21T06:00:00"))
    warehouse.write("segment_assignments/a.jsonl", [*(assignment(**values) for _, values in BAD_ASSIGNMENTS), *good])
    warehouse.run()
    assert warehouse.rejects() == [(number, rule) for number, (rule, _) in enumerate(BAD_ASSIGNMENTS, start=1)]
    assert warehouse.values("select count(*) from raw.segment_assignments") == [len(good)]
    assert dict(warehouse.rows("select rule, any_value(detail) from raw.rejected_rows group by rule")) == {
        "missing_segment": "segment is empty",
        "missing_customer_id": "customer_id is empty",
        "missing_action": "action is empty",
        "unknown_action": "action is none of add, remove",
        "unreadable_timestamp": "at is not a readable time from 1900 on",
        "future_timestamp": "at is later than the load plus one day",
        "not_a_manual_segment": "segment is no manual segment of the tenant: press, vip, staff (tenant bank)",
    }


def test_assignments_are_rejected_while_no_segment_is_manual(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed is read at each load: a segment that was added is known to the next one."""
    monkeypatch.setattr(feeds, "manual_segments", frozenset)
    bad = warehouse.write("segment_assignments/a.jsonl", [assignment()])
    assert [row.path for row in warehouse.run().refused] == ["segment_assignments/a.jsonl"]
    monkeypatch.setattr(feeds, "manual_segments", lambda: frozenset({("*", "vip")}))
    load.retry(warehouse.con, "segment_assignments/a.jsonl")
    assert bad.exists()
    assert [row.kept_count for row in warehouse.run().files] == [1]


def test_manual_segments_are_those_of_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_SEEDS", tmp_path)
    assert feeds.manual_segments() == frozenset()
    seed = tmp_path / "segments" / "segments.csv"
    seed.parent.mkdir()
    seed.write_text(
        "segment_key,since,user_id,name,is_automatic,is_active\n"
        "vip,2000-01-01,*,VIP,false,true\n"
        "vip,2026-01-01,*,VIP,false,false\n"
        "staff,2000-01-01,bank,Staff,False,true\n"
        "champions,2000-01-01,*,Champions,true,true\n"
    )
    assert feeds.manual_segments() == {("*", "vip"), ("bank", "staff")}


@pytest.mark.usefixtures("manual_segments")
def test_assignments_that_repeat_change_nothing(warehouse: Warehouse) -> None:
    rows = [assignment(), assignment(action="remove", at="2026-11-02"), assignment(at="2026-11-03")]
    warehouse.write("segment_assignments/a.jsonl", rows)
    warehouse.run()
    before = warehouse.rows("select * from raw.segment_assignments order by all")
    warehouse.write("segment_assignments/again.jsonl", [rows[1], rows[0]])
    warehouse.run()
    assert warehouse.counts("segment_assignments/again.jsonl") == (2, 0, 0, 2, 0, 0)
    assert warehouse.rows("select * from raw.segment_assignments order by all") == before
    undated = {"segment": "press", "customer_id": "c1", "action": "add"}
    for number in (1, 2):
        warehouse.write(f"segment_assignments/undated-{number}.csv", "segment,customer_id,action\npress,c1,add\n")
        warehouse.run()
    assert warehouse.values(
        f"select count(*) from raw.segment_assignments where segment_key = '{undated['segment']}'"
    ) == [1]


@pytest.mark.usefixtures("manual_segments")
def test_withdrawn_assignments_are_a_reason_to_build_and_touch_no_date(warehouse: Warehouse) -> None:
    warehouse.write("segment_assignments/a.jsonl", [assignment(), assignment(customer_id="c2")])
    warehouse.run()
    assert warehouse.pending() == [1]
    warehouse.write("segment_assignments/b.jsonl", [assignment()])
    warehouse.run()
    warehouse.publish()
    assert load.withdraw(warehouse.con, "segment_assignments/a.jsonl", **warehouse.at_this_run()) == 1
    assert warehouse.rows("select customer_id, load_id from raw.segment_assignments") == [("c1", 2)]
    requests = (
        "select user_id, state, len(generate_series(from_date, to_date, interval 1 day)) from raw.recompute_requests"
    )
    assert warehouse.rows(requests) == [("default", "pending", 0)]
    assert warehouse.rows("select feed, load_id, row_count from raw.tenant_loads") == [("segment_assignments", 2, 1)]


# ── What other systems predict ────────────────────────────────────────────────────────────────


BAD_SCORES = [
    ("missing_customer_id", {"customer_id": " "}, "customer_id is empty"),
    ("missing_churn_score", {"churn_score": ""}, "Customer c1: churn_score is empty"),
    ("not_a_number", {"churn_score": "high"}, "Customer c1: churn_score is not a number"),
    ("not_finite", {"churn_score": "nan"}, "Customer c1: churn_score is not finite"),
    ("not_finite", {"churn_score": "Infinity"}, "Customer c1: churn_score is not finite"),
    ("not_finite", {"churn_score": "-inf"}, "Customer c1: churn_score is not finite"),
    ("unknown_scale", {"scale": "percent"}, "Customer c1: scale is none of 1, 1.0, 0-1, 100, 100.0, 0-100"),
    *(
        (
            "score_out_of_range",
            {"churn_score": value},
            "Customer c1: churn_score is not between 0 and 1, and no column `scale` says 0-100",
        )
        for value in ("1.0001", "-0.0001", "70", "1e300")
    ),
    *(
        (
            "score_out_of_range",
            {"churn_score": value, "scale": "100"},
            "Customer c1: churn_score is not between 0 and 100",
        )
        for value in ("100.01", "-1")
    ),
    (
        "unreadable_timestamp",
        {"updated_at": "soon"},
        "Customer c1: updated_at is not a readable time from 1900 on",
    ),
    (
        "future_timestamp",
        {"updated_at": "2026-11-21T06:00:01"},
        "Customer c1: updated_at is later than the load plus one day",
    ),
]


def test_bad_scores_are_rejected_and_their_customer_is_named(warehouse: Warehouse) -> None:
    good = [{"customer_id": f"g{number}", "churn_score": "0.5"} for number in range(len(BAD_SCORES))]
    bad = [{"customer_id": "c1", "churn_score": "0.5"} | values for _, values, _ in BAD_SCORES]
    warehouse.write("churn_scores/shop/a.jsonl", [*bad, *good])
    warehouse.run()
    details = "select record_number, rule, detail from raw.rejected_rows order by record_number"
    assert warehouse.rows(details) == [
        (number, rule, detail) for number, (rule, _, detail) in enumerate(BAD_SCORES, start=1)
    ]
    assert warehouse.counts("churn_scores/shop/a.jsonl") == (len(bad) + len(good), len(good), len(bad), 0, 0, 0)


def test_scores_of_a_file_are_read_in_the_scale_that_it_states(warehouse: Warehouse) -> None:
    warehouse.write("churn_scores/shop/a.csv", "customer_id,churn_score\na,0\nb,1\nc,0.7\n")
    warehouse.write("churn_scores/shop/b.csv", "customer_id,churn_score,scale\nd,70,0-100\ne,0.7,0-1\nf,0.5,\n")
    warehouse.write_parquet(
        "churn_scores/shop/c.parquet",
        "select 'g' customer_id, 30.0::double churn_score, 100.0::double churn_score_scale",
    )
    warehouse.run()
    columns = "customer_id, churn_score, coalesce(scale, churn_score_scale)"
    assert warehouse.rows(f"select {columns} from raw.churn_scores order by customer_id") == [
        ("a", 0, None),
        ("b", 1, None),
        ("c", 0.7, None),
        ("d", 70, "0-100"),
        ("e", 0.7, "0-1"),
        ("f", 0.5, None),
        ("g", 30, "100.0"),
    ]


def test_the_tenant_of_a_score_is_its_column_else_its_folder(warehouse: Warehouse) -> None:
    warehouse.write("churn_scores/shop/2026/a.csv", "customer_id,churn_score\na,0.5\n")
    warehouse.write("churn_scores/it's/a.csv", "user_id,customer_id,churn_score\nbank,b,0.5\n,c,0.5\n")
    warehouse.write("churn_scores/a.csv", "customer_id,churn_score\nd,0.5\n")
    warehouse.run()
    assert warehouse.rows("select customer_id, user_id from raw.churn_scores order by all") == [
        ("a", "shop"),
        ("b", "bank"),
        ("c", "it's"),
        ("d", "default"),
    ]


def test_the_first_sound_row_of_a_customer_in_a_file_counts(warehouse: Warehouse) -> None:
    rows = "a,2\na,0.5\na,0.6\na,0.5\nb,0.5\nc,0.5\nd,0.5\ne,0.5\n"
    warehouse.write("churn_scores/shop/a.csv", "customer_id,churn_score\n" + rows)
    warehouse.write("churn_scores/bank/a.csv", "customer_id,churn_score\na,0.9\n")
    warehouse.run()
    assert warehouse.rejects() == [(1, "score_out_of_range"), (3, "duplicate_customer"), (4, "duplicate_customer")]
    detail = "select distinct detail from raw.rejected_rows where rule = 'duplicate_customer'"
    assert warehouse.values(detail) == ["Customer a: stands more than once in the file: the first valid row counts"]
    scores = "select user_id, churn_score from raw.churn_scores where customer_id = 'a' order by all"
    assert warehouse.rows(scores) == [("bank", 0.9), ("shop", 0.5)]


BAD_PREDICTIONS = [
    ("missing_customer_id", {"customer_id": ""}),
    ("not_a_number", {"predicted_ltv_3year": "much"}),
    ("not_finite", {"predicted_ltv_5year": "inf"}),
    ("not_finite", {"confidence_score": "nan"}),
    ("value_out_of_range", {"current_ltv": "-0.01"}),
    ("value_out_of_range", {"predicted_ltv_5year": "1e10"}),
    ("probability_out_of_range", {"churn_probability": "15"}),
    ("probability_out_of_range", {"confidence_score": "-0.1"}),
    ("unknown_growth_potential", {"growth_potential": "huge"}),
    ("no_prediction", {"predicted_ltv_1year": None, "current_ltv": "5"}),
    ("value_decreases", {"predicted_ltv_3year": "49"}),
    ("value_decreases", {"current_ltv": "51"}),
    ("unreadable_timestamp", {"prediction_date": "soon"}),
    ("future_timestamp", {"prediction_date": "2026-11-21T06:00:01"}),
]


def test_bad_predictions_are_rejected(warehouse: Warehouse) -> None:
    good = [{"customer_id": f"g{number}", "growth_potential": " High"} for number in range(len(BAD_PREDICTIONS))]
    bad = [{"customer_id": "c1", "predicted_ltv_1year": "50"} | values for _, values in BAD_PREDICTIONS]
    warehouse.write("ltv_predictions/shop/a.jsonl", [*bad, *good])
    warehouse.run()
    assert warehouse.rejects() == [(number, rule) for number, (rule, _) in enumerate(BAD_PREDICTIONS, start=1)]
    assert warehouse.rows("select distinct user_id, growth_potential from raw.ltv_predictions") == [("shop", "high")]


def test_a_prediction_is_dated_by_its_own_column(warehouse: Warehouse) -> None:
    warehouse.write(
        "ltv_predictions/shop/a.csv",
        "customer_id,current_ltv,predicted_ltv_1year,churn_probability,growth_potential,confidence_score,prediction_date\n"
        "a,1250.00,1850.00,0.15,high,0.87,2026-11-01\nb,,,0.2,,,\n",
    )
    warehouse.run()
    columns = "customer_id, current_ltv, predicted_ltv_1year, churn_probability, updated_at"
    assert warehouse.rows(f"select {columns} from raw.ltv_predictions order by customer_id") == [
        ("a", 1250, 1850, 0.15, datetime(2026, 11, 1)),  # noqa: DTZ001
        ("b", None, None, 0.2, LOADED_AT),
    ]


def test_scores_that_repeat_change_nothing_and_withdrawn_ones_touch_no_date(warehouse: Warehouse) -> None:
    for path in ("churn_scores/shop/a.csv", "churn_scores/shop/b.csv"):
        warehouse.write(path, "customer_id,churn_score\na,0.5\n")
        warehouse.run()
    assert warehouse.counts("churn_scores/shop/b.csv") == (1, 0, 0, 1, 0, 0)
    assert warehouse.values("select count(*) from raw.duplicate_churn_scores") == [1]
    warehouse.publish()
    load.withdraw(warehouse.con, "churn_scores/shop/a.csv", **warehouse.at_this_run())
    assert warehouse.values("select file_id from raw.churn_scores") == [2]
    requests = "select user_id, len(generate_series(from_date, to_date, interval 1 day)) from raw.recompute_requests"
    assert warehouse.rows(requests) == [("shop", 0)]


# ── New files ─────────────────────────────────────────────────────────────────────────────────


def test_known_file_is_neither_read_nor_loaded_again(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.write("events/a.jsonl", [event()])
    warehouse.run()
    warehouse.publish()
    monkeypatch.setattr(loading, "fingerprinted", lambda _file: pytest.fail("a known file was read"))
    report = warehouse.run()
    assert report == load.LoadReport()
    assert warehouse.values("select count(*) from raw.load_ledger") == [1]


def test_same_content_under_another_name_is_skipped_and_remembered(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.write("events/a.jsonl", [event()])
    warehouse.write("events/b.jsonl", [event()])
    warehouse.run()
    warehouse.write("events/sub/c.jsonl", [event()])
    report = warehouse.run()
    assert [(row.path, row.state, row.reason) for row in load.list_loads(warehouse.con)] == [
        ("events/sub/c.jsonl", "skipped", "same content as events/a.jsonl"),
        ("events/b.jsonl", "skipped", "same content as events/a.jsonl"),
        ("events/a.jsonl", "pending", None),
    ]
    assert [row.state for row in report.files] == ["skipped"]
    assert warehouse.values("select count(*) from raw.events") == [1]
    monkeypatch.setattr(loading, "fingerprinted", lambda _file: pytest.fail("a skipped file was read"))
    warehouse.run()


def test_same_content_as_a_refused_file_is_refused(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", MOSTLY_BAD)
    warehouse.write("events/copy.jsonl", MOSTLY_BAD)
    refused = warehouse.run().refused
    assert [(row.path, row.row_count, row.rejected_count) for row in refused] == [
        ("events/bad.jsonl", 3, 2),
        ("events/copy.jsonl", 3, 2),
    ]
    assert "warehouse load accept events/copy.jsonl" in refused[1].reason
    report = load.accept(warehouse.con, warehouse.raw, "events/copy.jsonl", **warehouse.at_this_run())
    assert [row.state for row in report.files] == ["pending"]


def test_same_bytes_in_another_format_are_another_content(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", [event()])
    file = warehouse.write("events/a.jsonl", [event()])
    assert [(row.path, row.state) for row in warehouse.run().files] == [
        ("events/a.csv", "refused"),
        ("events/a.jsonl", "pending"),
    ]
    file.rename(file.with_name("b.csv"))
    assert [row.state for row in warehouse.run().files] == ["refused"]


def test_replaced_file_may_turn_into_a_copy(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1")])
    warehouse.write("events/b.jsonl", [event(id="2")])
    warehouse.run()
    warehouse.write("events/a.jsonl", [event(id="2")])
    report = load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", **warehouse.at_this_run())
    assert [row.state for row in report.files] == ["skipped"]
    assert warehouse.values("select source_event_id from raw.events") == ["2"]


def test_touched_file_with_the_same_content_is_skipped(warehouse: Warehouse) -> None:
    file = warehouse.write("events/a.jsonl", [event()])
    warehouse.run()
    os.utime(file, (1, 1))
    assert [row.state for row in warehouse.run().files] == ["skipped"]


def test_appended_log_adds_its_new_lines(warehouse: Warehouse) -> None:
    lines = [event(), event(), event(customer_id="c2")]  # two identical lines without id
    warehouse.write("events/log.jsonl", lines)
    warehouse.run()
    warehouse.write("events/log.jsonl", [*lines, event(), event(customer_id="c3")])
    report = warehouse.run()
    assert warehouse.counts("events/log.jsonl") == (5, 2, 0, 3, 0, 0)
    assert warehouse.values("select customer_id from raw.events order by all") == ["c1", "c1", "c1", "c2", "c3"]
    assert not report.warnings


def test_lines_that_the_new_version_lacks_are_counted_and_stay(warehouse: Warehouse) -> None:
    warehouse.write("events/log.jsonl", good_events(5))
    warehouse.run()
    warehouse.write("events/log.jsonl", good_events(3))
    report = warehouse.run()
    assert warehouse.counts("events/log.jsonl") == (3, 0, 0, 3, 0, 2)
    assert warehouse.values("select count(*) from raw.events") == [5]
    assert len(report.warnings) == 1
    assert "events/log.jsonl: 2 lines" in report.warnings[0]
    assert "warehouse load replace events/log.jsonl" in report.warnings[0]


def test_unknown_feeds_and_formats_are_named(warehouse: Warehouse) -> None:
    warehouse.write("ad_clicks/a.csv", "x\n1\n")
    warehouse.write("ad_clicks/b.csv", "x\n1\n")
    warehouse.write("events/a.xlsx", "x")
    warehouse.write("events/.hidden.csv", "x")
    warehouse.write("stray.csv", "x")
    report = warehouse.run()
    assert [warning.split(":")[0] for warning in report.warnings] == ["ad_clicks", "events/a.xlsx", "stray.csv"]
    assert not report.files


def test_links_are_followed_once_and_dead_ones_named(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.write("events/a.jsonl", [event()])
    (warehouse.raw / "events" / "dead.csv").symlink_to(tmp_path / "nowhere.csv")
    (warehouse.raw / "events" / "circle").symlink_to(warehouse.raw / "events")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.csv").write_text("customer_id\nc1\n")
    (warehouse.raw / "customers").symlink_to(tmp_path / "elsewhere")
    report = warehouse.run()
    assert [row.path for row in report.files] == ["events/a.jsonl", "customers/c.csv"]
    assert report.warnings == ("events/dead.csv: not read: a link that leads nowhere",)


def test_no_raw_folder_at_all_is_no_error(warehouse: Warehouse) -> None:
    warehouse.raw.rmdir()
    assert warehouse.run() == load.LoadReport()


# ── Files that cannot be loaded ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("events/bad.csv", "customer_id,created_at\nc,2026-11-01\n", "required column missing: event_type"),
        ("events/bad.csv", "", "is empty"),
        ("events/bad.csv", "customer_id,event_type,created_at,Created_At\n", "stands twice"),
        ("events/bad.jsonl", '{"customer_id": "c", "event_type": "e"}\n', "required column missing: created_at"),
        ("events/bad.parquet", "PAR1 but not really", "cannot be read as parquet"),
        ("customers/bad.csv", "id\n1\n", "required column missing: customer_id"),
        ("organizations/bad.csv", "name\nx\n", "required column missing: user_id"),
    ],
)
def test_file_that_cannot_be_loaded_is_refused_and_the_rest_goes_on(
    warehouse: Warehouse, path: str, content: str, reason: str
) -> None:
    warehouse.write(path, content)
    warehouse.write("events/good.jsonl", [event()])
    report = warehouse.run()
    assert [row.path for row in report.refused] == [path]
    assert report.refused[0].reason.startswith(f"{path}: ")
    assert reason in report.refused[0].reason
    assert str(warehouse.raw) not in report.refused[0].reason
    assert warehouse.values("select count(*) from raw.events") == [1]
    assert not warehouse.run().files, "a refused file is not tried again by itself"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("events/bad.jsonl", b'{"customer_id":"\xc3'),
        ("events/bad.csv", f"{HEADER},os\n1,t,Zoë,login,2026-11-01,".encode() + b"\xe2\x82"),
    ],
)
def test_file_cut_off_within_a_character_is_refused(warehouse: Warehouse, path: str, content: bytes) -> None:
    warehouse.write(path, content)
    warehouse.write("events/good.jsonl", [event()])
    refused = warehouse.run().refused
    assert [row.path for row in refused] == [path]
    assert refused[0].reason.startswith(f"{path}: is cut off within its last character")
    assert warehouse.values("select count(*) from raw.events") == [1]


@pytest.mark.parametrize("error", [ValueError("odd bytes"), csv.Error("line contains NUL")])
def test_file_that_fails_while_it_is_read_is_refused(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(reading, "_stage_jsonl", fail)
    warehouse.write("events/a.jsonl", [event()])
    warehouse.write("events/b.csv", f"{HEADER}\n1,t,c1,login,2026-11-01\n")
    assert [row.path for row in warehouse.run().refused] == ["events/a.jsonl"]
    assert warehouse.values("select count(*) from raw.events") == [1]


def test_file_that_cannot_be_opened_is_refused(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    warehouse.write("events/a.jsonl", [event()])
    warehouse.write("events/b.csv", f"{HEADER}\n")
    monkeypatch.setattr("pathlib.Path.open", closed)
    reasons = [row.reason for row in warehouse.run().refused]
    assert len(reasons) == 2
    assert all("Permission denied" in reason and "warehouse load retry" in reason for reason in reasons)


def test_parquet_without_a_required_column_is_refused(warehouse: Warehouse) -> None:
    warehouse.write_parquet("events/a.parquet", "select 'c' as customer_id, 'e' as event_type")
    assert "required column missing: created_at" in warehouse.run().refused[0].reason


def test_parquet_with_a_broken_page_is_refused_alone(warehouse: Warehouse) -> None:
    columns = "md5(i::varchar) as customer_id, 'e' as event_type, timestamp '2026-11-01' as created_at"
    select = f"select {columns} from range({{}}) t(i)"
    bad = warehouse.write_parquet("events/bad.parquet", select.format(5000))
    warehouse.write_parquet("events/good.parquet", select.format(10))
    content = bytearray(bad.read_bytes())
    content[1000:60_000] = bytes(59_000)
    bad.write_bytes(content)
    report = warehouse.run()
    assert [row.path for row in report.refused] == ["events/bad.parquet"]
    assert warehouse.values("select count(*) from raw.events") == [10]


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_parquet_is_refused(warehouse: Warehouse, share: float) -> None:
    """Nothing of it, a half, or all but the end of its footer."""
    columns = "i::varchar as customer_id, 'e' as event_type, timestamp '2026-11-01' as created_at"
    bad = warehouse.write_parquet("events/bad.parquet", f"select {columns} from range(5000) t(i)")
    content = bad.read_bytes()
    bad.write_bytes(content[: int(len(content) * share)])
    warehouse.write("events/good.jsonl", [event()])
    refused = warehouse.run().refused
    assert [row.path for row in refused] == ["events/bad.parquet"]
    assert "write the file anew" in refused[0].reason
    assert warehouse.values("select count(*) from raw.events") == [1]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_last_line_that_is_cut_off_costs_that_line_only(warehouse: Warehouse, suffix: str) -> None:
    """What was cut off comes with the whole file: it is another content, and its lines are known."""
    lines = [f'{n},t,c{n},login,2026-11-01,"some text"' for n in range(1, 51)]
    if suffix == "jsonl":
        lines = [json.dumps(record) for record in good_events(50, product_name="some text")]
    else:
        lines.insert(0, f"{HEADER},product_name")
    whole = "\n".join(lines) + "\n"
    warehouse.write(f"events/a.{suffix}", whole[:-8])
    warehouse.run()
    assert warehouse.counts(f"events/a.{suffix}") == (50, 49, 1, 0, 0, 0)
    assert warehouse.rejects() == [(50, "unreadable_line")]
    warehouse.write(f"events/a.{suffix}", whole)
    warehouse.run()
    assert warehouse.counts(f"events/a.{suffix}") == (50, 1, 0, 49, 0, 0)


def test_quotation_mark_that_is_never_closed_swallows_no_lines(warehouse: Warehouse) -> None:
    """All lines after it would be one value: they would be lost and counted as one rejected record."""
    lines = [f"{n},t,c{n},login,2026-11-01,name" for n in range(1, 1001)]
    lines[900] = '901,t,c901,login,2026-11-01,"name'
    warehouse.write("events/a.csv", "\n".join([f"{HEADER},product_name", *lines]) + "\n")
    warehouse.write("events/good.jsonl", [event()])
    refused = warehouse.run().refused
    assert [row.path for row in refused] == ["events/a.csv"]
    assert "a quotation mark opens in record 901 and is not closed" in refused[0].reason
    assert warehouse.values("select count(*) from raw.events") == [1]
    lines[900] = "901,t,c901,login,2026-11-01,name"
    warehouse.write("events/a.csv", "\n".join([f"{HEADER},product_name", *lines]) + "\n")
    warehouse.run()
    assert warehouse.counts("events/a.csv") == (1000, 1000, 0, 0, 0, 0)


@pytest.mark.parametrize(("width", "closed_in"), [(12_000, None), (200, 90_000)])
def test_quotation_mark_that_is_closed_too_far_away_swallows_no_lines(
    warehouse: Warehouse, width: int, closed_in: int | None
) -> None:
    """Lines so long that DuckDB tells only their beginning; a value of many lines beyond the limit of a record."""
    lines = [f"{n},t,c{n},login,2026-11-01,{'x' * width}" for n in range(1, 20_000_000 // width)]
    lines[10] = '11,t,c11,login,2026-11-01,"' + "x" * width
    if closed_in:
        lines[closed_in] += '"'
    warehouse.write("events/a.csv", "\n".join([f"{HEADER},product_name", *lines]) + "\n")
    assert "a quotation mark opens in record 11 and is not closed" in warehouse.run().refused[0].reason
    assert warehouse.values("select count(*) from raw.events") == [0]


def test_utf_16_is_named(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", f"{HEADER}\n1,t,c1,login,2026-11-01\n".encode("utf-16"))
    assert warehouse.run().refused[0].reason == "events/a.csv: is written in UTF-16: write it in UTF-8"


def test_compressed_text_is_named_not_read(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv.gz", b"\x1f\x8b half a stream")
    report = warehouse.run()
    assert report.warnings == ("events/a.csv.gz: not read: neither .parquet, .csv, .jsonl",)
    assert not report.files


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_ten_megabytes_in_one_field_are_kept(warehouse: Warehouse, suffix: str) -> None:
    size = 10 * 2**20
    if suffix == "csv":
        text = ("x" * 99 + "\n") * (size // 100) + "x" * (size % 100)
        warehouse.write("events/a.csv", f'{HEADER},product_name\n1,t,c1,e,2026-11-01,"{text}"\n2,t,c2,e,2026-11-01,\n')
    elif suffix == "jsonl":
        warehouse.write("events/a.jsonl", [event(product_name="x" * size), event(id="2")])
    else:
        columns = "'e' as event_type, timestamp '2026-11-01' as created_at"
        select = (
            f"select 'c' || i as customer_id, {columns}, case i when 0 then repeat('x', {size}) end as product_name"
        )
        warehouse.write_parquet("events/a.parquet", f"{select} from range(2) t(i)")
    warehouse.run()
    assert warehouse.rows("select length(product_name) from raw.events order by record_number") == [(size,), (None,)]


def test_csv_record_beyond_the_limit_is_quarantined(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", f"{HEADER}\n1,t,c1,login,2026-11-01\n2,t,{'x' * 17 * 2**20},login,2026-11-01\n")
    warehouse.run()
    assert warehouse.counts("events/a.csv") == (2, 1, 1, 0, 0, 0)
    assert warehouse.rejects() == [(2, "unreadable_line")]


def test_column_that_changes_its_type_is_read_as_before(warehouse: Warehouse) -> None:
    """From one file to the next, in one load and over two; what cannot be read is quarantined, not the file."""
    columns = "'e' as event_type, timestamp '2026-11-01' as created_at"
    warehouse.write_parquet("events/a.parquet", f"select 17 as customer_id, {columns}, 5 as event_value, 1 as size")
    warehouse.write_parquet(
        "events/b.parquet", f"select '17' as customer_id, {columns}, '6.5' as event_value, 'XL' as size"
    )
    warehouse.run()
    warehouse.write_parquet(
        "events/c.parquet",
        f"select 17.0::double as customer_id, {columns}, v as event_value from (values ('7'), ('seven')) t(v)",
    )
    warehouse.run()
    found = warehouse.rows(
        "select customer_id, event_value::double, event_properties from raw.events order by event_value"
    )
    assert found == [("17", 5, '{"size":1}'), ("17", 6.5, '{"size":"XL"}'), ("17", 7, None)]
    assert warehouse.rejects() == [(2, "value_not_a_number")]


def test_column_that_is_new_one_day_joins_the_properties(warehouse: Warehouse) -> None:
    """The lines of the days before stay as they are."""
    warehouse.write("events/1.csv", f"{HEADER}\n1,t,c1,login,2026-11-01\n")
    warehouse.run()
    warehouse.write(
        "events/2.csv", f"{HEADER},coupon,browser\n1,t,c1,login,2026-11-01,,\n2,t,c2,login,2026-11-02,SAVE,Fox\n"
    )
    warehouse.run()
    assert warehouse.rows("select source_event_id, event_properties, browser from raw.events order by all") == [
        ("1", None, None),
        ("2", '{"coupon":"SAVE"}', "Fox"),
    ]
    assert warehouse.counts("events/2.csv") == (2, 1, 0, 1, 0, 0)
    assert warehouse.values("select is_conflict from raw.duplicate_events") == [False]


def test_empty_jsonl_is_loaded_as_nothing(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", "")
    assert [row.state for row in warehouse.run().files] == ["pending"]


def test_file_with_mostly_bad_rows_never_holds_the_others_up(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", [event(), event(created_at="x"), event(created_at="y")])
    warehouse.write("events/good.jsonl", good_events(3))
    report = warehouse.run()
    reason = report.refused[0].reason
    assert reason.startswith("events/bad.jsonl: 2 of 3 rows were rejected, most by the rule unreadable_timestamp")
    assert "warehouse load accept events/bad.jsonl" in reason
    assert warehouse.counts("events/bad.jsonl") == (3, 0, 2, 0, 0, 0)
    assert warehouse.values("select count(*) from raw.events") == [3]
    assert warehouse.rejects() == []


# ── Duplicates ────────────────────────────────────────────────────────────────────────────────


def test_first_loaded_wins_and_other_content_is_a_conflict(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1", event_value=1), event(id="2")])
    warehouse.run()
    warehouse.write("events/0.jsonl", [event(id="1", event_value=9), event(id="2"), event(id="3")])
    warehouse.run()
    assert warehouse.counts("events/0.jsonl") == (3, 1, 0, 2, 1, 0)
    assert warehouse.values("select event_value::int from raw.events where source_event_id = '1'") == [1]
    found = warehouse.rows("select source_event_id, is_conflict from raw.duplicate_events order by all")
    assert found == [("1", True), ("2", False)]


def test_within_a_load_the_earlier_path_then_record_wins(warehouse: Warehouse) -> None:
    warehouse.write("events/b.jsonl", [event(id="1", browser="b1")])
    warehouse.write("events/a.jsonl", [event(id="1", browser="a1"), event(id="1", browser="a2")])
    warehouse.run()
    assert warehouse.values("select browser from raw.events") == ["a1"]
    assert warehouse.counts("events/a.jsonl") == (2, 1, 0, 1, 1, 0)
    assert warehouse.counts("events/b.jsonl") == (1, 0, 0, 1, 1, 0)


def test_tenants_do_not_share_ids(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1", user_id="t1"), event(id="1", user_id="t2")])
    warehouse.run()
    assert warehouse.values("select user_id from raw.events order by all") == ["t1", "t2"]


def test_names_that_look_like_patterns_name_one_file(warehouse: Warehouse) -> None:
    names = ("day1", "day[1]", "day*", "day?", "[d]ay1")
    for number, name in enumerate(names):
        warehouse.write(f"events/{name}.csv", f"id,customer_id,event_type,created_at\nc{number},c1,login,2026-11-01\n")
        created = "timestamp '2026-11-01' as created_at"
        query = f"select 'p{number}' as id, 'c1' as customer_id, 'login' as event_type, {created}"
        (warehouse.raw / "events" / "part").mkdir(exist_ok=True)
        warehouse.con.execute(f"copy ({query}) to '{warehouse.raw}/events/part/tmp.parquet' (format parquet)")
        (warehouse.raw / "events" / "part" / "tmp.parquet").rename(
            warehouse.raw / "events" / "part" / f"{name}.parquet"
        )
    warehouse.run()
    assert {warehouse.counts(row.path) for row in load.list_loads(warehouse.con)} == {(1, 1, 0, 0, 0, 0)}
    assert warehouse.values("select count(distinct (source_event_id, file_id)) from raw.events") == [10]


def test_not_a_number_is_no_key(warehouse: Warehouse) -> None:
    columns = "'login' as event_type, timestamp '2026-11-01' + to_hours(range::int) as created_at"
    ids = "case when range < 2 then range::double else 'nan'::double end"
    warehouse.write_parquet(
        "events/a.parquet", f"select {ids} as id, 7.0::double as customer_id, {columns} from range(4)"
    )
    warehouse.run()
    found = warehouse.rows("select source_event_id, customer_id from raw.events order by created_at")
    assert found == [("0", "7"), ("1", "7"), (None, "7"), (None, "7")]


def test_white_space_is_an_empty_field_but_in_texts(warehouse: Warehouse) -> None:
    blank = {"event_value": "  ", "event_properties": " ", "location": "\t", "session_id": "  "}
    warehouse.write("events/a.jsonl", [event(id="1", **blank), event(id="2", session_id=" s1 ", product_name=" x ")])
    warehouse.run()
    columns = "event_value, event_properties, location, session_id, product_name"
    assert warehouse.rows(f"select {columns} from raw.events order by source_event_id") == [
        (None, None, None, None, None),
        (None, None, None, "s1", " x "),
    ]


def test_conflicting_repeats_are_told(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1", event_value=3), event(id="2", event_value=3)])
    warehouse.run()
    warehouse.write("events/b.jsonl", [event(id="1", event_value=3), event(id="2", event_value=777)])
    report = warehouse.run()
    assert any(
        warning.startswith("events/b.jsonl: 1 of its 2 duplicate rows say something else")
        for warning in report.warnings
    )


def test_identical_lines_of_a_large_file_without_ids_are_kept(warehouse: Warehouse) -> None:
    """More lines than a row group of DuckDB holds, each twice."""
    lines = "".join(f"c{number // 2},login,2026-11-01\n" for number in range(260_000))
    warehouse.write("events/a.csv", f"customer_id,event_type,created_at\n{lines}")
    warehouse.run()
    assert warehouse.counts("events/a.csv") == (260_000, 260_000, 0, 0, 0, 0)
    assert warehouse.rows("select count(*), count(distinct event_id) from raw.events") == [(260_000, 260_000)]


def test_identical_lines_without_id_are_kept_and_overlaps_add_nothing(warehouse: Warehouse) -> None:
    warehouse.write("events/a.csv", "customer_id,event_type,created_at\n" + "c,e,2026-11-01\n" * 3)
    warehouse.run()
    warehouse.write("events/b.jsonl", [event(customer_id="c", event_type="e", created_at="2026-11-01")] * 2)
    warehouse.run()
    assert warehouse.values("select count(distinct event_id) from raw.events") == [3]
    assert warehouse.counts("events/b.jsonl") == (2, 0, 0, 2, 0, 0)


def test_loads_in_any_grouping_keep_the_same_events(warehouse: Warehouse, tmp_path: Path) -> None:
    files = {
        "events/a.jsonl": [event(), event(), event(id="1", os="x")],
        "events/b.jsonl": [event(), event(), event(), event(id="1", os="y"), event(created_at="bad")],
        "events/c.jsonl": [event(id="1", os="z"), event(customer_id="c2")],
    }
    for path, records in files.items():
        warehouse.write(path, records)
        warehouse.run()
    (tmp_path / "together").mkdir()
    together = Warehouse(tmp_path / "together")
    for path, records in files.items():
        together.write(path, records)
    together.run()
    columns = "* exclude (load_id)"
    for table in ("events", "duplicate_events"):
        sql = f"select {columns} from raw.{table} order by all"
        assert warehouse.rows(sql) == together.rows(sql)


def test_tenant_loads_tell_who_got_rows(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1", user_id="t1"), event(id="2"), event(id="3")])
    warehouse.run()
    warehouse.write("events/b.jsonl", [event(id="1", user_id="t1"), event(id="4")])
    warehouse.run()
    assert warehouse.rows("select load_id, user_id, row_count, loaded_at from raw.tenant_loads order by all") == [
        (1, "default", 2, LOADED_AT),
        (1, "t1", 1, LOADED_AT),
        (2, "default", 1, LOADED_AT + timedelta(days=1)),
    ]


# ── Transactions ──────────────────────────────────────────────────────────────────────────────


def snapshot(warehouse: Warehouse) -> dict[str, list[tuple]]:
    """Return the content of every table."""
    return {table: warehouse.rows(f"from {table} order by all") for table in load.TABLES}


@pytest.mark.parametrize("step", ["insert_events", "judge_duplicates", "write_tenant_loads", "judge", "write_ledger"])
def test_crash_leaves_nothing_and_the_next_run_loads_all(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    before = snapshot(warehouse)
    warehouse.write("events/b.jsonl", [*good_events(4), event(created_at="bad")])
    with monkeypatch.context() as patch:
        patch.setattr(loading, step, crash)
        with pytest.raises(KeyboardInterrupt):
            warehouse.run()
    assert snapshot(warehouse) == before
    warehouse.run()
    assert warehouse.counts("events/b.jsonl") == (5, 1, 1, 3, 0, 0)


def crash(*_: object) -> None:
    """Stop as an impatient user does."""
    raise KeyboardInterrupt


def load_and_be_killed(home: str, step: str) -> None:
    """Load b.jsonl in this process, which dies at a step."""
    con = duckdb.connect(f"{home}/warehouse.duckdb")
    setattr(loading, step, child.kill_self)
    load.load_new_files(con, Path(home, "raw"), run_id="killed", loaded_at=LOADED_AT)


@pytest.mark.parametrize("step", ["quarantine", "write_ledger"])
def test_load_killed_with_9_leaves_nothing_and_the_next_loads_all(
    warehouse: Warehouse, tmp_path: Path, step: str
) -> None:
    """Within the transaction, rows written and not yet entered in the ledger."""
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    before = snapshot(warehouse)
    warehouse.write("events/b.jsonl", [*good_events(4), event(created_at="bad")])
    warehouse.con.close()
    killed = child.run(child.command_of(load_and_be_killed, tmp_path, step))
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    warehouse.con = duckdb.connect(str(tmp_path / "warehouse.duckdb"))
    assert snapshot(warehouse) == before
    warehouse.run()
    assert warehouse.counts("events/b.jsonl") == (5, 1, 1, 3, 0, 0)


def load_on_a_full_disk(folder: str) -> None:
    """Fill the disk of this folder, load, make room, and load again; print what the first load ended in."""
    warehouse = Warehouse(Path(folder))
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    before = snapshot(warehouse)
    # Texts that do not compress, more of them than the room that is left.
    warehouse.write(
        "events/b.csv",
        f"{HEADER},product_name\n"
        + "".join(f"{n},t,c{n},login,2026-11-01,{os.urandom(400).hex()}\n" for n in range(20_000)),
    )
    child.fill(Path(folder), 4 * 2**20)
    try:
        warehouse.run()
    except (duckdb.Error, OSError) as error:
        print(in_words(str(error), Path(folder)) or error)  # noqa: T201 - to the test that called this process
    else:
        raise AssertionError("the disk took everything")
    child.make_room(Path(folder))
    warehouse.con.close()
    warehouse.con = duckdb.connect(f"{folder}/warehouse.duckdb")
    assert snapshot(warehouse) == before
    assert [row.state for row in warehouse.run().files] == ["pending"]
    assert warehouse.counts("events/b.csv") == (20_000, 20_000, 0, 0, 0, 0)
    assert warehouse.values("select count(distinct event_id) from raw.events") == [20_003]


def test_full_disk_stops_the_load_and_the_next_one_loads_all(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    said = child.run_on_small_disk(child.command_of(load_on_a_full_disk, disk), disk, "100m")
    assert f"the disk is full: {disk}" in said
    assert "make room there and call `warehouse run` again: nothing is lost" in said


def test_books_that_do_not_balance_stop_the_load(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.write("events/a.jsonl", good_events(2))
    monkeypatch.setattr(loading, "quarantine", lambda *_: {1: 1})
    with pytest.raises(load.LoadError, match=re.escape("2 rows in the file")):
        warehouse.run()
    assert warehouse.values("select count(*) from raw.events") == [0]


# ── Pending and published ─────────────────────────────────────────────────────────────────────


def test_load_is_pending_until_published(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event()])
    warehouse.write("customers/a.jsonl", [{"customer_id": "c1"}])
    warehouse.run()
    assert warehouse.pending() == [1, 2]
    warehouse.run()
    assert warehouse.pending() == [1, 2], "a crash between load and publish must not lose the loads"
    warehouse.publish()
    warehouse.run()
    assert warehouse.pending() == []


def test_progress_is_told(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event()])
    warehouse.run(on_progress=warehouse.messages.append)
    assert warehouse.messages[0].startswith("events: files 1 pending; rows 1 kept, 0 rejected, 0 duplicate (")


def test_times_with_a_zone_are_taken_as_that_instant(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event()])
    at = datetime(2026, 11, 20, 6, tzinfo=UTC)
    load.load_new_files(warehouse.con, warehouse.raw, run_id="r", loaded_at=at)
    assert warehouse.values("select loaded_at from raw.load_ledger") == [LOADED_AT]


def test_clock_set_back_changes_no_order(warehouse: Warehouse) -> None:
    """The later load is dated like the one before it: its version without a time of its own is the latest."""
    warehouse.write("customers/a.jsonl", [{"customer_id": "c1", "loyalty_tier": "gold"}])
    warehouse.run()
    warehouse.write("customers/b.jsonl", [{"customer_id": "c1", "loyalty_tier": "silver"}])
    set_back = LOADED_AT - timedelta(days=2)
    report = load.load_new_files(warehouse.con, warehouse.raw, run_id="r", loaded_at=set_back)
    latest = "select loyalty_tier from raw.customers order by updated_at desc, load_id desc limit 1"
    assert warehouse.values(latest) == ["silver"]
    assert warehouse.values("select distinct loaded_at from raw.load_ledger") == [LOADED_AT]
    assert report.warnings == (
        "the clock says 2026-11-18 06:00 UTC, before the last load (2026-11-20 06:00): new files are dated like it",
    )


def test_time_zone_of_the_machine_changes_no_row(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [event(id=str(n), created_at=text) for n, text in enumerate(TIMES)]
    profiles = [{"customer_id": "c1", "signup_at": "2026-01-01", "birth_date": "1990-02-03"}]
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Warehouse(tmp_path / "elsewhere")
    for zone, house in (("UTC", warehouse), ("Pacific/Kiritimati", elsewhere)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        house.write("events/a.jsonl", records)
        house.write("customers/a.jsonl", profiles)
        house.run()
        assert not house.run().files, "a known file is known in any zone"
    monkeypatch.undo()
    time.tzset()
    assert snapshot(elsewhere) == snapshot(warehouse)
    elsewhere.con.close()


# ── Accept, retry ─────────────────────────────────────────────────────────────────────────────

MOSTLY_BAD = [event(id="1"), event(id="2", created_at="x"), event(id="3", created_at="y")]


def test_accepted_file_is_loaded_and_the_verdict_recorded(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", MOSTLY_BAD)
    warehouse.run()
    report = load.accept(warehouse.con, warehouse.raw, "events/bad.jsonl", **warehouse.at_this_run())
    assert [row.state for row in report.files] == ["pending"]
    assert report.files[0].reason.startswith("accepted by hand in spite of: events/bad.jsonl: 2 of 3 rows")
    assert warehouse.counts("events/bad.jsonl") == (3, 1, 2, 0, 0, 0)
    assert not warehouse.run().files


def test_accepted_file_is_not_accepted_twice(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", MOSTLY_BAD)
    warehouse.run()
    load.accept(warehouse.con, warehouse.raw, "events/bad.jsonl", **warehouse.at_this_run())
    before = snapshot(warehouse)
    with pytest.raises(load.LoadError, match="not refused"):
        load.accept(warehouse.con, warehouse.raw, "events/bad.jsonl", **warehouse.at_this_run())
    assert snapshot(warehouse) == before


def test_unreadable_file_cannot_be_accepted(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.csv", "customer_id\nc1\n")
    warehouse.run()
    before = snapshot(warehouse)
    with pytest.raises(load.LoadError, match=r"cannot be read, so it stays refused: events/bad\.csv: required"):
        load.accept(warehouse.con, warehouse.raw, "events/bad.csv", **warehouse.at_this_run())
    assert snapshot(warehouse) == before


def test_accept_wants_the_refused_content(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", MOSTLY_BAD)
    warehouse.write("events/good.jsonl", good_events(3))
    warehouse.run()
    for path, problem in (
        ("events/good.jsonl", "not refused"),
        ("events/none.jsonl", "no such file"),
    ):
        with pytest.raises(load.LoadError, match=problem):
            load.accept(warehouse.con, warehouse.raw, path, **warehouse.at_this_run())
    warehouse.write("events/bad.jsonl", MOSTLY_BAD[1:])
    with pytest.raises(load.LoadError, match="changed since it was refused"):
        load.accept(warehouse.con, warehouse.raw, "events/bad.jsonl", **warehouse.at_this_run())


def test_retried_file_is_tried_by_the_next_run(warehouse: Warehouse) -> None:
    warehouse.write("events/bad.jsonl", MOSTLY_BAD)
    warehouse.run()
    assert load.retry(warehouse.con, "events/bad.jsonl") == 1
    assert [row.state for row in warehouse.run().files] == ["refused"]
    with pytest.raises(load.LoadError, match="not refused"):
        load.retry(warehouse.con, "events/good.jsonl")


# ── Withdraw, replace ─────────────────────────────────────────────────────────────────────────


def test_replace_withdraws_the_former_versions_and_promotes_duplicates(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", [event(id="1", os="a"), event(id="2", os="a", created_at="2026-11-05")])
    warehouse.run()
    warehouse.write("events/b.jsonl", [event(id="1", os="b", created_at="2026-11-10"), event(id="9")])
    warehouse.write("events/c.jsonl", [event(id="1", os="b", created_at="2026-11-10")])
    warehouse.run()
    warehouse.publish()
    warehouse.write("events/a.jsonl", [event(id="2", os="corrected"), event(id="3", user_id="t2")])
    load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", **warehouse.at_this_run())

    assert warehouse.rows("select source_event_id, os from raw.events order by all") == [
        ("1", "b"),
        ("2", "corrected"),
        ("3", None),
        ("9", None),
    ]
    assert warehouse.rows("select source_event_id, is_conflict from raw.duplicate_events") == [("1", False)]
    assert warehouse.counts("events/b.jsonl") == (2, 2, 0, 0, 0, 0)
    assert warehouse.counts("events/c.jsonl") == (1, 0, 0, 1, 0, 0)
    assert warehouse.rows(
        "select state, reason from raw.load_ledger where path = 'events/a.jsonl' order by file_id"
    ) == [
        ("withdrawn", "replaced: events/a.jsonl"),
        ("pending", None),
    ]
    assert warehouse.rows("""
        select user_id, from_date, to_date, cause, state, run_id from raw.recompute_requests order by request_id
    """) == [
        ("default", date(2026, 10, 31), date(2026, 11, 2), "replaced: events/a.jsonl", "pending", "run 2"),
        ("default", date(2026, 11, 4), date(2026, 11, 6), "replaced: events/a.jsonl", "pending", "run 2"),
        ("default", date(2026, 11, 9), date(2026, 11, 11), "replaced: events/a.jsonl", "pending", "run 2"),
    ]
    assert warehouse.rows("select load_id, user_id, row_count from raw.tenant_loads order by all") == [
        (2, "default", 2),
        (3, "default", 1),
        (3, "t2", 1),
    ]
    assert warehouse.pending() == [3]


def test_replace_that_is_refused_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    warehouse.write("events/a.jsonl", MOSTLY_BAD)
    report = load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", **warehouse.at_this_run())
    assert len(report.refused) == 1
    assert warehouse.values("select count(*) from raw.events") == [3]
    assert warehouse.values("select state from raw.load_ledger order by file_id") == ["pending", "refused"]


def test_replace_is_accepted_in_spite_of_its_refusal(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    warehouse.write("events/a.jsonl", MOSTLY_BAD)
    with pytest.raises(load.LoadError, match=r"events/a\.jsonl: not refused"):
        load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", is_accepted=True, **warehouse.at_this_run())
    load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", **warehouse.at_this_run())
    load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", is_accepted=True, **warehouse.at_this_run())
    assert warehouse.values("select count(*) from raw.events") == [1]
    states = warehouse.values("select state from raw.load_ledger order by file_id")
    assert states == ["withdrawn", "refused", "pending"]


def test_replace_with_unchanged_content_reads_the_file_again(warehouse: Warehouse) -> None:
    warehouse.write("events/a.jsonl", good_events(3))
    warehouse.run()
    load.replace(warehouse.con, warehouse.raw, "events/a.jsonl", **warehouse.at_this_run())
    assert warehouse.rows("select file_id, count(*) from raw.events group by all") == [(2, 3)]


def test_withdrawn_rows_take_their_rejects_along_and_the_next_run_reads_copies(warehouse: Warehouse) -> None:
    lines = [*good_events(3), event(created_at="bad")]
    file = warehouse.write("events/a.jsonl", lines)
    warehouse.write("events/copy.jsonl", lines)
    warehouse.run()
    assert load.withdraw(warehouse.con, "events/a.jsonl", **warehouse.at_this_run()) == 1
    for table in ("raw.events", "raw.rejected_rows", "restricted.rejected_texts", "raw.tenant_loads"):
        assert warehouse.values(f"select count(*) from {table}") == [0]
    file.unlink()
    assert [(row.path, row.state) for row in warehouse.run().files] == [("events/copy.jsonl", "pending")]
    with pytest.raises(load.LoadError, match="nothing was loaded"):
        load.withdraw(warehouse.con, "events/a.jsonl", **warehouse.at_this_run())


def test_withdrawn_customers_ask_for_all_dates_and_repeats_take_their_place(warehouse: Warehouse) -> None:
    warehouse.write("customers/a.jsonl", [{"customer_id": "c1", "city": "Rome"}, {"customer_id": "c2", "city": "Oslo"}])
    warehouse.run()
    warehouse.write("customers/b.jsonl", [{"customer_id": "c1", "city": "Rome"}, {"customer_id": "c3", "city": "Bern"}])
    warehouse.run()
    warehouse.write("customers/c.jsonl", [{"customer_id": "c3", "city": "Brno"}])
    warehouse.run()
    assert warehouse.counts("customers/b.jsonl") == (2, 1, 0, 1, 0, 0)
    load.withdraw(warehouse.con, "customers/a.jsonl", **warehouse.at_this_run())
    assert warehouse.rows("select user_id, from_date, to_date from raw.recompute_requests") == [("default", None, None)]
    assert warehouse.rows("select customer_id, city from raw.customers order by updated_at, customer_id") == [
        ("c1", "Rome"),
        ("c3", "Bern"),
        ("c3", "Brno"),
    ]
    at_second_load = LOADED_AT + timedelta(days=1)
    assert warehouse.values("select updated_at from raw.customers where customer_id = 'c1'") == [at_second_load]
    assert warehouse.counts("customers/b.jsonl") == (2, 2, 0, 0, 0, 0)
    assert warehouse.rows("select load_id, row_count from raw.tenant_loads order by all") == [(2, 2), (3, 1)]
    assert warehouse.values("select count(*) from raw.duplicate_customers") == [0]


def test_earlier_version_that_arrives_late_gives_a_repeat_its_meaning(warehouse: Warehouse) -> None:
    """Gold, gold again, and then it becomes known that it was silver in between."""
    for number in (1, 2):
        warehouse.write(f"customers/{number}.csv", "customer_id,loyalty_tier\nc1,gold\n" + "\n" * number)
        warehouse.run()
    first, second = LOADED_AT, LOADED_AT + timedelta(days=1)
    assert warehouse.counts("customers/2.csv") == (1, 0, 0, 1, 0, 0)
    between = {"customer_id": "c1", "loyalty_tier": "silver", "updated_at": f"{first + timedelta(hours=9)}"}
    warehouse.write("customers/3.jsonl", [between])
    warehouse.run()
    assert warehouse.rows("select loyalty_tier, updated_at from raw.customers order by updated_at") == [
        ("gold", first),
        ("silver", first + timedelta(hours=9)),
        ("gold", second),
    ]
    assert warehouse.counts("customers/2.csv") == (1, 1, 0, 0, 0, 0)
    assert warehouse.values("select count(*) from raw.recompute_requests") == [0]


def test_time_zone_that_a_late_version_brings_back_is_computed_anew(warehouse: Warehouse) -> None:
    for number in (1, 2):
        warehouse.write(f"organizations/{number}.csv", "user_id,timezone\nt1,Asia/Tokyo\n" + "\n" * number)
        warehouse.run()
    between = {"user_id": "t1", "timezone": "UTC", "updated_at": f"{LOADED_AT + timedelta(hours=9)}"}
    warehouse.write("organizations/3.jsonl", [between])
    warehouse.run()
    assert warehouse.values("select timezone from raw.organizations order by updated_at") == [
        "Asia/Tokyo",
        "UTC",
        "Asia/Tokyo",
    ]
    assert warehouse.rows("select user_id, from_date, cause from raw.recompute_requests") == [("t1", None, "load 3")]


def test_profile_whose_content_comes_back_is_a_version(warehouse: Warehouse) -> None:
    """The same file written anew each day: gold, silver, gold."""
    for tier in ("gold", "silver", "gold"):
        warehouse.write("customers/daily.csv", f"customer_id,loyalty_tier\nc1,{tier}\n")
        warehouse.run()
    assert warehouse.values("select loyalty_tier from raw.customers order by updated_at") == ["gold", "silver", "gold"]
