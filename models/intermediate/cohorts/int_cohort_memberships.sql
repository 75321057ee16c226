{{ config(materialized='table') }}

with starts as (

    select * from {{ ref('int_customer_starts') }}

),

named_cohorts as (

    select * from {{ ref('named_cohorts') }}

),

generated as (

    {% for grain in ['month', 'quarter', 'week'] %}
        select
            user_id,
            customer_id,
            'acquisition' as cohort_type,
            '{{ grain }}' as period_grain,
            cast(null as varchar) as cohort_class,
            cast({{ dbt.date_trunc(grain, 'first_order_date') }} as date) as acquisition_start_date,
            first_ordered_at as joined_at
        from starts
        where first_order_date is not null

        union all
    {% endfor %}

    select
        user_id,
        customer_id,
        'behavioral' as cohort_type,
        'month' as period_grain,
        first_event_type as cohort_class,
        cast({{ dbt.date_trunc('month', 'first_event_date') }} as date) as acquisition_start_date,
        first_event_at as joined_at
    from starts
    where first_event_date <= as_of_date

    union all

    select
        user_id,
        customer_id,
        'value' as cohort_type,
        'month' as period_grain,
        value_class as cohort_class,
        cast({{ dbt.date_trunc('month', 'first_order_date') }} as date) as acquisition_start_date,
        first_ordered_at as joined_at
    from starts
    -- Terciles are fixed when the month closes; before that nobody is in one.
    where {{ dbt.date_trunc('month', 'first_order_date') }} < {{ dbt.date_trunc('month', add_days('as_of_date', 1)) }}

    union all

    select
        user_id,
        customer_id,
        'engagement' as cohort_type,
        'month' as period_grain,
        engagement_class as cohort_class,
        cast({{ dbt.date_trunc('month', 'first_order_date') }} as date) as acquisition_start_date,
        {{ utc_instant(add_days('day_30', 1), 'timezone') }} as joined_at
    from starts
    where day_30 <= as_of_date

),

keyed as (

    select
        *,
        concat_ws(':', cohort_type, period_grain, cast(acquisition_start_date as varchar), cohort_class) as cohort_key
    from generated

),

named as (

    select
        starts.user_id,
        starts.customer_id,
        named_cohorts.cohort_type,
        'month' as period_grain,
        cast(null as varchar) as cohort_class,
        named_cohorts.start_date as acquisition_start_date,
        case named_cohorts.membership_rule
            when 'first_purchase' then starts.first_ordered_at
            when 'first_event' then starts.first_event_at
        end as joined_at,
        concat('named:', named_cohorts.cohort_key) as cohort_key
    from starts
    inner join named_cohorts
        on
            case named_cohorts.membership_rule
                when 'first_purchase' then starts.first_order_date
                when 'first_event' then starts.first_event_date
            end between named_cohorts.start_date and least(named_cohorts.end_date, starts.as_of_date)

),

memberships as (

    select * from keyed
    union all
    select * from named

)

select * from memberships
