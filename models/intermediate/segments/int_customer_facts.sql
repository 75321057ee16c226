{#- Days of a trailing window. -#}
{% set window_days = 30 %}
{%- set measures = [
    'customers_with_event', 'total_events', 'total_page_views', 'total_product_views', 'total_add_to_cart',
    'email_sent_count', 'email_open_count', 'email_click_count', 'sms_sent_count', 'sms_open_count', 'refund_amount',
    'total_purchases', 'buyers_that_day', 'gross_amount', 'session_count', 'engaged_session_count', 'session_seconds'
] %}

with clock as (

    select
        segment_clock.user_id,
        segment_clock.as_of_date,
        tenant_clock.first_event_date,
        {{ add_days('segment_clock.history_from', -window_days) }} as opening_date
    from {{ ref('int_segment_clock') }} as segment_clock
    inner join {{ ref('int_tenant_clock') }} as tenant_clock on segment_clock.user_id = tenant_clock.user_id

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_unmatched_refund

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

{#- One fact table after another: (name, date, condition, measures) -#}
{% set facts = [
    ('customer_daily', 'customer_daily.event_date', 'customer_daily.event_date > clock.opening_date', {
        'customers_with_event': 'count(*)',
        'total_events': 'sum(customer_daily.event_count)',
        'total_page_views': 'sum(customer_daily.page_view_count)',
        'total_product_views': 'sum(customer_daily.product_view_count)',
        'total_add_to_cart': 'sum(customer_daily.add_to_cart_count)',
        'email_sent_count': 'sum(customer_daily.email_sent_count)',
        'email_open_count': 'sum(customer_daily.email_open_count)',
        'email_click_count': 'sum(customer_daily.email_click_count)',
        'sms_sent_count': 'sum(customer_daily.sms_sent_count)',
        'sms_open_count': 'sum(customer_daily.sms_open_count)'
    }),
    ('customer_daily', 'greatest(customer_daily.event_date, clock.opening_date)', 'customer_daily.refund_amount > 0', {
        'refund_amount': 'sum(customer_daily.refund_amount)'
    }),
    ('orders', 'greatest(orders.order_date, clock.opening_date)', 'true', {
        'total_purchases': 'count(*)',
        'buyers_that_day': '1',
        'gross_amount': 'sum(orders.gross_amount)'
    }),
    ('sessions', 'greatest(sessions.session_date, clock.first_event_date)', 'sessions.session_date > clock.opening_date', {
        'session_count': 'count(*)',
        'engaged_session_count': 'count(*) filter (where sessions.is_engaged)',
        'session_seconds': 'sum(sessions.duration_seconds)'
    })
] %}

-- What lies before the first window is one row per customer on the day before it: only what is summed to date sees it.
facts as (

    {% for fact, fact_date, condition, sums in facts %}
        select
            {{ fact }}.user_id,
            {{ fact }}.customer_id,
            {%- for measure in measures %}
                {{ sums.get(measure, '0') }} as {{ measure }},
            {%- endfor %}
            {{ fact_date }} as fact_date
        from {{ fact }}
        inner join clock on {{ fact }}.user_id = clock.user_id
        where {{ condition }} and {{ fact_date }} <= clock.as_of_date
        group by {{ fact }}.user_id, {{ fact }}.customer_id, {{ fact_date }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

)

select * from facts
