with customers as (

    select * from {{ source('raw', 'customers') }}

),

organizations as (

    select
        user_id,
        latitude,
        longitude
    from {{ ref('stg_organizations') }}

),

personal_keys as (

    select
        list(key order by key) as key_names,
        '("(?i:' || string_agg(key, '|' order by key) || ')"\s*:\s*)' as pattern
    from {{ ref('pii_keys') }}

),

reduced as (

    select
        customers.row_id as customer_version_id,
        customers.user_id,
        customers.customer_id,
        customers.birth_date,
        lower(customers.gender) as gender,
        customers.country,
        customers.city,
        round(customers.latitude, 2) as latitude,
        round(customers.longitude, 2) as longitude,
        -- From the coordinates as they came: two decimals may be a kilometre off.
        power(sin(radians(customers.latitude - organizations.latitude) / 2), 2)
        + cos(radians(customers.latitude)) * cos(radians(organizations.latitude))
        * power(sin(radians(customers.longitude - organizations.longitude) / 2), 2) as haversine,
        customers.email_opt_in,
        customers.sms_opt_in,
        lower(customers.loyalty_tier) as loyalty_tier,
        customers.loyalty_points,
        customers.is_vip,
        {{ valid_json_without_contacts('customers.tags') }} as tags,
        {{ without_personal_json('customers.attributes', 'personal_keys.key_names', 'personal_keys.pattern') }}
            as attributes,
        customers.signup_at,
        customers.updated_at,
        customers.load_id,
        customers.file_id,
        customers.record_number
    from customers
    cross join personal_keys
    left join organizations on customers.user_id = organizations.user_id

),

with_known_attributes as (

    select
        * exclude (haversine),
        -- Kilometres of the earth's mean radius. On the other side of it, rounding may bring the haversine above 1.
        round(2 * 6371.0088 * asin(sqrt(case when haversine > 1 then 1 else haversine end)), 1) as distance_km,
        lower(trim(coalesce(
            {{ json_text('attributes', 'dietary_preference') }},
            {{ json_text('attributes', 'diet') }}
        ))) as dietary_preference,
        lower(trim(coalesce(
            {{ json_text('attributes', 'preferred_channel') }},
            {{ json_text('attributes', 'channel_preference') }}
        ))) as preferred_channel,
        lower(coalesce(
            {{ json_text('attributes', 'follows_on_social') }},
            {{ json_text('attributes', 'follows_on_instagram') }}
        )) in ('true', 't', 'yes', 'y', '1') as follows_on_social
    from reduced

)

select * from with_known_attributes
