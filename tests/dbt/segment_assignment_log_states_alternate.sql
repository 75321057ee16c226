{{ config(meta={'dagster': {'ref': {'name': 'segment_assignment_log'}}}) }}

-- Effective rows of a customer and a segment are add, remove, add, …: what an auditor counts as changes are changes.
-- No kept row is missing.
with effective as (

    select
        *,
        lag(action) over (
            partition by user_id, customer_id, segment_key order by assignment_number
        ) as former_action
    from {{ ref('segment_assignment_log') }}
    where is_effective

),

repeated as (

    select
        user_id,
        customer_id,
        segment_key,
        action
    from effective
    where action = coalesce(former_action, 'remove')

),

missing as (

    select
        assignments.user_id,
        assignments.customer_id,
        assignments.segment_key,
        assignments.action
    from {{ ref('int_segment_assignments') }} as assignments
    left join {{ ref('segment_assignment_log') }} as log_rows
        on assignments.file_id = log_rows.file_id and assignments.record_number = log_rows.record_number
    where log_rows.id is null

),

broken as (

    select * from repeated
    union all
    select * from missing

)

select * from broken
