with customers as (

    select
        *,
        {{ unnest_days('due_from_date', 'as_of_date') }} as state_date
    from {{ ref('int_segment_customers') }}

),

measures as (

    select * from {{ ref('int_customer_measures') }}

),

favourites as (

    select * from {{ ref('int_customer_favourites') }}

),

profile_days as (

    select * from {{ ref('int_customer_profile_days') }}

),

-- A customer is known from the first event or the signup on.
known as (

    select
        customers.user_id,
        customers.customer_id,
        customers.customer_number,
        customers.state_date,
        customers.as_of_date,
        least(
            case when customers.first_event_date <= customers.state_date then customers.first_event_date end,
            coalesce(
                profile_days.signup_date,
                case
                    when coalesce(customers.first_event_date > customers.state_date, true) then profile_days.known_date
                end
            )
        ) as first_seen_date,
        profile_days.* exclude (customer_number, from_date, until_date, as_of_date, due_from_date) -- noqa: RF02
    from customers
    left join profile_days
        on
            customers.customer_number = profile_days.customer_number
            and customers.state_date >= profile_days.from_date
            and customers.state_date < profile_days.until_date
    where
        customers.first_event_date <= customers.state_date
        or coalesce(profile_days.signup_date, profile_days.known_date) <= customers.state_date

),

states as (

    select
        known.*,
        measures.* exclude (customer_number, from_date, until_date), -- noqa: RF02
        categories.favourite as favourite_category,
        categories.order_count / measures.orders as top_category_order_share,
        brands.favourite as favourite_brand,
        brands.order_count / measures.orders as top_brand_order_share
    from known
    left join measures
        on
            known.customer_number = measures.customer_number
            and known.state_date >= measures.from_date
            and known.state_date < coalesce(measures.until_date, date '9999-12-31')
    left join favourites as categories
        on
            known.customer_number = categories.customer_number
            and categories.kind = 'category'
            and known.state_date >= categories.from_date
            and known.state_date < coalesce(categories.until_date, date '9999-12-31')
    left join favourites as brands
        on
            known.customer_number = brands.customer_number
            and brands.kind = 'brand'
            and known.state_date >= brands.from_date
            and known.state_date < coalesce(brands.until_date, date '9999-12-31')

)

select * from states
