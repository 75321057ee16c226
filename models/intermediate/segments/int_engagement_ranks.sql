{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

customers as (

    select * from {{ ref('customers') }}

),

engagement_values as (

    select * from {{ ref('int_engagement_values') }}

),

dates as (

    select
        user_id,
        {{ unnest_days('history_from', 'as_of_date') }} as date
    from clock

),

newcomers as (

    select
        customers.user_id,
        greatest(customers.first_seen_date, clock.history_from) as date,
        count(*) as customer_count
    from customers
    inner join clock on customers.user_id = clock.user_id
    group by customers.user_id, greatest(customers.first_seen_date, clock.history_from)

),

customers_by_date as (

    select
        dates.user_id,
        dates.date,
        coalesce(sum(newcomers.customer_count) over (
            partition by dates.user_id
            order by dates.date
            rows unbounded preceding
        ), 0) as customer_count
    from dates
    left join newcomers on dates.user_id = newcomers.user_id and dates.date = newcomers.date

),

changes as (

    select
        user_id,
        measure,
        measured_value,
        from_date as date,
        count(*) as count_change
    from engagement_values
    group by user_id, measure, measured_value, from_date

    union all

    select
        user_id,
        measure,
        measured_value,
        until_date as date,
        -count(*) as count_change
    from engagement_values
    where until_date is not null
    group by user_id, measure, measured_value, until_date

),

changes_by_date as (

    select
        user_id,
        measure,
        measured_value,
        date,
        sum(count_change) as count_change
    from changes
    group by user_id, measure, measured_value, date

),

first_dates as (

    select
        user_id,
        measure,
        measured_value,
        min(date) as first_date
    from changes_by_date
    group by user_id, measure, measured_value

),

counts as (

    select
        customers_by_date.user_id,
        customers_by_date.date,
        customers_by_date.customer_count,
        first_dates.measure,
        first_dates.measured_value,
        coalesce(sum(changes_by_date.count_change) over (
            partition by customers_by_date.user_id, first_dates.measure, first_dates.measured_value
            order by customers_by_date.date
            rows unbounded preceding
        ), 0) as equal_count
    from customers_by_date
    inner join first_dates
        on
            customers_by_date.user_id = first_dates.user_id
            and customers_by_date.date >= first_dates.first_date
    left join changes_by_date
        on
            customers_by_date.user_id = changes_by_date.user_id
            and first_dates.measure = changes_by_date.measure
            and first_dates.measured_value = changes_by_date.measured_value
            and customers_by_date.date = changes_by_date.date

),

ranks as (

    select
        user_id,
        date,
        measure,
        measured_value,
        cast(customer_count as bigint) as customer_count,
        -- Strictly worse: equal values share a rank.
        cast(customer_count - sum(equal_count) over (
            partition by user_id, date, measure
            order by measured_value desc
            rows unbounded preceding
        ) as bigint) as worse_count
    from counts
    where equal_count > 0

)

select * from ranks
