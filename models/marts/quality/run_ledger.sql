{{ config(materialized='view') }}

with run_ledger as (

    select * from {{ ref('stg_run_ledger') }}

),

described as (

    select
        run_id,
        step,
        kind,
        status,
        message,
        selection,
        code_checksum,
        row_count,
        rows_in,
        rows_out,
        dates_recomputed,
        peak_memory_bytes,
        seconds,
        is_full_refresh,
        started_at
    from run_ledger

)

select * from described
