with customers as (

    select * from {{ ref('int_segment_customers') }}

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

prediction_days as (

    select * from {{ ref('int_customer_prediction_days') }}

),

scores as (

    select * from {{ ref('int_state_scores') }}

),

intervals as (

    select * from {{ ref('int_customer_intervals') }}

),

-- A customer is known from the first event or the signup on.
known as (

    select
        customers.user_id,
        customers.customer_id,
        customers.customer_number,
        intervals.state_date,
        intervals.until_date,
        customers.as_of_date,
        least(
            case when customers.first_event_date <= intervals.state_date then customers.first_event_date end,
            coalesce(
                profile_days.signup_date,
                case
                    when coalesce(customers.first_event_date > intervals.state_date, true) then profile_days.known_date
                end
            )
        ) as first_seen_date,
        profile_days.* exclude (customer_number, from_date, until_date, as_of_date, due_from_date) -- noqa: RF02
    from intervals
    inner join customers on intervals.customer_number = customers.customer_number
    left join profile_days
        on
            intervals.customer_number = profile_days.customer_number
            and intervals.state_date >= profile_days.from_date
            and intervals.state_date < profile_days.until_date
    where
        customers.first_event_date <= intervals.state_date
        or coalesce(profile_days.signup_date, profile_days.known_date) <= intervals.state_date

),

states as (

    select
        known.*,
        measures.* exclude (customer_number, from_date, until_date), -- noqa: RF02
        scores.* exclude (user_id, customer_number, from_date, until_date), -- noqa: RF02
        categories.favourite as favourite_category,
        categories.order_count / measures.orders as top_category_order_share,
        brands.favourite as favourite_brand,
        brands.order_count / measures.orders as top_brand_order_share,
        -- What somebody uploaded counts before what a model says.
        case
            when uploaded_churn.kind is null then model_days.churn_probability
            else uploaded_churn.churn_probability
        end as churn_probability,
        case
            when uploaded_ltv.kind is null then model_days.predicted_ltv_1year
            else uploaded_ltv.predicted_ltv_1year
        end as predicted_ltv_1year
    from known
    {% for joined, alias, condition in [
        ('measures', 'measures', ''),
        ('scores', 'scores', ''),
        ('favourites', 'categories', "and categories.kind = 'category'"),
        ('favourites', 'brands', "and brands.kind = 'brand'"),
        ('prediction_days', 'model_days', "and model_days.kind = 'model'"),
        ('prediction_days', 'uploaded_churn', "and uploaded_churn.kind = 'churn'"),
        ('prediction_days', 'uploaded_ltv', "and uploaded_ltv.kind = 'ltv'")
    ] %}
        left join {{ joined }}{{ ' as ' ~ alias if alias != joined }}
            on
                known.customer_number = {{ alias }}.customer_number {{ condition }}
                and known.state_date >= {{ alias }}.from_date
                and known.state_date < coalesce({{ alias }}.until_date, date '9999-12-31')
    {% endfor %}

)

select * from states
