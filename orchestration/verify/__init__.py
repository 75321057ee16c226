"""Verification: the incrementally maintained marts equal a full rebuild from the same raw tables, row for row.

Everything is recomputed by dbt, with the models as they are, into a scratch database below WAREHOUSE_HOME/tmp whose
raw tables are views over the working ones (`scratch`), and compared table by table (`comparing`). The sample check
does so for a few dates of the incremental models only, which alone can drift: all else is rebuilt in every run
(`sampling`). Memberships hang on all dates before: only the full check recomputes them. Neither writes to the working
marts or to the release; the run ledger gets a step `verify`.
"""

from orchestration.verify.checking import Verdict, VerifyError, last_verification, new_run_id, verify
from orchestration.verify.scratch import RebuildError

__all__ = ["RebuildError", "Verdict", "VerifyError", "last_verification", "new_run_id", "verify"]
