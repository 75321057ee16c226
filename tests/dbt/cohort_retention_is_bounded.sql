{{ config(meta={'dagster': {'ref': {'name': 'cohort_retention'}}}) }}

-- Who returned in a period is among those who returned in it or later, who are among the eligible, who are among the
-- members; and return_on_or_after never grows. Rates stand exactly where a cell is complete.
with cells as (

    select
        *,
        lag(return_on_or_after_count) over (
            partition by cohort_id, acquisition_channel
            order by period_number
        ) as former_return_on_or_after_count
    from {{ ref('cohort_retention') }}

),

failures as (

    select
        user_id,
        cohort_id,
        acquisition_channel,
        period_number,
        return_on_count,
        return_on_or_after_count,
        eligible_count,
        member_count
    from cells
    where
        return_on_count > return_on_or_after_count
        or return_on_or_after_count > former_return_on_or_after_count
        or return_on_or_after_count > member_count
        or (is_complete and return_on_or_after_count > eligible_count)
        or eligible_count <> case when is_complete then member_count else 0 end
        or (return_on_rate is not null) <> (eligible_count > 0)

)

select * from failures
