{{ config(meta={'dagster': {'ref': {'name': 'segment_membership_explain'}}}) }}

-- All rules of some group are met for every member, and of no group for who left.
with explained as (

    select * from {{ ref('segment_membership_explain') }}

),

members as (

    select * from {{ ref('segment_members') }}
    where is_current

),

groups as (

    select
        user_id,
        segment_key,
        customer_id,
        group_number,
        bool_and(is_met) as is_met
    from explained
    group by user_id, segment_key, customer_id, group_number

),

met as (

    select
        user_id,
        segment_key,
        customer_id,
        bool_or(is_met) as is_met
    from groups
    group by user_id, segment_key, customer_id

),

wrong as (

    select
        coalesce(members.user_id, met.user_id) as user_id,
        coalesce(members.segment_key, met.segment_key) as segment_key,
        coalesce(members.customer_id, met.customer_id) as customer_id
    from members
    full outer join met
        on
            members.user_id = met.user_id
            and members.segment_key = met.segment_key
            and members.customer_id = met.customer_id
    where coalesce(met.is_met, false) <> (members.customer_id is not null)

)

select * from wrong
