"""A copy of the project that a test may change: its seeds, or a mistake planted in its models."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from small_warehouse import PROJECT_DIR

if TYPE_CHECKING:
    from pathlib import Path


def copy_project(project: Path, *, with_code: bool = False) -> Path:
    """Copy what dbt parses, and with it the Python packages where they are to run on the copy; return its folder."""
    for name in ("models", "macros", "seeds", "tests/dbt", *(("orchestration", "ml") if with_code else ())):
        shutil.copytree(PROJECT_DIR / name, project / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT_DIR / name, project)
    return project
