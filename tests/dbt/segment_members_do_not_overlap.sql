{{ config(meta={'dagster': {'ref': {'name': 'segment_members'}}}) }}

-- Intervals of a customer in a segment are not empty, do not overlap or touch, and end by the as-of date.
with members as (

    select * from {{ ref('segment_members') }}

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

with_next as (

    select
        members.*,
        clock.history_from,
        clock.as_of_date,
        lead(members.joined_date) over (
            partition by members.user_id, members.segment_id, members.customer_id
            order by members.joined_date
        ) as next_joined_date
    from members
    left join clock on members.user_id = clock.user_id

),

wrong as (

    select * from with_next
    where
        not coalesce(joined_date <= as_of_date, false)
        or joined_date >= left_date
        or left_date > as_of_date
        or next_joined_date <= coalesce(left_date, next_joined_date)
        or is_current <> (left_date is null)
        or (assignment_type = 'automatic' and joined_date < history_from)
        or (left_at is null) <> (left_date is null)

)

select * from wrong
