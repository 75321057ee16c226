{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

memberships as (

    select * from {{ ref('int_segment_memberships') }}

),

days as (

    select * from {{ ref('int_segment_days') }}

),

customers as (

    select * from {{ ref('customers') }}

),

profile_versions as (

    select * from {{ ref('customer_profile_history') }}

),

profile_dates as (

    select distinct
        profile_versions.user_id,
        profile_versions.customer_id,
        cast({{ local_time('profile_versions.valid_from', 'clock.timezone') }} as date) as valid_date
    from profile_versions
    inner join clock on profile_versions.user_id = clock.user_id
    where profile_versions.valid_from is not null

),

moves as (

    select
        user_id,
        segment_key,
        customer_id,
        assignment_type,
        member_from as date,
        true as is_join
    from memberships
    where not is_joined_before_history

    union all

    select
        user_id,
        segment_key,
        customer_id,
        assignment_type,
        member_until as date,
        false as is_join
    from memberships
    where member_until is not null

),

-- A cause is what can have moved the customer that day, the surest first; nobody evaluates the rules twice.
moves_with_causes as (

    select
        moves.user_id,
        moves.segment_key,
        days.segment_id,
        days.family,
        moves.customer_id,
        case
            when days.since = moves.date then 'definition'
            when moves.assignment_type = 'manual' then 'assignment'
            when customers.customer_id is not null or profile_dates.customer_id is not null then 'data'
            else 'behavior'
        end as cause,
        days.is_exclusive,
        moves.is_join,
        moves.date
    from moves
    inner join days
        on
            moves.user_id = days.user_id
            and moves.segment_key = days.segment_key
            and moves.date = days.date
    left join customers
        on
            moves.user_id = customers.user_id
            and moves.customer_id = customers.customer_id
            and moves.date = customers.first_seen_date
    left join profile_dates
        on
            moves.user_id = profile_dates.user_id
            and moves.customer_id = profile_dates.customer_id
            and moves.date = profile_dates.valid_date

)

select * from moves_with_causes
