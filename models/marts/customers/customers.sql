with activity as (

    select * from {{ ref('int_customer_activity') }}

),

profiles as (

    select * from {{ ref('int_customer_profiles') }}

),

acquisition as (

    select * from {{ ref('int_customer_acquisition') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

profiles_as_of as (

    select profiles.*
    from profiles
    inner join clock on profiles.user_id = clock.user_id
    where
        (profiles.valid_from is null or profiles.valid_from < clock.as_of_at)
        and (profiles.valid_to is null or profiles.valid_to >= clock.as_of_at)

),

known_customers as (

    select
        coalesce(activity.user_id, profiles_as_of.user_id) as user_id,
        coalesce(activity.customer_id, profiles_as_of.customer_id) as customer_id,
        profiles_as_of.customer_id is not null as has_profile,
        profiles_as_of.* exclude (user_id, customer_id),
        activity.* exclude (user_id, customer_id),
        coalesce(
            least(activity.first_event_at, profiles_as_of.signup_at), profiles_as_of.known_at
        ) as first_seen_at
    from activity
    full outer join profiles_as_of
        on activity.user_id = profiles_as_of.user_id and activity.customer_id = profiles_as_of.customer_id

),

customer_rows as (

    select
        {{ surrogate_uuid(['known_customers.user_id', 'known_customers.customer_id']) }} as id,
        known_customers.user_id,
        known_customers.customer_id,
        known_customers.gender,
        {{ age_band('known_customers.birth_date', 'clock.as_of_date') }} as age_band,
        known_customers.country,
        known_customers.city,
        known_customers.loyalty_tier,
        cast(known_customers.tags as json) as tags,
        acquisition.acquisition_channel,
        known_customers.first_event_type,
        known_customers.loyalty_points,
        cast(coalesce(known_customers.event_count, 0) as bigint) as event_count,
        known_customers.has_profile,
        known_customers.email_opt_in,
        known_customers.sms_opt_in,
        known_customers.is_vip,
        cast({{ local_time('known_customers.first_seen_at', 'clock.timezone') }} as date) as first_seen_date,
        known_customers.last_event_date as last_seen_date,
        known_customers.signup_at,
        known_customers.first_seen_at,
        known_customers.last_event_at as last_seen_at,
        known_customers.first_event_at
    from known_customers
    inner join clock on known_customers.user_id = clock.user_id
    left join acquisition
        on
            known_customers.user_id = acquisition.user_id
            and known_customers.customer_id = acquisition.customer_id
    where known_customers.first_seen_at < clock.as_of_at

)

select * from customer_rows
