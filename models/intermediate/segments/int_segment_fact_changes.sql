{% set window_days = 30 %}
{#- measure: what is summed -#}
{% set of_the_day = {
    'customers_with_event': 'customers_with_event', 'total_events': 'total_events',
    'total_page_views': 'total_page_views', 'total_product_views': 'total_product_views',
    'total_add_to_cart': 'total_add_to_cart', 'total_purchases': 'total_purchases',
    'buyers_that_day': 'buyers_that_day', 'gross_amount': 'gross_amount', 'refund_amount': 'refund_amount',
    'session_count': 'session_count', 'engaged_session_count': 'engaged_session_count',
    'session_seconds': 'session_seconds'
} %}
{% set of_the_window = {
    'window_orders': 'total_purchases', 'window_revenue': 'gross_amount - refund_amount',
    'window_email_sent': 'email_sent_count', 'window_email_open': 'email_open_count',
    'window_email_click': 'email_click_count', 'window_sms_sent': 'sms_sent_count', 'window_sms_open': 'sms_open_count'
} %}
{% set to_date = {'net_to_date': 'gross_amount - refund_amount'} %}
{% set measures = of_the_day.keys() | list + of_the_window.keys() | list + to_date.keys() | list %}
{% set window_end = add_days('fact_date', window_days) %}
{#- (date of the change, condition, measures, sign) -#}
{% set parts = [
    ('fact_date', 'fact_date >= member_from', of_the_day, ''),
    ('greatest(fact_date, member_from)', window_end ~ ' > member_from', of_the_window, ''),
    ('least(' ~ window_end ~ ', member_until)', window_end ~ ' > member_from', of_the_window, '-'),
    ('greatest(fact_date, member_from)', 'true', to_date, ''),
    ('member_until', 'member_until is not null', to_date, '-')
] %}

with facts as (

    select * from {{ ref('int_segment_facts') }}

),

changes as (

    {% for change_date, condition, sums, sign in parts %}
        select
            user_id,
            segment_key,
            {%- for measure in measures %}
                {{ sign ~ 'sum(' ~ sums[measure] ~ ')' if measure in sums else 0 }} as {{ measure }},
            {%- endfor %}
            {{ change_date }} as change_date
        from facts
        where {{ condition }}
        group by user_id, segment_key, {{ change_date }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

)

select * from changes
