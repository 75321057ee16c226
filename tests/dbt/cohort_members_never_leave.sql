{{ config(meta={'dagster': {'ref': {'name': 'cohort_members'}}}) }}

-- Cohorts are fixed: left_at is null for ever. Members counted are those that the cohort says it has.
with members as (

    select
        cohort_id,
        count(*) as member_count,
        count(left_at) as left_count
    from {{ ref('cohort_members') }}
    group by cohort_id

),

failures as (

    select
        cohorts.user_id,
        cohorts.cohort_key,
        cohorts.member_count,
        members.member_count as counted_members,
        members.left_count
    from {{ ref('cohorts') }} as cohorts
    left join members on cohorts.id = members.cohort_id
    where members.left_count > 0 or cohorts.member_count <> coalesce(members.member_count, 0)

)

select * from failures
