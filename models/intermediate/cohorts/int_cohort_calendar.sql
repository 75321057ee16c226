with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

cohorts as (

    select * from {{ ref('cohorts') }}

),

day_ranges as (

    select
        cohorts.user_id,
        min(cohorts.acquisition_start_date) as first_date,
        max(greatest(cohorts.acquisition_end_date, clock.as_of_date)) as last_date
    from cohorts
    inner join clock on cohorts.user_id = clock.user_id
    group by cohorts.user_id

),

days as (

    select
        user_id,
        {{ unnest_days('first_date', 'last_date') }} as calendar_date
    from day_ranges

),

periods as (

    {% for grain in ['month', 'quarter', 'week'] %}
        select distinct
            user_id,
            '{{ grain }}' as period_grain,
            cast({{ dbt.date_trunc(grain, 'calendar_date') }} as date) as period_start_date,
            {{ add_days('cast(' ~ dbt.dateadd(grain, 1, dbt.date_trunc(grain, 'calendar_date')) ~ ' as date)', -1) }}
                as period_end_date
        from days
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

)

select * from periods
