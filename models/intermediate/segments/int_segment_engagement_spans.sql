{{ config(materialized='table') }}

with memberships as (

    select * from {{ ref('int_segment_memberships') }}

),

engagement_values as (

    select * from {{ ref('int_engagement_values') }}

),

shared_spans as (

    select
        memberships.user_id,
        memberships.segment_key,
        engagement_values.measure,
        engagement_values.measured_value,
        greatest(engagement_values.from_date, memberships.member_from) as entered_date,
        least(engagement_values.until_date, memberships.member_until) as left_date,
        count(*) as member_count
    from memberships
    inner join engagement_values
        on
            memberships.user_id = engagement_values.user_id
            and memberships.customer_id = engagement_values.customer_id
            and coalesce(memberships.member_from < engagement_values.until_date, true)
            and coalesce(memberships.member_until > engagement_values.from_date, true)
    group by
        memberships.user_id,
        memberships.segment_key,
        engagement_values.measure,
        engagement_values.measured_value,
        greatest(engagement_values.from_date, memberships.member_from),
        least(engagement_values.until_date, memberships.member_until)

),

changes as (

    select
        user_id,
        segment_key,
        measure,
        measured_value,
        entered_date as date,
        sum(member_count) as count_change
    from shared_spans
    group by user_id, segment_key, measure, measured_value, entered_date

    union all

    select
        user_id,
        segment_key,
        measure,
        measured_value,
        left_date as date,
        -sum(member_count) as count_change
    from shared_spans
    where left_date is not null
    group by user_id, segment_key, measure, measured_value, left_date

),

-- How many members have a value holds from one count_change of it to the next.
spans as (

    select
        user_id,
        segment_key,
        measure,
        measured_value,
        date as from_date,
        lead(date) over changes_of_value as until_date,
        sum(sum(count_change)) over (
            partition by user_id, segment_key, measure, measured_value
            order by date
            rows unbounded preceding
        ) as member_count
    from changes
    group by user_id, segment_key, measure, measured_value, date
    window changes_of_value as (
        partition by user_id, segment_key, measure, measured_value
        order by date
    )

)

select * from spans
