with customers as (

    select * from {{ source('raw', 'customers') }}

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

)

select * from reduced
