"""What a release says about itself: its marts, files, dates and verdict, as in release.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestration.quality.release_gate import Verdict

MARTS_SCHEMA = "marts"
RESTRICTED_SCHEMA = "restricted"
ANALYTICS = "analytics.duckdb"
RESTRICTED = "restricted.duckdb"
PARQUET = "parquet"
RECORD = "release.json"


class ReleaseError(RuntimeError):
    """A release cannot be built, found or copied."""


class GateRefused(ReleaseError):  # noqa: N818 - reads as what happened
    """Gate 3 refused the release; the last one stands."""

    def __init__(self, verdict: Verdict) -> None:
        """Name every refusal: table, rule and how many rows."""
        self.verdict = verdict
        findings = "\n".join(f"  {finding}" for finding in verdict.refusals)
        advice = "correct what came in, or publish in spite of this with `warehouse run --accept-release`"
        super().__init__(f"gate 3 refused the release, the last one stands:\n{findings}\n{advice}")


@dataclass(frozen=True)
class Mart:
    """A mart in the warehouse; one with a `date_column` is event-level."""

    name: str
    relation: str
    date_column: str | None = None
    is_compared: bool = False
    """Whether any date may change in any run, so that content says which files are still good, not touched dates."""


@dataclass(frozen=True)
class DatedFile:
    """One month or day of a mart that is published by date; `path` is relative to the release's folder."""

    period: str
    """YYYY-MM, or YYYY-MM-DD where a recent month is large."""
    path: str
    rows: int
    size_bytes: int
    written_by: str
    """The release that wrote the file; (path, written_by) says which content it has."""
    content: str | None = None
    """A hash over the rows, of marts that are compared by content."""


@dataclass(frozen=True)
class PublishedMart:
    """A mart in a release: a table of analytics.duckdb, or Parquet files under a view."""

    kind: Literal["table", "parquet"]
    rows: int
    columns: dict[str, str]
    files: tuple[DatedFile, ...] = ()


@dataclass(frozen=True)
class GateRecord:
    """How gate 3 judged; `accepted` means that a person overrode its refusals."""

    outcome: Literal["first", "passed", "accepted"]
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restated:
    """How many published figures one cause changed, on how many pairs of tenant and date."""

    cause: str
    figures: int
    dates: int


@dataclass(frozen=True)
class Release:
    """The content of release.json; `follows` is the release whose files it could link to."""

    release_id: str
    run_id: str
    published_at: datetime
    follows: str | None
    code_checksum: str
    as_of: dict[str, date]
    marts: dict[str, PublishedMart]
    gate: GateRecord
    figures_checksum: str | None = None
    """Of the code of the figures whose restatements are recorded; None: an older version did not say."""

    def to_json(self) -> str:
        """Return the release as the text of its release.json."""
        return json.dumps(asdict(self), indent=1, default=lambda moment: moment.isoformat())

    @classmethod
    def from_json(cls, text: str) -> Release:
        """Read what `to_json` wrote, in this version or another: what this one does not know is left out."""
        known = {field.name for field in fields(cls)}
        record = {name: value for name, value in json.loads(text).items() if name in known}
        return cls(
            **record
            | {
                "published_at": datetime.fromisoformat(record["published_at"]),
                "as_of": {t: date.fromisoformat(day) for t, day in record["as_of"].items()},
                "marts": {name: _mart_from(mart) for name, mart in record["marts"].items()},
                "gate": GateRecord(**{k: _tuple(v) for k, v in record["gate"].items()}),
            }
        )


@dataclass(frozen=True)
class ReleaseReport:
    """What a publish did."""

    release: Release
    path: Path
    verdict: Verdict
    rewrite_reason: str | None
    """Why every file was written anew, if it was."""
    corrected: tuple[str, ...]
    """Months or days that should not have changed but had: written anew."""
    retired: tuple[str, ...]
    """Releases that were removed because newer ones took their place."""
    restated: tuple[Restated, ...] = ()
    """What was published before and now reads otherwise, by cause."""
    missed: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    """First and last day that no release spoke of, by tenant: this one fills them."""

    @property
    def written(self) -> tuple[DatedFile, ...]:
        """Return the files that this release wrote."""
        files = files_of(self.release)
        return tuple(f for f in files if f.written_by == self.release.release_id)

    @property
    def linked(self) -> tuple[DatedFile, ...]:
        """Return the files that it shares with the release before."""
        files = files_of(self.release)
        return tuple(f for f in files if f.written_by != self.release.release_id)


def _mart_from(record: dict[str, Any]) -> PublishedMart:
    return PublishedMart(**record | {"files": tuple(_file_from(f) for f in record["files"])})


def _file_from(record: dict[str, Any]) -> DatedFile:
    """Read a file's record; version 0.1 knew months only, and called them so."""
    period = record.get("period") or record["month"]
    return DatedFile(**{key: value for key, value in record.items() if key != "month"} | {"period": period})


def _tuple(value: Any) -> Any:  # noqa: ANN401 - JSON has lists where the record has tuples
    return tuple(value) if isinstance(value, list) else value


def files_of(release: Release) -> Iterator[DatedFile]:
    """Return the files of all marts of a release."""
    return (file for mart in release.marts.values() for file in mart.files)
