with cohorts as (

    select * from {{ ref('cohorts') }}

),

cohort_members as (

    select * from {{ ref('cohort_members') }}

),

customers as (

    select * from {{ ref('customers') }}

),

purchase_periods as (

    select * from {{ ref('int_purchase_periods') }}

),

purchases_of_members as (

    select
        cohort_members.cohort_id,
        coalesce(customers.acquisition_channel, 'unknown') as acquisition_channel,
        {{ cohort_period(
            'cohorts.period_grain', 'cohorts.acquisition_end_date', 'purchase_periods.period_start_date'
        ) }} as period_number,
        purchase_periods.order_count,
        purchase_periods.revenue,
        purchase_periods.has_first_purchase,
        purchase_periods.has_last_purchase
    from cohort_members
    inner join cohorts on cohort_members.cohort_id = cohorts.id
    inner join customers
        on
            cohort_members.user_id = customers.user_id
            and cohort_members.customer_id = customers.customer_id
    inner join purchase_periods
        on
            cohort_members.user_id = purchase_periods.user_id
            and cohort_members.customer_id = purchase_periods.customer_id
            and cohorts.period_grain = purchase_periods.period_grain

),

-- Period 0 of a window of several months has several rows a member. Nobody buys before it, so that the row with the
-- first purchase counts the member once; grouping every cohort by member for that would double the time.
purchases_by_channel as (

    select
        cohort_id,
        acquisition_channel,
        period_number,
        count(*) filter (where order_count > 0 and (period_number > 0 or has_first_purchase)) as return_on_count,
        count(*) filter (where has_last_purchase) as last_purchase_count,
        sum(order_count) as order_count,
        sum(revenue) as revenue
    from purchases_of_members
    group by cohort_id, acquisition_channel, period_number

),

cell_purchases as (

    select
        cohort_id,
        acquisition_channel,
        period_number,
        return_on_count,
        last_purchase_count,
        order_count,
        revenue
    from purchases_by_channel

    union all

    select
        cohort_id,
        null as acquisition_channel,
        period_number,
        sum(return_on_count) as return_on_count,
        sum(last_purchase_count) as last_purchase_count,
        sum(order_count) as order_count,
        sum(revenue) as revenue
    from purchases_by_channel
    group by cohort_id, period_number

)

select * from cell_purchases
