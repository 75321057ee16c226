"""Releases apart: what would have been published on a past day, in a folder of its own, beside the readers' release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration.release.building import Builder, require_built
from orchestration.release.copying import copy_analytics, writing_to
from orchestration.release.folders import new_release_id, newest_release, release_folder, remove_leftovers, write_text
from orchestration.release.planning import public_marts
from orchestration.release.publishing import aware, connection
from orchestration.release.records import ANALYTICS, RECORD, GateRecord, Release
from orchestration.release.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from orchestration.release.records import Mart


def publish_apart(  # noqa: PLR0913 - the run's settings, by name
    warehouse: Path,
    home: Path,
    directory: Path,
    manifest: Mapping[str, Any],
    *,
    run_id: str,
    published_at: datetime,
    code_checksum: str,
    config: Mapping[str, str] | None = None,
) -> Release:
    """Write the marts, as they stand, as a release below a directory: `analytics.duckdb` over `releases/<id>/parquet`.

    Event-level marts end at each tenant's as-of date: later rows were not there on that day. Contacts are not written.
    The readers' release, the ledger of releases and the pending loads stay as they are, and no gate compares anything:
    another day's release is no successor.

    Raises ReleaseError when a public mart has not been built, or the directory cannot be written to.
    """
    with writing_to(directory, home) as place, connection(warehouse, config) as con:
        releases = place / "releases"
        remove_leftovers(releases)
        moment = aware(published_at)
        release_id = new_release_id(moment, run_id, newest_release(releases))
        marts = public_marts(manifest)
        require_built(con, marts)
        with release_folder(releases, release_id) as folder:
            builder = Builder(con, folder, release_id, None)
            with builder.analytics():
                published = builder.build_marts([_until_as_of(mart) for mart in marts])
            release = Release(
                release_id=release_id,
                run_id=run_id,
                published_at=moment,
                follows=None,
                code_checksum=code_checksum,
                as_of=builder.as_of,
                marts=published,
                gate=GateRecord("first"),
            )
            write_text(folder / RECORD, release.to_json())
        copy_analytics(release, releases / release_id / ANALYTICS, place, None)
    return release


def _until_as_of(mart: Mart) -> Mart:
    """Return an event-level mart without the rows after its tenants' as-of dates; others end there by themselves."""
    if mart.date_column is None:
        return mart
    date_column = identifier(mart.date_column)
    rows = f"""(
        select mart.* from {mart.relation} as mart
        inner join intermediate.int_tenant_clock as clock
            on mart.user_id = clock.user_id and mart.{date_column} <= clock.as_of_date
    )"""
    return replace(mart, relation=rows)
