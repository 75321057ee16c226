"""The Dagster assets: load, dbt models, release."""
