with customers as (

    select * from {{ ref('customers') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

customer_orders as (

    select * from {{ ref('int_customer_orders') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

starts as (

    select
        customers.user_id,
        customers.customer_id,
        customers.first_event_at,
        cast({{ local_time('customers.first_event_at', 'clock.timezone') }} as date) as first_event_date,
        customers.first_event_type,
        customer_orders.first_ordered_at,
        customer_orders.first_order_date,
        customer_orders.first_order_gross,
        -- Day 1 is the day of the first purchase.
        {{ add_days('customer_orders.first_order_date', 29) }} as day_30,
        clock.as_of_date,
        clock.timezone
    from customers
    inner join clock on customers.user_id = clock.user_id
    left join customer_orders
        on
            customers.user_id = customer_orders.user_id
            and customers.customer_id = customer_orders.customer_id

),

sessions_to_day_30 as (

    select
        starts.user_id,
        starts.customer_id,
        count(*) as session_count
    from starts
    inner join sessions
        on
            starts.user_id = sessions.user_id
            and starts.customer_id = sessions.customer_id
            and sessions.session_date between starts.first_order_date and starts.day_30
    group by starts.user_id, starts.customer_id

),

classified as (

    select
        starts.*,
        case
            when sessions_to_day_30.session_count >= 5 then '5+ sessions'
            when sessions_to_day_30.session_count >= 2 then '2-4 sessions'
            else '0-1 sessions'
        end as engagement_class,
        case {{ quantile(
            'starts.first_order_gross',
            3,
            'starts.user_id, ' ~ dbt.date_trunc('month', 'starts.first_order_date')
        ) }}
            when 0 then 'low'
            when 1 then 'medium'
            when 2 then 'high'
        end as value_class
    from starts
    left join sessions_to_day_30
        on
            starts.user_id = sessions_to_day_30.user_id
            and starts.customer_id = sessions_to_day_30.customer_id

)

select * from classified
