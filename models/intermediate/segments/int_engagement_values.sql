{{ config(materialized='table') }}

{% set window_days = 30 %}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

-- Days since the last event rank as the last event's date does; before the history only the latest matters.
last_event_dates as (

    select
        customer_daily.user_id,
        customer_daily.customer_id,
        'recency' as measure,
        {{ days_between("cast('1970-01-01' as date)", 'max(customer_daily.event_date)') }} as measured_value,
        greatest(customer_daily.event_date, clock.history_from) as change_date
    from customer_daily
    inner join clock on customer_daily.user_id = clock.user_id and customer_daily.event_date <= clock.as_of_date
    group by
        customer_daily.user_id,
        customer_daily.customer_id,
        greatest(customer_daily.event_date, clock.history_from)

),

{#- (measure, facts, date, what is counted, condition) -#}
{% set counts = [
    ('sessions', 'sessions', 'session_date', '1', 'true'),
    ('opens', 'customer_daily', 'event_date',
        'customer_daily.email_open_count + customer_daily.sms_open_count + customer_daily.push_open_count',
        'customer_daily.open_and_click_count > 0'),
    ('clicks', 'customer_daily', 'event_date',
        'customer_daily.email_click_count + customer_daily.sms_click_count',
        'customer_daily.open_and_click_count > 0')
] %}

counted as (

    {% for measure, facts, fact_date, counted, condition in counts %}
        select
            {{ facts }}.user_id,
            {{ facts }}.customer_id,
            '{{ measure }}' as measure,
            {{ counted }} as counted,
            greatest({{ facts }}.{{ fact_date }}, clock.history_from) as entered_date,
            {{ add_days(facts ~ '.' ~ fact_date, window_days) }} as left_date
        from {{ facts }}
        inner join clock on {{ facts }}.user_id = clock.user_id
        where
            {{ facts }}.{{ fact_date }} > {{ add_days('clock.history_from', -window_days) }}
            and {{ facts }}.{{ fact_date }} <= clock.as_of_date
            and {{ condition }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

counted_by_date as (

    select
        user_id,
        customer_id,
        measure,
        entered_date as change_date,
        counted as count_change
    from counted

    union all

    select
        user_id,
        customer_id,
        measure,
        left_date as change_date,
        -counted as count_change
    from counted

),

values_of_windows as (

    select
        user_id,
        customer_id,
        measure,
        sum(sum(count_change)) over (
            partition by user_id, customer_id, measure
            order by change_date
            rows unbounded preceding
        ) as measured_value,
        change_date
    from counted_by_date
    group by user_id, customer_id, measure, change_date

),

measured as (

    select * from last_event_dates
    union all
    select * from values_of_windows

),

spans as (

    select
        user_id,
        customer_id,
        measure,
        cast(measured_value as integer) as measured_value,
        change_date as from_date,
        lead(change_date) over (
            partition by user_id, customer_id, measure
            order by change_date
        ) as until_date
    from measured

),

-- Nothing measured ranks below everything: such customers need no row.
engaged_spans as (

    select * from spans
    where measured_value > 0

)

select * from engaged_spans
