{{ config(meta={'dagster': {'ref': {'name': 'load_ledger'}}}) }}

-- No row is lost on the way in: what a file holds was kept, quarantined or known before.
with loaded_files as (

    select * from {{ ref('load_ledger') }}
    where state in ('pending', 'published')

),

unbalanced_files as (

    select *
    from loaded_files
    where
        row_count is distinct from kept_count + rejected_count + duplicate_count
        or conflict_count > duplicate_count

)

select * from unbalanced_files
