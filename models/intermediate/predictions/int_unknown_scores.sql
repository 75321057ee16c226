with uploads as (

    select
        'churn_scores' as feed,
        user_id,
        customer_id,
        load_id,
        file_id,
        record_number
    from {{ ref('stg_churn_scores') }}

    union all

    select
        'ltv_predictions' as feed,
        user_id,
        customer_id,
        load_id,
        file_id,
        record_number
    from {{ ref('stg_ltv_predictions') }}

),

customers as (

    select
        user_id,
        customer_id
    from {{ ref('customers') }}

),

load_ledger as (

    select
        file_id,
        path,
        loaded_at
    from {{ ref('stg_load_ledger') }}

),

unknown as (

    select
        uploads.*,
        load_ledger.path,
        'unknown_customer' as broken_rule,
        -- Document 001's words.
        'Customer ' || {{ without_contacts('uploads.customer_id') }} || ' not found in organization' as detail,
        load_ledger.loaded_at
    from uploads
    inner join load_ledger on uploads.file_id = load_ledger.file_id
    left join customers
        on uploads.user_id = customers.user_id and uploads.customer_id = customers.customer_id
    where customers.customer_id is null

)

select * from unknown
