with customers as (

    select * from {{ source('raw', 'customers') }}

),

renamed as (

    select
        user_id,
        customer_id,
        lower(email) as email,
        phone,
        name,
        birth_date,
        latitude,
        longitude,
        email_opt_in,
        sms_opt_in,
        updated_at,
        load_id,
        file_id,
        record_number
    from customers

)

select * from renamed
