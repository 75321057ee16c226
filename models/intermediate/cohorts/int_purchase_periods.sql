with orders as (

    select * from {{ ref('orders') }}

),

customer_orders as (

    select * from {{ ref('int_customer_orders') }}

),

orders_marked as (

    select
        orders.user_id,
        orders.customer_id,
        orders.order_date,
        orders.net_amount,
        not orders.is_unmatched_refund as is_purchase,
        not orders.is_unmatched_refund and orders.order_date = customer_orders.first_order_date as is_first_purchase,
        not orders.is_unmatched_refund and orders.order_date = customer_orders.last_order_date as is_last_purchase
    from orders
    inner join customer_orders
        on
            orders.user_id = customer_orders.user_id
            and orders.customer_id = customer_orders.customer_id

),

purchase_periods as (

    {% for grain in ['month', 'quarter', 'week'] %}
        select
            user_id,
            customer_id,
            '{{ grain }}' as period_grain,
            cast({{ dbt.date_trunc(grain, 'order_date') }} as date) as period_start_date,
            count(*) filter (where is_purchase) as order_count,
            sum(net_amount) as revenue,
            bool_or(is_first_purchase) as has_first_purchase,
            bool_or(is_last_purchase) as has_last_purchase
        from orders_marked
        group by user_id, customer_id, {{ dbt.date_trunc(grain, 'order_date') }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

)

select * from purchase_periods
