with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

customers as (

    select * from {{ ref('customers') }}

),

activity as (

    select * from {{ ref('int_customer_activity') }}

),

customer_orders as (

    select * from {{ ref('int_customer_orders') }}

),

preferences as (

    select * from {{ ref('int_customer_preferences') }}

),

order_totals as (

    select
        customer_orders.*,
        {{ dbt.datediff('customer_orders.last_order_date', 'clock.as_of_date', 'day') }}
            as days_since_purchase,
        {{ dbt.datediff('customer_orders.first_order_date', 'clock.as_of_date', 'day') }}
            as days_since_first_order,
        {{ dbt.datediff('customer_orders.first_order_date', 'customer_orders.last_order_date', 'day') }}
            as days_between_first_and_last
    from customer_orders
    inner join clock on customer_orders.user_id = clock.user_id

),

summaries as (

    select
        {{ surrogate_uuid(['customers.user_id', 'customers.customer_id']) }} as id,
        customers.user_id,
        customers.customer_id,
        cast(coalesce(activity.event_count, 0) as integer) as total_events,
        cast(coalesce(activity.page_view_count, 0) as integer) as total_page_views,
        cast(coalesce(activity.product_view_count, 0) as integer) as total_product_views,
        cast(coalesce(activity.add_to_cart_count, 0) as integer) as total_add_to_cart,
        cast(coalesce(order_totals.order_count, 0) as integer) as total_purchases,
        cast(coalesce(order_totals.net_amount, 0) as decimal(18, 4)) as total_spent,
        cast(order_totals.gross_amount / nullif(order_totals.order_count, 0) as decimal(18, 4)) as avg_order_value,
        order_totals.last_ordered_at as last_purchase_date,
        order_totals.first_ordered_at as first_purchase_date,
        cast(order_totals.days_since_purchase as integer) as days_since_purchase,
        case
            when order_totals.order_count >= 2
                then order_totals.days_between_first_and_last / (order_totals.order_count - 1)
        end as purchase_frequency_days,
        preferences.preferred_category,
        preferences.preferred_device,
        preferences.preferred_source,
        customers.first_seen_at as created_at,
        clock.as_of_at as updated_at,
        cast(coalesce(order_totals.gross_amount, 0) as decimal(18, 4)) as gross_amount,
        cast(coalesce(order_totals.refund_amount, 0) as decimal(18, 4)) as refund_amount,
        -- 30.44 days: the mean month of a year of 365.25.
        coalesce(order_totals.order_count / greatest(1, order_totals.days_since_first_order / 30.44), 0)
            as orders_per_month,
        clock.as_of_date
    from customers
    inner join clock on customers.user_id = clock.user_id
    left join activity
        on
            customers.user_id = activity.user_id
            and customers.customer_id = activity.customer_id
    left join order_totals
        on
            customers.user_id = order_totals.user_id
            and customers.customer_id = order_totals.customer_id
    left join preferences
        on
            customers.user_id = preferences.user_id
            and customers.customer_id = preferences.customer_id

)

select * from summaries
