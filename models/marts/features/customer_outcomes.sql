with feature_customers as (

    select * from {{ ref('int_feature_customers') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

customer_days as (

    select * from {{ ref('int_feature_days') }}

),

horizons as (

    select
        user_id,
        churn_horizon_days as horizon_days
    from tenants
    {% for horizon in var('outcome_horizons') %}
        union
        select
            user_id,
            {{ horizon }} as horizon_days
        from tenants
    {% endfor %}

),

-- A window that is still open says nothing: it has no row.
closed_windows as (

    select
        feature_customers.user_id,
        feature_customers.customer_id,
        horizons.horizon_days,
        feature_customers.feature_date,
        {{ add_days('feature_customers.feature_date', 'horizons.horizon_days') }} as last_date
    from feature_customers
    inner join clock on feature_customers.user_id = clock.user_id
    inner join horizons
        on
            feature_customers.user_id = horizons.user_id
            and {{ add_days('feature_customers.feature_date', 'horizons.horizon_days') }} <= clock.as_of_date

),

outcomes as (

    select
        closed_windows.user_id,
        closed_windows.customer_id,
        cast(closed_windows.horizon_days as integer) as horizon_days,
        cast(count(customer_days.purchase_date) as integer) as purchase_days,
        cast(
            coalesce(sum(customer_days.gross_amount - customer_days.refund_amount), 0) as decimal(18, 4)
        ) as spend,
        closed_windows.feature_date as as_of_date
    from closed_windows
    left join customer_days
        on
            closed_windows.user_id = customer_days.user_id
            and closed_windows.customer_id = customer_days.customer_id
            and closed_windows.feature_date < customer_days.event_date
            and closed_windows.last_date >= customer_days.event_date
    group by
        closed_windows.user_id, closed_windows.customer_id, closed_windows.horizon_days, closed_windows.feature_date

)

select * from outcomes
