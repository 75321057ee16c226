with tenants as (

    select * from {{ ref('int_tenants') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_unmatched_refund

),

order_days as (

    select
        user_id,
        customer_id,
        order_date,
        bool_or(order_number = 1) as has_first_order,
        bool_or(order_number = 2) as has_second_order
    from orders
    group by user_id, customer_id, order_date

),

silences as (

    select
        order_days.user_id,
        order_days.order_date,
        order_days.has_first_order,
        order_days.has_second_order,
        {{ add_days('order_days.order_date', 'tenants.at_risk_days') }} as at_risk_date,
        {{ add_days('order_days.order_date', 'tenants.churned_days') }} as churned_date,
        lead(order_days.order_date) over (
            partition by order_days.user_id, order_days.customer_id
            order by order_days.order_date
        ) as next_order_date
    from order_days
    inner join tenants on order_days.user_id = tenants.user_id

),

{% set changes = [
    ('buyer', 'order_date', 'entered', 'has_first_order'),
    ('repeat_buyer', 'order_date', 'entered', 'has_second_order'),
    ('at_risk', 'at_risk_date', 'entered', 'coalesce(next_order_date > at_risk_date, true)'),
    ('at_risk', 'least(next_order_date, churned_date)', 'left', 'coalesce(next_order_date > at_risk_date, true)'),
    ('churned', 'churned_date', 'entered', 'coalesce(next_order_date > churned_date, true)'),
    ('churned', 'next_order_date', 'left', 'next_order_date > churned_date')
] %}

changes as (

    {% for state, change_date, direction, condition in changes %}
        select
            user_id,
            {{ change_date }} as change_date,
            '{{ state }}' as state,
            {{ 'count(*)' if direction == 'entered' else 0 }} as entered_count,
            {{ 'count(*)' if direction == 'left' else 0 }} as left_count
        from silences
        where {{ condition }}
        group by user_id, {{ change_date }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

)

select * from changes
