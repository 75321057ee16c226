"""The tables that loading, runs and releases write: schemas `raw` and `restricted`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_ORIGIN = "load_id integer, file_id integer, record_number bigint"

_EVENT = f"""event_id uuid, source_event_id varchar, user_id varchar, customer_id varchar,
    event_type varchar, event_category varchar, product_id varchar, product_name varchar,
    product_category varchar, event_value decimal(18, 4), event_properties varchar,
    page_url varchar, referrer_url varchar, ip_address varchar, user_agent varchar,
    device_type varchar, browser varchar, os varchar, location varchar, session_id varchar,
    created_at timestamp, {_ORIGIN}"""

TABLES = {
    "raw.events": _EVENT,
    "raw.duplicate_events": f"{_EVENT}, is_conflict boolean",
    "raw.customers": f"""row_id uuid, user_id varchar, customer_id varchar, email varchar,
        phone varchar, name varchar, birth_date date, gender varchar, country varchar,
        city varchar, latitude double, longitude double, signup_at timestamp,
        email_opt_in boolean, sms_opt_in boolean, loyalty_tier varchar, loyalty_points double,
        is_vip boolean, tags varchar, attributes varchar, updated_at timestamp, {_ORIGIN}""",
    "raw.organizations": f"""row_id uuid, user_id varchar, name varchar, org_type varchar,
        timezone varchar, currency varchar, latitude double, longitude double,
        gross_margin_rate double, updated_at timestamp, {_ORIGIN}""",
    "raw.load_ledger": """file_id integer, load_id integer, feed varchar, path varchar,
        size_bytes bigint, modified_at timestamp, sha256 varchar, row_count bigint,
        kept_count bigint, rejected_count bigint, duplicate_count bigint, conflict_count bigint,
        missing_line_count bigint, state varchar, reason varchar, loaded_at timestamp,
        run_id varchar""",
    "raw.rejected_rows": """feed varchar, file_id integer, load_id integer, path varchar,
        record_number bigint, rule varchar, detail varchar, rejected_at timestamp""",
    "restricted.rejected_texts": "file_id integer, record_number bigint, raw_text varchar",
    "raw.tenant_loads": """user_id varchar, feed varchar, load_id integer, loaded_at timestamp,
        row_count bigint""",
    "raw.recompute_requests": """request_id integer, user_id varchar, from_date date,
        to_date date, cause varchar, state varchar, run_id varchar""",
    "raw.run_ledger": """run_id varchar, step varchar, kind varchar, status varchar,
        row_count bigint, seconds double, started_at timestamp, code_checksum varchar,
        is_full_refresh boolean, message varchar""",
    "raw.releases": """release_id varchar, run_id varchar, published_at timestamp,
        as_of_date date, code_checksum varchar, is_accepted_by_hand boolean, message varchar""",
}


def create_raw_tables(con: Connection) -> None:
    """Create every table that loading, runs and releases write, where it does not exist yet."""
    con.execute("create schema if not exists raw")
    con.execute("create schema if not exists restricted")
    for table, columns in TABLES.items():
        con.execute(f"create table if not exists {table} ({columns})")
