{{ config(materialized='table') }}

with clauses as (

    select * from {{ ref('int_segment_clauses') }}
    where value_type = 'event'

),

facts as (

    select * from {{ ref('int_segment_event_facts') }}

),

customers as (

    select * from {{ ref('int_segment_customers') }}

),

windows as (

    select distinct
        window_number,
        user_id,
        subject,
        match_key,
        lower(match_value) as match_value,
        sum_property,
        first_day,
        last_day
    from clauses

),

-- Until when a date counts is a date of its own, so that values between two moves stay the same.
moves as (

    {% for shift, sign in [('windows.first_day', 1), ('windows.last_day + 1', -1)] %}
        select
            customers.customer_number,
            windows.window_number,
            customers.as_of_date,
            greatest({{ add_days('facts.event_date', shift) }}, customers.due_from_date) as from_date,
            {{ sign }} * facts.event_count as event_count,
            {{ sign }} as event_days,
            {{ sign }} * facts.event_sum as event_sum
        from facts
        inner join windows
            on
                facts.user_id = windows.user_id
                and facts.subject = windows.subject
                and facts.match_key is not distinct from windows.match_key
                and facts.match_value is not distinct from windows.match_value
                and facts.sum_property is not distinct from windows.sum_property
        inner join customers on facts.user_id = customers.user_id and facts.customer_id = customers.customer_id
        where {{ add_days('facts.event_date', shift) }} <= customers.as_of_date
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

moves_by_date as (

    select
        customer_number,
        window_number,
        as_of_date,
        from_date,
        sum(event_count) as event_count,
        sum(event_days) as event_days,
        sum(event_sum) as event_sum
    from moves
    group by customer_number, window_number, as_of_date, from_date

),

event_values as (

    select
        customer_number,
        window_number,
        from_date,
        lead(from_date, 1, {{ add_days('as_of_date', 1) }}) over timeline as until_date,
        sum(event_count) over to_date as event_count,
        sum(event_days) over to_date as event_days,
        coalesce(sum(event_sum) over to_date, 0) as event_sum,
        lead(from_date) over timeline is null as is_last
    from moves_by_date
    window
        timeline as (partition by customer_number, window_number order by from_date),
        to_date as (
            partition by customer_number, window_number
            order by from_date
            rows unbounded preceding
        )

)

select * from event_values
