{{ config(meta={'dagster': {'ref': {'name': 'score_loads'}}}) }}

-- Every row of a file is accepted, broken or of an unknown customer, and what is not accepted stands in rejected_rows
-- (of a refused file nothing does: nothing of it was loaded).
with score_loads as (

    select * from {{ ref('score_loads') }}

),

rejected_rows as (

    select
        file_id,
        count(*) as row_count,
        count(*) filter (where rule = 'unknown_customer') as unknown_count
    from {{ ref('rejected_rows') }}
    group by file_id

),

load_ledger as (

    select * from {{ ref('load_ledger') }}
    where feed in ('churn_scores', 'ltv_predictions')
    qualify
        state in ('pending', 'published')
        or (state = 'refused' and file_id = max(file_id) over (partition by feed, path))

),

failures as (

    select load_ledger.file_id
    from load_ledger
    left join score_loads on load_ledger.file_id = score_loads.file_id
    left join rejected_rows on load_ledger.file_id = rejected_rows.file_id
    where
        score_loads.received_count is distinct from load_ledger.row_count
        or score_loads.received_count
        <> score_loads.accepted_count + score_loads.bad_row_count + score_loads.unknown_customer_count
        or score_loads.rejected_count <> score_loads.received_count - score_loads.accepted_count
        or least(score_loads.accepted_count, score_loads.bad_row_count, score_loads.in_force_count) < 0
        or score_loads.in_force_count > score_loads.accepted_count
        or (
            load_ledger.state <> 'refused'
            and (
                score_loads.rejected_count <> coalesce(rejected_rows.row_count, 0)
                or score_loads.unknown_customer_count <> coalesce(rejected_rows.unknown_count, 0)
            )
        )

)

select * from failures
