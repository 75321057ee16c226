"""The weekly verification as a Dagster op: a sample of dates, recomputed and compared."""

import os

import dagster as dg

from orchestration import verify
from orchestration.resources import WarehouseResource

DEFAULT_SAMPLE = 20
"""Tenants' dates that are drawn for a check; WAREHOUSE_VERIFY_SAMPLE changes it."""


@dg.op
def verify_sample(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Recompute a few random dates of the incremental models; fail with the keys that differ."""
    size = int(os.environ.get("WAREHOUSE_VERIFY_SAMPLE", DEFAULT_SAMPLE))
    try:
        verdict = verify.verify(warehouse.home, run_id=context.run_id, sample=size)
    except (verify.VerifyError, verify.RebuildError) as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    if verdict.drifted:
        raise dg.Failure(description=str(verdict), allow_retries=False)
    context.log.info(verdict.summary)
