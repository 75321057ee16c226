with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

cohorts as (

    select * from {{ ref('cohorts') }}

),

cohort_members as (

    select * from {{ ref('cohort_members') }}

),

customers as (

    select * from {{ ref('customers') }}

),

periods as (

    select * from {{ ref('int_cohort_calendar') }}

),

channel_sizes as (

    select
        cohort_members.cohort_id,
        coalesce(customers.acquisition_channel, 'unknown') as acquisition_channel,
        count(*) as member_count
    from cohort_members
    inner join customers
        on
            cohort_members.user_id = customers.user_id
            and cohort_members.customer_id = customers.customer_id
    group by cohort_members.cohort_id, coalesce(customers.acquisition_channel, 'unknown')

    union all

    select
        id as cohort_id,
        null as acquisition_channel,
        member_count
    from cohorts

),

cohort_periods as (

    select
        cohorts.id as cohort_id,
        cohorts.user_id,
        cohorts.period_grain,
        {{ cohort_period(
            'cohorts.period_grain', 'cohorts.acquisition_end_date', 'periods.period_start_date'
        ) }} as period_number,
        cohorts.acquisition_start_date,
        periods.period_start_date,
        periods.period_end_date,
        greatest(periods.period_end_date, cohorts.membership_closed_date) <= clock.as_of_date as is_complete
    from cohorts
    inner join clock on cohorts.user_id = clock.user_id
    -- From the period in which the window ends (it may lie ahead) to the current one.
    inner join periods
        on
            cohorts.user_id = periods.user_id
            and cohorts.period_grain = periods.period_grain
            and cohorts.acquisition_end_date <= periods.period_end_date
            and greatest(clock.as_of_date, cohorts.acquisition_end_date) >= periods.period_start_date

),

cells as (

    select
        cohort_periods.cohort_id,
        cohort_periods.user_id,
        channel_sizes.acquisition_channel,
        cohort_periods.period_grain,
        cohort_periods.period_number,
        -- Period 0 of a window of several months begins with the window.
        case
            when cohort_periods.period_number = 0 then cohort_periods.acquisition_start_date
            else cohort_periods.period_start_date
        end as period_start_date,
        cohort_periods.period_end_date,
        cohort_periods.is_complete,
        channel_sizes.member_count
    from cohort_periods
    inner join channel_sizes on cohort_periods.cohort_id = channel_sizes.cohort_id

)

select * from cells
