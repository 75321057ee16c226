{% set window_days = 30 %}

with clock as (

    select * from {{ ref('int_segment_clock') }}

),

segments as (

    select * from {{ ref('int_segment_daily') }}
    where is_active

),

engagement as (

    select * from {{ ref('int_segment_engagement') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

tenants as (

    select
        user_id,
        date,
        sum(revenue) over (
            partition by user_id
            order by date
            rows between {{ window_days - 1 }} preceding and current row
        ) as window_revenue
    from {{ ref('behavioral_analytics') }}
    where segment_id is null

),

-- Text messages report no opens in general: without any, a rate of 0 would be a lie.
first_sms_opens as (

    select
        user_id,
        min(event_date) as first_date
    from customer_daily
    where sms_open_count > 0
    group by user_id

),

measured as (

    select
        segments.*,
        former.member_customers - former.churned_customers as members_at_risk_of_churn,
        former.churning_customers as members_churned,
        engagement.engagement_points,
        case when first_sms_opens.first_date <= segments.date then segments.window_sms_sent end as sms_sent_with_opens,
        cast(tenants.window_revenue as double) as tenant_window_revenue,
        clock.timezone
    from segments
    inner join clock on segments.user_id = clock.user_id
    left join segments as former
        on
            segments.user_id = former.user_id
            and segments.segment_key = former.segment_key
            and segments.date = {{ add_days('former.date', window_days) }}
    left join engagement
        on
            segments.user_id = engagement.user_id
            and segments.segment_key = engagement.segment_key
            and segments.date = engagement.date
    left join tenants on segments.user_id = tenants.user_id and segments.date = tenants.date
    left join first_sms_opens on segments.user_id = first_sms_opens.user_id

),

performance as (

    select
        {{ surrogate_uuid(['user_id', 'segment_key', 'date']) }} as id,
        user_id,
        segment_id,
        date,
        cast(member_customers as integer) as member_count,
        cast(active_customers as integer) as active_members,
        members_churned / nullif(members_at_risk_of_churn, 0) as churn_rate,
        cast(net_to_date / nullif(member_customers, 0) as decimal(18, 4)) as lifetime_value,
        cast(gross_amount / nullif(total_purchases, 0) as decimal(18, 4)) as avg_order_value,
        window_orders / nullif(member_customers, 0) as purchase_frequency,
        buyers_that_day / nullif(customers_with_event, 0) as conversion_rate,
        least(window_email_open, window_email_sent) / nullif(window_email_sent, 0) as email_open_rate,
        least(window_email_click, window_email_sent) / nullif(window_email_sent, 0) as email_click_rate,
        least(window_sms_open, sms_sent_with_opens) / nullif(sms_sent_with_opens, 0) as sms_open_rate,
        case when member_customers > 0 then coalesce(engagement_points, 0) / member_customers end as engagement_score,
        cast(gross_amount - refund_amount as decimal(18, 4)) as revenue_generated,
        {{ utc_instant(add_days('date', 1), 'timezone') }} as created_at,
        segment_key,
        family,
        1 - members_churned / nullif(members_at_risk_of_churn, 0) as retention_rate,
        cast(window_revenue as double) / nullif(greatest(tenant_window_revenue, 0), 0) as revenue_share,
        {%- for column, name in [
            ('members_at_risk_of_churn', 'retainable_members'), ('members_churned', 'churned_members'),
            ('total_purchases', 'order_count'), ('buyers_that_day', 'buyers_that_day'),
            ('customers_with_event', 'members_with_event'), ('window_orders', 'orders_last_30_days'),
            ('window_email_sent', 'email_sent_last_30_days'), ('window_email_open', 'email_open_last_30_days'),
            ('window_email_click', 'email_click_last_30_days'), ('window_sms_sent', 'sms_sent_last_30_days'),
            ('window_sms_open', 'sms_open_last_30_days')
        ] %}
            cast({{ column }} as bigint) as {{ name }},
        {%- endfor %}
        cast(net_to_date as decimal(18, 4)) as net_to_date,
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(window_revenue as decimal(18, 4)) as revenue_last_30_days,
        cast(tenant_window_revenue as decimal(18, 4)) as tenant_revenue_last_30_days,
        is_exclusive as is_additive
    from measured

)

select * from performance
