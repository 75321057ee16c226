{{ config(meta={'published_by': 'updated_at', 'published_when': 'changed'}) }}

with profiles as (

    select * from {{ ref('int_customer_profiles') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

versions as (

    select
        {{ surrogate_uuid(['profiles.user_id', 'profiles.customer_id', 'profiles.updated_at']) }} as id,
        profiles.user_id,
        profiles.customer_id,
        profiles.gender,
        {{ age_band('profiles.birth_date', 'cast(profiles.updated_at as date)') }} as age_band,
        profiles.country,
        profiles.city,
        profiles.loyalty_tier,
        cast(profiles.tags as json) as tags,
        cast(profiles.attributes as json) as attributes,
        profiles.loyalty_points,
        profiles.email_opt_in,
        profiles.sms_opt_in,
        profiles.is_vip,
        coalesce(profiles.valid_to >= clock.as_of_at, true) as is_current,
        profiles.signup_at,
        profiles.updated_at,
        profiles.valid_from,
        profiles.valid_to
    from profiles
    inner join clock on profiles.user_id = clock.user_id
    where profiles.valid_from is null or profiles.valid_from < clock.as_of_at

)

select * from versions
