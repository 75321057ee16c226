with customers as (

    select * from {{ source('raw', 'customers') }}

),

reduced as (

    select
        row_id as customer_version_id,
        user_id,
        customer_id,
        birth_date,
        lower(gender) as gender,
        country,
        city,
        round(latitude, 2) as latitude,
        round(longitude, 2) as longitude,
        email_opt_in,
        sms_opt_in,
        lower(loyalty_tier) as loyalty_tier,
        loyalty_points,
        is_vip,
        {{ valid_json_without_contacts('tags') }} as tags,
        attributes as raw_attributes,
        signup_at,
        updated_at,
        load_id,
        file_id,
        record_number
    from customers

),

personal_keys as (

    select
        list(key order by key) as key_names,
        '("(?i:' || string_agg(key, '|' order by key) || ')"\s*:\s*)' as pattern
    from {{ ref('pii_keys') }}

),

without_personal_attributes as (

    select
        reduced.* exclude (raw_attributes),
        {{ without_personal_json('reduced.raw_attributes', 'personal_keys.key_names', 'personal_keys.pattern') }}
            as attributes
    from reduced
    cross join personal_keys

)

select * from without_personal_attributes
