"""Load: new files under raw/ become typed rows of schema `raw`, each line once.

A *load* is the new files of one feed in one run. Its rows, duplicates, rejects and ledger rows
commit in one transaction and stay `pending` until a run that contains them has published.

The way of one load (`loading`): find files, by path, size and time, then by content (`files`) →
read, one scan per format and set of columns (`reading`) → quarantine broken rows (`rows`) → find
duplicates (`duplicates`) → insert the others, set them aside → gate 1 (`gate`) → ledger (`records`). A file that
the gate refuses is taken out and the load begins anew without it. What people do with single files
afterwards is in `corrections`.

Nothing here knows Dagster or dbt; every function takes a DuckDB connection that it alone uses.
"""

from orchestration.load.corrections import accept, replace, retry, withdraw
from orchestration.load.loading import load_new_files
from orchestration.load.records import LedgerRow, LoadError, LoadReport, list_loads
from orchestration.load.sql import uuid_sql
from orchestration.load.tables import TABLES, create_raw_tables

__all__ = [
    "TABLES",
    "LedgerRow",
    "LoadError",
    "LoadReport",
    "accept",
    "create_raw_tables",
    "list_loads",
    "load_new_files",
    "replace",
    "retry",
    "uuid_sql",
    "withdraw",
]
