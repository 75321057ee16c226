{{ config(meta={'dagster': {'ref': {'name': 'customers'}}}) }}

-- Every later mart starts from customers: who has an event by as_of_date must be there, with all of them.
with customers as (

    select
        user_id,
        customer_id,
        event_count
    from {{ ref('customers') }}

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('data_as_of') }}

),

activity as (

    select
        daily.user_id,
        daily.customer_id,
        sum(daily.event_count) as event_count
    from {{ ref('customer_daily') }} as daily
    inner join clock on daily.user_id = clock.user_id and daily.event_date <= clock.as_of_date
    group by daily.user_id, daily.customer_id

),

differences as (

    select
        coalesce(activity.user_id, customers.user_id) as user_id,
        coalesce(activity.customer_id, customers.customer_id) as customer_id,
        customers.event_count as count_in_customers,
        activity.event_count as count_of_days
    from activity
    full outer join customers
        on
            activity.user_id = customers.user_id
            and activity.customer_id = customers.customer_id
    where customers.event_count is null or customers.event_count <> coalesce(activity.event_count, 0)

)

select * from differences
