{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

-- Gross less refunds is net in every single order, and list less discount is gross; a refund that matches no order
-- charges nothing.
with orders as (

    select * from {{ ref('orders') }}

),

unbalanced_orders as (

    select *
    from orders
    where
        net_amount <> gross_amount - refund_amount
        or gross_amount <> list_amount - discount_amount
        or refund_amount < 0
        or is_unmatched_refund <> (order_number is null)
        or (is_unmatched_refund and (gross_amount <> 0 or line_count <> 0))

)

select * from unbalanced_orders
