{{ config(meta={'published_by': 'joined_at', 'published_when': 'changed'}) }}

with memberships as (

    select * from {{ ref('int_cohort_memberships') }}

),

cohorts as (

    select * from {{ ref('cohorts') }}

),

members as (

    select
        {{ surrogate_uuid(['cohorts.id', 'memberships.customer_id']) }} as id,
        memberships.user_id,
        cohorts.id as cohort_id,
        memberships.customer_id,
        memberships.joined_at,
        -- Cohorts are fixed: nobody leaves.
        cast(null as timestamp) as left_at
    from memberships
    inner join cohorts
        on
            memberships.user_id = cohorts.user_id
            and memberships.cohort_key = cohorts.cohort_key

)

select * from members
