"""The tables that loading, runs and releases write: schemas `raw` and `restricted`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestration.load.records import LoadError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_ORIGIN = "load_id integer, file_id integer, record_number bigint"

_EVENT = f"""event_id uuid, source_event_id varchar, user_id varchar, customer_id varchar,
    event_type varchar, event_category varchar, product_id varchar, product_name varchar,
    product_category varchar, event_value decimal(18, 4), event_properties varchar,
    page_url varchar, referrer_url varchar, ip_address varchar, user_agent varchar,
    device_type varchar, browser varchar, os varchar, location varchar, session_id varchar,
    created_at timestamp, {_ORIGIN}"""

_CUSTOMER = f"""row_id uuid, user_id varchar, customer_id varchar, email varchar,
        phone varchar, name varchar, birth_date date, gender varchar, country varchar,
        city varchar, latitude double, longitude double, signup_at timestamp,
        email_opt_in boolean, sms_opt_in boolean, loyalty_tier varchar, loyalty_points double,
        is_vip boolean, tags varchar, attributes varchar, updated_at timestamp, {_ORIGIN}"""

_ORGANIZATION = f"""row_id uuid, user_id varchar, name varchar, org_type varchar,
        timezone varchar, currency varchar, latitude double, longitude double,
        gross_margin_rate double, updated_at timestamp, {_ORIGIN}"""

_ASSIGNMENT = f"""row_id uuid, user_id varchar, segment_key varchar, customer_id varchar,
        action varchar, actor varchar, reason varchar, updated_at timestamp, {_ORIGIN}"""

_SEGMENT_EXPORT = f"""row_id uuid, export_id varchar, user_id varchar, segment_key varchar, segment_id varchar,
        release_id varchar, as_of_date date, actor varchar, segment_name varchar, format varchar, channel varchar,
        recommended_action varchar, file_name varchar, sha256 varchar, member_count double, exported_count double,
        without_consent_count double, without_contact_count double, is_hashed boolean, is_all boolean,
        updated_at timestamp, {_ORIGIN}"""

_SEGMENT_LOOKALIKE = f"""row_id uuid, lookalike_id varchar, user_id varchar, segment_key varchar, segment_id varchar,
        release_id varchar, as_of_date date, actor varchar, customer_id varchar, rank double, similarity_score double,
        auc double, member_count double, non_member_count double, updated_at timestamp, {_ORIGIN}"""

_CHURN_SCORE = f"""row_id uuid, user_id varchar, customer_id varchar, churn_score double, scale varchar,
        churn_score_scale varchar, updated_at timestamp, {_ORIGIN}"""

_LTV_PREDICTION = f"""row_id uuid, user_id varchar, customer_id varchar, current_ltv double,
        predicted_ltv_1year double, predicted_ltv_3year double, predicted_ltv_5year double, churn_probability double,
        confidence_score double, growth_potential varchar, updated_at timestamp, {_ORIGIN}"""

MONEY_PREDICTED = (
    "current_ltv",
    *(f"predicted_ltv_{n}year" for n in (1, 3, 5)),
    *(
        f"expected_spend_{over}{end}"
        for over in ("90_days", "1year", "3year", "5year")
        for end in ("", "_low", "_high")
    ),
)
"""Columns of raw.predictions that are money: finite, not below zero, or null."""

_PREDICTION = f"""recording_id integer, user_id varchar, customer_id varchar, as_of_date date, model_version varchar,
        {", ".join(f"{name} decimal(18, 4)" for name in MONEY_PREDICTED)},
        expected_purchases_90_days double, purchase_probability_30_days double, purchase_probability_90_days double,
        churn_probability double, churn_horizon_days integer, expected_next_order_date date, p_alive double,
        confidence_score double, growth_potential varchar, is_cold_start boolean, is_extrapolated boolean,
        validated_horizon_days integer, no_prediction_reason varchar, first_predicted_date date"""

TABLES = {
    "raw.events": _EVENT,
    "raw.duplicate_events": f"{_EVENT}, is_conflict boolean",
    "raw.customers": _CUSTOMER,
    "raw.duplicate_customers": _CUSTOMER,
    "raw.organizations": _ORGANIZATION,
    "raw.duplicate_organizations": _ORGANIZATION,
    "raw.segment_assignments": _ASSIGNMENT,
    "raw.duplicate_segment_assignments": _ASSIGNMENT,
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
        to_date date, cause varchar, state varchar, run_id varchar, release_id varchar""",
    "raw.run_ledger": """run_id varchar, step varchar, kind varchar, status varchar,
        row_count bigint, seconds double, started_at timestamp, code_checksum varchar,
        is_full_refresh boolean, message varchar, rows_in bigint, rows_out bigint,
        dates_recomputed bigint, peak_memory_bytes bigint, selection varchar""",
    "raw.releases": """release_id varchar, run_id varchar, published_at timestamp,
        as_of_date date, code_checksum varchar, is_accepted_by_hand boolean, message varchar""",
    "raw.restatements": """release_id varchar, previous_release_id varchar, user_id varchar,
        segment_key varchar, figure varchar, cause varchar, load_id integer, old_value double, new_value double,
        date date, restated_at timestamp""",
    "raw.segment_evaluations": "user_id varchar, evaluation_date date, definitions_hash varchar",
    "raw.churn_scores": _CHURN_SCORE,
    "raw.duplicate_churn_scores": _CHURN_SCORE,
    "raw.ltv_predictions": _LTV_PREDICTION,
    "raw.duplicate_ltv_predictions": _LTV_PREDICTION,
    # What models predicted, and how good they are (orchestration/predictions.py): recorded, never rebuilt.
    "raw.prediction_recordings": """recording_id integer, user_id varchar, as_of_date date, customer_count bigint,
        predicted_count bigint, churn_horizon_days integer, run_id varchar, recorded_at timestamp,
        is_published boolean""",
    "raw.predictions": _PREDICTION,
    "raw.prediction_outcomes": """recording_id integer, user_id varchar, customer_id varchar, as_of_date date,
        horizon_days integer, model_version varchar, purchase_probability double, churn_probability double,
        expected_purchases double, expected_spend decimal(18, 4), expected_spend_low decimal(18, 4),
        expected_spend_high decimal(18, 4), purchase_days integer, spend decimal(18, 4), closed_date date""",
    "raw.model_versions": """user_id varchar, model_version varchar, model varchar, trained_as_of_date date,
        data_hash varchar, parameters varchar, is_promoted boolean, reason varchar, run_id varchar,
        recorded_at timestamp""",
    "raw.model_metrics": """user_id varchar, model_version varchar, model varchar, candidate varchar, origin_date date,
        horizon_days integer, purchase_group varchar, metric varchar, value double, n bigint""",
    "raw.model_deciles": """user_id varchar, model_version varchar, model varchar, origin_date date,
        horizon_days integer, decile integer, n bigint, predicted_mean double, actual_mean double""",
    "raw.segment_exports": _SEGMENT_EXPORT,
    "raw.duplicate_segment_exports": _SEGMENT_EXPORT,
    "raw.segment_lookalikes": _SEGMENT_LOOKALIKE,
    "raw.duplicate_segment_lookalikes": _SEGMENT_LOOKALIKE,
}


