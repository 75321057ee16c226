{{ config(meta={'published_by': 'order_date', 'published_when': 'changed'}) }}

with order_lines as (

    select * from {{ ref('order_lines') }}

),

refunds as (

    select * from {{ ref('refunds') }}

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('int_tenant_clock') }}

),

purchased as (

    select
        order_lines.user_id,
        order_lines.customer_id,
        order_lines.order_id,
        count(*) filter (where order_lines.line_number > 0) as line_count,
        sum(order_lines.quantity) as quantity,
        sum(order_lines.list_amount) as list_amount,
        sum(order_lines.discount_amount) as discount_amount,
        sum(order_lines.gross_amount) as gross_amount,
        min(order_lines.event_date) as order_date,
        min(order_lines.created_at) as ordered_at,
        arg_min(order_lines.local_hour, (order_lines.created_at, order_lines.id)) as local_hour
    from order_lines
    inner join clock on order_lines.user_id = clock.user_id and order_lines.event_date <= clock.as_of_date
    group by order_lines.user_id, order_lines.customer_id, order_lines.order_id

),

refunded as (

    select
        refunds.user_id,
        refunds.customer_id,
        refunds.order_id,
        sum(refunds.refund_amount) as refund_amount,
        min(refunds.event_date) as refund_date,
        min(refunds.created_at) as first_refunded_at,
        max(refunds.created_at) as last_refunded_at
    from refunds
    inner join clock on refunds.user_id = clock.user_id and refunds.event_date <= clock.as_of_date
    group by refunds.user_id, refunds.customer_id, refunds.order_id

),

-- A refund whose order is unknown is a row of its own: it counts in net spend, not among the orders.
matched as (

    select
        coalesce(purchased.user_id, refunded.user_id) as user_id,
        coalesce(purchased.customer_id, refunded.customer_id) as customer_id,
        coalesce(purchased.order_id, refunded.order_id) as order_id,
        coalesce(purchased.line_count, 0) as line_count,
        coalesce(purchased.quantity, 0) as quantity,
        coalesce(purchased.list_amount, 0) as list_amount,
        coalesce(purchased.discount_amount, 0) as discount_amount,
        coalesce(purchased.gross_amount, 0) as gross_amount,
        coalesce(refunded.refund_amount, 0) as refund_amount,
        purchased.order_id is null as is_unmatched_refund,
        purchased.local_hour,
        coalesce(purchased.order_date, refunded.refund_date) as order_date,
        coalesce(purchased.ordered_at, refunded.first_refunded_at) as ordered_at,
        refunded.last_refunded_at
    from purchased
    full outer join refunded
        on
            purchased.user_id = refunded.user_id
            and purchased.customer_id = refunded.customer_id
            and purchased.order_id = refunded.order_id

),

order_rows as (

    select
        {{ surrogate_uuid(['user_id', 'customer_id', 'order_id']) }} as id,
        user_id,
        customer_id,
        order_id,
        case
            when not is_unmatched_refund
                then row_number() over (
                    partition by user_id, customer_id, is_unmatched_refund
                    order by ordered_at, order_id
                )
        end as order_number,
        line_count,
        cast(quantity as decimal(18, 4)) as quantity,
        cast(list_amount as decimal(18, 4)) as list_amount,
        cast(discount_amount as decimal(18, 4)) as discount_amount,
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(refund_amount as decimal(18, 4)) as refund_amount,
        cast(gross_amount - refund_amount as decimal(18, 4)) as net_amount,
        is_unmatched_refund,
        local_hour,
        order_date,
        ordered_at,
        last_refunded_at
    from matched

)

select * from order_rows
