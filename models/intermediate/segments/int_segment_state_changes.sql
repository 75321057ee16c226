{{ config(materialized='table') }}

with memberships as (

    select * from {{ ref('int_segment_memberships') }}

),

presence_states as (

    select * from {{ ref('int_presence_states') }}

),

purchase_states as (

    select * from {{ ref('int_purchase_states') }}

),

states as (

    select * from presence_states
    union all
    select * from purchase_states

),

-- A member is in a state while its spell and the state overlap: never one row per member and date.
shared_spans as (

    select
        memberships.user_id,
        memberships.segment_key,
        states.state,
        greatest(states.from_date, memberships.member_from) as entered_date,
        least(states.until_date, memberships.member_until) as left_date,
        states.from_date >= memberships.member_from as is_begun_as_member,
        count(*) as customer_count
    from memberships
    inner join states
        on
            memberships.user_id = states.user_id
            and memberships.customer_id = states.customer_id
            and coalesce(memberships.member_from < states.until_date, true)
            and coalesce(memberships.member_until > states.from_date, true)
    group by
        memberships.user_id,
        memberships.segment_key,
        states.state,
        greatest(states.from_date, memberships.member_from),
        least(states.until_date, memberships.member_until),
        states.from_date >= memberships.member_from

    union all

    select
        user_id,
        segment_key,
        'member' as state,
        member_from as entered_date,
        member_until as left_date,
        true as is_begun_as_member,
        count(*) as customer_count
    from memberships
    group by user_id, segment_key, member_from, member_until

),

changes as (

    select
        user_id,
        segment_key,
        state,
        entered_date as change_date,
        sum(customer_count) as entered_count,
        0 as left_count,
        coalesce(sum(customer_count) filter (where is_begun_as_member), 0) as begun_count
    from shared_spans
    group by user_id, segment_key, state, entered_date

    union all

    select
        user_id,
        segment_key,
        state,
        left_date as change_date,
        0 as entered_count,
        sum(customer_count) as left_count,
        0 as begun_count
    from shared_spans
    where left_date is not null
    group by user_id, segment_key, state, left_date

)

select * from changes
