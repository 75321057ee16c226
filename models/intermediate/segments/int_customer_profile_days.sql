{{ config(materialized='table') }}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

profiles as (

    select * from {{ ref('int_customer_profiles') }}

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

loyalty_ladder as (

    select * from {{ ref('int_loyalty_ladder') }}

),

-- A version holds on the dates at whose end it is valid: of several on one date, the last.
dated as (

    select
        customers.customer_number,
        customers.due_from_date,
        clock.as_of_date,
        profiles.* exclude (user_id, customer_id), -- noqa: RF02
        coalesce(cast({{ local_time('profiles.valid_from', 'clock.timezone') }} as date), date '0001-01-01')
            as from_date,
        coalesce(cast({{ local_time('profiles.valid_to', 'clock.timezone') }} as date), date '9999-12-31')
            as until_date,
        cast({{ local_time('profiles.signup_at', 'clock.timezone') }} as date) as signup_date,
        cast({{ local_time('profiles.known_at', 'clock.timezone') }} as date) as known_date,
        loyalty_ladder.next_points_from
    from profiles
    inner join customers on profiles.user_id = customers.user_id and profiles.customer_id = customers.customer_id
    inner join clock on profiles.user_id = clock.user_id
    left join loyalty_ladder
        on
            profiles.user_id = loyalty_ladder.user_id
            and coalesce(profiles.loyalty_tier, '') = loyalty_ladder.loyalty_tier

),

profile_days as (

    select *
    from dated
    where
        from_date < until_date
        and until_date > due_from_date
        and from_date <= as_of_date

)

select * from profile_days
