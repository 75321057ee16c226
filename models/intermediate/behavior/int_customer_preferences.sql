with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

order_lines as (

    select * from {{ ref('order_lines') }}

),

{% set preferences = [
    ('order_category', 'order_lines', 'product_category', 'created_at', 'event_date'),
    ('session_category', 'sessions', 'product_category', 'started_at', 'session_date'),
    ('device', 'sessions', 'device_type', 'started_at', 'session_date'),
    ('source', 'sessions', 'event_category', 'started_at', 'session_date')
] %}

occurrences as (

    {% for preference, facts, value, occurred_at, local_date in preferences %}
        select
            {{ facts }}.user_id,
            {{ facts }}.customer_id,
            '{{ preference }}' as preference,
            {{ facts }}.{{ value }} as preferred_value,
            count(*) as occurrence_count,
            max({{ facts }}.{{ occurred_at }}) as last_occurred_at
        from {{ facts }}
        inner join clock on {{ facts }}.user_id = clock.user_id
        where
            {{ facts }}.{{ value }} is not null
            and {{ facts }}.{{ local_date }} <= clock.as_of_date
        group by {{ facts }}.user_id, {{ facts }}.customer_id, {{ facts }}.{{ value }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- Most occurrences, then the latest, then the name. An aggregate takes half the time of a window function (2.0 s
-- against 3.4 s of processor time for 2.3 million sessions).
{% set order_of_preference = '(-occurrence_count, -epoch_us(last_occurred_at), preferred_value)' %}

preferred as (

    select
        user_id,
        customer_id,
        coalesce(
            arg_min(preferred_value, {{ order_of_preference }}) filter (where preference = 'order_category'),
            arg_min(preferred_value, {{ order_of_preference }}) filter (where preference = 'session_category')
        ) as preferred_category,
        arg_min(preferred_value, {{ order_of_preference }}) filter (where preference = 'device') as preferred_device,
        arg_min(preferred_value, {{ order_of_preference }}) filter (where preference = 'source') as preferred_source
    from occurrences
    group by user_id, customer_id

)

select * from preferred
