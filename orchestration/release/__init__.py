"""Releases: what readers see, complete folders that are never written again.

    published/
      releases/<release_id>/     analytics.duckdb  restricted.duckdb  parquet/<mart>/<period>.parquet
                                 release.json
      current                    → releases/<release_id>, swapped by one rename
      analytics.duckdb  restricted.duckdb  parquet      → through current

`analytics.duckdb` holds the small marts as tables and those published by date as views over the
Parquet files of its own release, so whoever has it open stays within one release. A month, or day
of a large recent month, that no pending load touched is a hard link to the last release's file:
publishing costs the day, not the history (`planning`). `restricted.duckdb` holds contacts, for
exports only.

A release is built under `releases/.building-…` (`building`), judged by gate 3, renamed, and only
then pointed to (`publishing`). A crash at any moment leaves the last release in place; the next
publish clears the leftovers (`folders`).
"""

from orchestration.release.apart import publish_apart
from orchestration.release.copying import publish_to
from orchestration.release.folders import current_release, list_releases, read_release, rollback
from orchestration.release.publishing import publish
from orchestration.release.records import GateRefused, Release, ReleaseError, ReleaseReport

__all__ = [
    "GateRefused",
    "Release",
    "ReleaseError",
    "ReleaseReport",
    "current_release",
    "list_releases",
    "publish",
    "publish_apart",
    "publish_to",
    "read_release",
    "rollback",
]
