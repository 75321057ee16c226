{{ config(materialized='view') }}

with load_ledger as (

    select * from {{ ref('stg_load_ledger') }}

),

described as (

    select
        file_id,
        load_id,
        feed,
        path,
        sha256,
        state,
        reason,
        run_id,
        size_bytes,
        row_count,
        kept_count,
        rejected_count,
        duplicate_count,
        conflict_count,
        missing_line_count,
        modified_at,
        loaded_at
    from load_ledger

)

select * from described
