with customers as (

    select * from {{ ref('int_segment_customers') }}

),

measures as (

    select * from {{ ref('int_customer_measures') }}

),

favourites as (

    select * from {{ ref('int_customer_favourites') }}

),

scores as (

    select * from {{ ref('int_state_scores') }}

),

profile_days as (

    select * from {{ ref('int_customer_profile_days') }}

),

prediction_days as (

    select * from {{ ref('int_customer_prediction_days') }}

),

-- Where anything known of a customer may become otherwise; the as-of date begins a state of its own, for those who ask
-- for that date only.
first_dates as (

    select
        customer_number,
        due_from_date as state_date
    from customers

    union

    select
        customer_number,
        as_of_date as state_date
    from customers

    {% for changes in ['measures', 'favourites', 'scores'] %}
        union

        select
            customer_number,
            from_date as state_date
        from {{ changes }}
    {% endfor %}

    {% for changes, date in [
        ('profile_days', 'from_date'),
        ('profile_days', 'coalesce(signup_date, known_date)'),
        ('prediction_days', 'from_date'),
        ('prediction_days', 'until_date')
    ] %}
        union

        select
            customer_number,
            {{ date }} as state_date
        from {{ changes }}
        where {{ date }} between due_from_date and as_of_date
    {% endfor %}

),

intervals as (

    select
        first_dates.customer_number,
        first_dates.state_date,
        coalesce(
            lead(first_dates.state_date) over (
                partition by first_dates.customer_number order by first_dates.state_date
            ),
            {{ add_days('customers.as_of_date', 1) }}
        ) as until_date
    from first_dates
    inner join customers on first_dates.customer_number = customers.customer_number

)

select * from intervals
