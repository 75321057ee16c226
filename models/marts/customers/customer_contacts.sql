{{ config(schema='restricted', access='protected') }}

with contacts as (

    select * from {{ ref('stg_customer_contacts') }}

),

latest as (

    select *
    from contacts
    qualify row_number() over (
        partition by user_id, customer_id
        order by updated_at desc, load_id desc, file_id desc, record_number desc
    ) = 1

),

contact_rows as (

    select
        {{ surrogate_uuid(['user_id', 'customer_id']) }} as id,
        user_id,
        customer_id,
        email,
        phone,
        name,
        latitude,
        longitude,
        coalesce(email_opt_in, false) as email_opt_in,
        coalesce(sms_opt_in, false) as sms_opt_in,
        birth_date,
        updated_at
    from latest

)

select * from contact_rows
