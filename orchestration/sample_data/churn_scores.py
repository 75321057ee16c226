"""A file of churn scores as document 001 describes its own: 10,000 rows, spread over four bands of risk."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING

from orchestration.sample_data.files import make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CHURN_ROWS = 10_000
CHURN_SHARES: tuple[tuple[str, float, float, float], ...] = (
    ("Low", 0.0, 0.3, 0.45),
    ("Medium", 0.3, 0.5, 0.30),
    ("High", 0.5, 0.7, 0.18),
    ("Critical", 0.7, 1.0, 0.07),
)
"""Document 001: band, its ends (probability, the lower one within it) and its share of the rows."""
_DIGITS = 4
"""Of a score, as document 001 writes them."""


def write_churn_scores(
    raw_dir: Path, tenant: str, *, customers: Sequence[str] = (), rows: int = CHURN_ROWS, seed: int = 1
) -> Path:
    """Write one file of churn scores of a tenant and return its path; the tenant is the file's folder.

    Args:
        raw_dir: folder with one folder per feed.
        tenant: whose customers they are.
        customers: keys that the first rows are about; document 001's own (CUST_00001 …) follow, whom no other feed has.
        rows: rows in the file; the bands have document 001's shares of them, in whole rows, Low taking the rest.
        seed: which customers get which scores; the same for the same arguments.

    """
    names = [*customers, *(f"CUST_{number:05}" for number in range(1, rows + 1))][:rows]
    # Who is in which band is decided by a hash of the customer: not by the place in the file.
    drawn = sorted(range(rows), key=lambda place: _draw(seed, names[place], "band"))
    scores: list[float] = [0.0] * rows
    begin = rows
    for _, low, high, share in reversed(CHURN_SHARES):
        end = begin
        begin = 0 if low == 0 else begin - round(share * rows)
        for place in drawn[begin:end]:
            scores[place] = _score(low, high, _draw(seed, names[place], "score"))
    path = make_folder(raw_dir, "churn_scores", tenant) / "synthetic_churn_predictions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("customer_id", "churn_score"))
        writer.writerows((name, f"{value:.{_DIGITS}f}") for name, value in zip(names, scores, strict=True))
    return path


def _score(low: float, high: float, draw: float) -> float:
    """Return a score of a band, evenly drawn, of which rounding leaves none on the band's upper end."""
    steps = round((high - low) * 10**_DIGITS)
    return low + int(draw * steps) / 10**_DIGITS


def _draw(seed: int, customer: str, purpose: str) -> float:
    """Return a number in [0, 1) that the arguments decide."""
    digest = hashlib.sha256(f"{seed}|{customer}|{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
