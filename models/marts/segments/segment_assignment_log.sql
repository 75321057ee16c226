with assignments as (

    select * from {{ ref('int_segment_assignments') }}

),

customers as (

    select
        user_id,
        customer_id
    from {{ ref('customers') }}

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('int_tenant_clock') }}

),

load_ledger as (

    select
        file_id,
        path
    from {{ ref('stg_load_ledger') }}

),

judged as (

    select
        assignments.*,
        load_ledger.path,
        case
            when clock.user_id is null then 'unknown tenant'
            when assignments.assigned_date > clock.as_of_date then 'waiting'
            when customers.customer_id is null then 'unknown customer'
            when assignments.is_change then 'effective'
            else 'no change'
        end as outcome
    from assignments
    left join clock on assignments.user_id = clock.user_id
    left join customers
        on assignments.user_id = customers.user_id and assignments.customer_id = customers.customer_id
    left join load_ledger on assignments.file_id = load_ledger.file_id

),

log_rows as (

    select
        {{ surrogate_uuid(['file_id', 'record_number']) }} as id,
        user_id,
        {{ surrogate_uuid(['user_id', 'segment_key']) }} as segment_id,
        customer_id,
        segment_key,
        action,
        actor,
        reason,
        outcome,
        path,
        assignment_number,
        load_id,
        file_id,
        record_number,
        outcome = 'effective' as is_effective,
        assigned_date,
        assigned_at
    from judged

)

select * from log_rows
