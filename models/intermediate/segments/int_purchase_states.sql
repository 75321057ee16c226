with tenants as (

    select
        tenants.user_id,
        tenants.at_risk_days,
        tenants.churned_days,
        clock.history_from,
        clock.as_of_date
    from {{ ref('int_tenants') }} as tenants
    inner join {{ ref('int_segment_clock') }} as clock on tenants.user_id = clock.user_id

),

orders as (

    select * from {{ ref('orders') }}
    where not is_unmatched_refund

),

silences as (

    select
        orders.user_id,
        orders.customer_id,
        {{ add_days('orders.order_date', 'tenants.at_risk_days') }} as at_risk_date,
        {{ add_days('orders.order_date', 'tenants.churned_days') }} as churned_date,
        lead(orders.order_date) over (
            partition by orders.user_id, orders.customer_id
            order by orders.order_date, orders.order_number
        ) as next_order_date
    from orders
    inner join tenants on orders.user_id = tenants.user_id

),

churned as (

    select
        *,
        lag(next_order_date) over (
            partition by user_id, customer_id
            order by churned_date
        ) as last_return_date
    from silences
    where coalesce(next_order_date > churned_date, true)

),

states as (

    select
        user_id,
        customer_id,
        case order_number when 1 then 'buyer' else 'repeat_buyer' end as state,
        order_date as from_date,
        cast(null as date) as until_date
    from orders
    where order_number <= 2

    union all

    select
        user_id,
        customer_id,
        'at_risk' as state,
        at_risk_date as from_date,
        least(next_order_date, churned_date) as until_date
    from silences
    where coalesce(next_order_date > at_risk_date, true)

    union all

    select
        user_id,
        customer_id,
        'churned' as state,
        churned_date as from_date,
        next_order_date as until_date
    from churned

    union all

    -- On these dates the customer is not churned, and 30 days later it is.
    select
        user_id,
        customer_id,
        'churning' as state,
        greatest({{ add_days('churned_date', -30) }}, last_return_date) as from_date,
        least(churned_date, {{ add_days('next_order_date', -30) }}) as until_date
    from churned

),

states_in_history as (

    select states.*
    from states
    inner join tenants on states.user_id = tenants.user_id
    where
        states.from_date <= tenants.as_of_date
        and states.from_date < coalesce(states.until_date, {{ add_days('tenants.as_of_date', 1) }})
        and coalesce(states.until_date > tenants.history_from, true)

)

select * from states_in_history
