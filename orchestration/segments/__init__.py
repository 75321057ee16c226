"""Segments: definitions that people write (seeds), previews and explanations from what is published.

`catalogue` says what rules may look at, `criteria` turns the documents' JSON into rule rows and back, `definitions`
keeps the seeds whole. `preview` evaluates criteria on the current release in one scan, `explain` reads why a customer
is in a segment. `commands` is the group `warehouse segments`.
"""

from orchestration.segments.catalogue import Catalogue, SegmentError, read_catalogue
from orchestration.segments.criteria import CriteriaError, Rule, parse_criteria, render_criteria
from orchestration.segments.definitions import (
    Definitions,
    Segment,
    add_segment,
    change_segment,
    read_definitions,
    retire_segment,
    validate,
)
from orchestration.segments.explain import explain
from orchestration.segments.preview import Preview, preview

__all__ = [
    "Catalogue",
    "CriteriaError",
    "Definitions",
    "Preview",
    "Rule",
    "Segment",
    "SegmentError",
    "add_segment",
    "change_segment",
    "explain",
    "parse_criteria",
    "preview",
    "read_catalogue",
    "read_definitions",
    "render_criteria",
    "retire_segment",
    "validate",
]