def create_raw_tables(con: Connection) -> None:
    """Create every table that loading, runs and releases write, and bring those of an older version up to date.

    A column that a table lacks is added, null in the rows that are there. Raises LoadError when a table has a column
    that this version does not know: a newer version wrote it, and what it means there could be lost here.
    """
    con.execute("create schema if not exists raw")
    con.execute("create schema if not exists restricted")
    found = _found_columns(con)
    _refuse_unknown_columns(found)
    for table, columns in TABLES.items():
        con.execute(f"create table if not exists {table} ({columns})")
        declared = declared_columns(columns)
        for name in (name for name in declared if name not in found.get(table, declared)):
            con.execute(f"alter table {table} add column {name} {declared[name]}")


def declared_columns(columns: str) -> dict[str, str]:
    """Return type by name of a table's columns as they stand in TABLES."""
    parts = re.split(r",\s*(?![^(]*\))", columns)
    return dict(part.split(maxsplit=1) for part in parts)


def _found_columns(con: Connection) -> dict[str, set[str]]:
    """Return the columns of the tables that are there already."""
    rows = con.execute("""
        select schema_name || '.' || table_name, list(column_name)
        from duckdb_columns()
        where database_name = current_database() and schema_name in ('raw', 'restricted')
        group by all
    """).fetchall()
    return {table: set(columns) for table, columns in rows}


def _refuse_unknown_columns(found: dict[str, set[str]]) -> None:
    unknown = [
        f"{table}.{name}"
        for table, columns in TABLES.items()
        for name in sorted(found.get(table, set()) - declared_columns(columns).keys())
    ]
    if unknown:
        message = (
            f"this warehouse was written by a newer version: it has {', '.join(unknown)}, which this version does not"
            " know; update the project (git pull, make setup), or point WAREHOUSE_HOME at another folder"
        )
        raise LoadError(message)
