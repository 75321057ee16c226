{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    in_batches=true,
    meta={'published_by': 'event_date'}
) }}

{%- set counted_types = [
    'page_view', 'product_view', 'add_to_cart', 'checkout', 'wishlist', 'review', 'share', 'social_click', 'ad_click',
    'email_sent', 'email_open', 'email_click', 'sms_sent', 'sms_open', 'sms_click', 'push_sent', 'push_open',
    'coupon_redeemed', 'support_ticket', 'billing_complaint', 'survey_response', 'referral_sent', 'referral_converted',
    'login', 'feature_used', 'balance_check', 'transaction', 'call', 'sms_usage', 'data_usage', 'roaming', 'payment'
] %}
{#- measure: (event type, numeric property), summed over the day -#}
{%- set measures = {
    'data_mb': ('data_usage', 'mb'),
    'call_minutes': ('call', 'minutes'),
    'late_payment_days': ('payment', 'days_late'),
    'points_earned': ('points_earned', 'points'),
    'points_redeemed': ('points_redeemed', 'points')
} %}

with events as (

    select * from {{ ref('customer_behavior_events') }}
    where {{ is_touched('event_date') }}

),

order_lines as (

    select * from {{ ref('order_lines') }}
    where {{ is_touched('event_date') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

with_flags_and_measures as (

    select
        events.*,
        coalesce(event_types.is_engagement, false) as is_engagement,
        {%- for type, property in measures.values() %}
            case
                when events.event_type = '{{ type }}'
                    then {{ json_number('events.event_properties', property) }}
            end as {{ type }}_{{ property }},
        {%- endfor %}
        case
            when events.event_type = 'review'
                then {{ json_number('events.event_properties', 'rating') }}
        end as review_rating
    from events
    left join event_types on events.event_type = event_types.event_type

),

daily as (

    select
        user_id,
        customer_id,
        count(*) as event_count,
        {%- for type in counted_types %}
            count(*) filter (where event_type = '{{ type }}') as {{ type }}_count,
        {%- endfor %}
        count(*) filter (where event_type = 'purchase') as purchase_event_count,
        count(*) filter (where event_type in ('refund', 'return')) as refund_event_count,
        count(*) filter (where is_engagement) as engagement_event_count,
        count(*) filter (where event_type in ('email_open', 'email_click', 'sms_open', 'sms_click', 'push_open'))
            as open_and_click_count,
        count(*) filter (where review_rating >= 4) as positive_review_count,
        count(*) filter (where local_hour between 5 and 10) as morning_event_count,
        count(*) filter (where local_hour between 11 and 13) as lunch_event_count,
        count(*) filter (where local_hour between 14 and 16) as afternoon_event_count,
        count(*) filter (where local_hour between 17 and 20) as dinner_event_count,
        count(*) filter (where local_hour not between 5 and 20) as night_event_count,
        cast(coalesce(sum(event_value) filter (where event_type in ('refund', 'return')), 0) as decimal(18, 4))
            as refund_amount,
        {%- for measure, (type, property) in measures.items() %}
            cast(coalesce(sum({{ type }}_{{ property }}), 0) as decimal(18, 4)) as {{ measure }},
        {%- endfor %}
        cast(coalesce(sum(event_value) filter (where event_type = 'transaction'), 0) as decimal(18, 4))
            as transaction_amount,
        cast(coalesce(sum(event_value) filter (where event_type = 'bill'), 0) as decimal(18, 4)) as billed_amount,
        min(created_at) as first_event_at,
        max(created_at) as last_event_at,
        arg_min(event_type, (created_at, id)) as first_event_type,
        event_date
    from with_flags_and_measures
    group by user_id, customer_id, event_date

),

lines_of_day as (

    select
        user_id,
        customer_id,
        event_date as line_date,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount
    from order_lines
    group by user_id, customer_id, event_date

),

with_spend as (

    select
        daily.*,
        cast(coalesce(lines_of_day.gross_amount, 0) as decimal(18, 4)) as gross_amount,
        cast(coalesce(lines_of_day.discount_amount, 0) as decimal(18, 4)) as discount_amount
    from daily
    left join lines_of_day
        on
            daily.user_id = lines_of_day.user_id
            and daily.customer_id = lines_of_day.customer_id
            and daily.event_date = lines_of_day.line_date

)

select * from with_spend
