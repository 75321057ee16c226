{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

changes as (

    select * from {{ ref('int_segment_changes') }}

),

intervals as (

    select
        changes.*,
        lead(changes.change_date) over (
            partition by changes.user_id, changes.customer_id, changes.segment_key
            order by changes.change_date
        ) as left_date
    from changes
    inner join clock on changes.user_id = clock.user_id and changes.change_date <= clock.as_of_date

),

automatic_spells as (

    select
        intervals.user_id,
        intervals.segment_key,
        intervals.customer_id,
        intervals.change_date as joined_date,
        intervals.left_date,
        intervals.change_date = clock.history_from as is_joined_before_history
    from intervals
    inner join clock on intervals.user_id = clock.user_id
    where intervals.is_member

)

select * from automatic_spells
