"""Raw files: the feeds' columns, and how rows get into Parquet and CSV."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

EVENT_COLUMNS = (
    "id",
    "user_id",
    "customer_id",
    "event_type",
    "event_category",
    "product_id",
    "product_name",
    "product_category",
    "event_value",
    "event_properties",
    "page_url",
    "referrer_url",
    "ip_address",
    "user_agent",
    "device_type",
    "browser",
    "os",
    "location",
    "session_id",
    "created_at",
)

CUSTOMER_COLUMNS = (
    "user_id",
    "customer_id",
    "email",
    "phone",
    "name",
    "birth_date",
    "gender",
    "country",
    "city",
    "latitude",
    "longitude",
    "signup_at",
    "email_opt_in",
    "sms_opt_in",
    "loyalty_tier",
    "loyalty_points",
    "is_vip",
    "tags",
    "attributes",
    "updated_at",
)

ORGANIZATION_COLUMNS = (
    "user_id",
    "name",
    "org_type",
    "timezone",
    "currency",
    "latitude",
    "longitude",
    "gross_margin_rate",
    "updated_at",
)


@contextlib.contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database that spills to a temporary folder above 1.5 GB."""
    with (
        tempfile.TemporaryDirectory() as spill_folder,
        duckdb.connect(config={"memory_limit": "1500MB", "temp_directory": spill_folder}) as con,
    ):
        con.execute("set TimeZone = 'UTC'")
        yield con


def make_folder(base: Path, *parts: str) -> Path:
    """Return a folder below another one, made where it does not exist."""
    folder = base.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy_rows(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a query's rows as Parquet; a file without rows is not delivered."""
    copied = con.execute(f"copy ({query}) to $path (format parquet)", {"path": str(path)}).fetchone()
    if copied == (0,):
        path.unlink()


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV under all columns of a feed, empty where a row has no value."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_organization(raw_dir: Path, organization: Mapping[str, Any]) -> None:
    """Write the organizations file of a tenant."""
    folder = make_folder(raw_dir, "organizations", organization["user_id"])
    write_csv(folder / "organization.csv", ORGANIZATION_COLUMNS, [organization])
