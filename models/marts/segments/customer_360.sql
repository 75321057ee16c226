with customers as (

    select * from {{ ref('customers') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

summaries as (

    select * from {{ ref('customer_behavior_summary') }}

),

rfm as (

    select * from {{ ref('customer_rfm') }}

),

rfm_segments as (

    select * from {{ ref('customer_segments') }}

),

predictions as (

    select * from {{ ref('customer_ltv_predictions') }}

),

memberships as (

    select
        user_id,
        customer_id,
        count(*) as segment_count,
        list(segment_key order by segment_key) as segment_keys
    from {{ ref('segment_members') }}
    where is_current
    group by user_id, customer_id

),

joined as (

    select
        {{ surrogate_uuid(['customers.user_id', 'customers.customer_id']) }} as id,
        customers.user_id,
        customers.customer_id,
        customers.gender,
        customers.age_band,
        customers.country,
        customers.city,
        customers.loyalty_tier,
        customers.acquisition_channel,
        strftime(rfm.first_order_date, '%Y-%m') as acquisition_cohort,
        summaries.preferred_category,
        summaries.preferred_device,
        summaries.preferred_source,
        rfm_segments.segment as rfm_segment,
        rfm.rfm_code,
        cast(null as varchar) as journey_stage,
        coalesce(memberships.segment_keys, cast([] as varchar[])) as segment_keys,
        customers.tags,
        cast(coalesce(memberships.segment_count, 0) as integer) as segment_count,
        rfm.recency_score,
        rfm.frequency_score,
        rfm.monetary_score,
        rfm.engagement_score,
        rfm_segments.segment_score,
        summaries.total_events,
        summaries.total_purchases,
        summaries.total_spent,
        summaries.avg_order_value,
        summaries.days_since_purchase,
        summaries.purchase_frequency_days,
        summaries.orders_per_month,
        customers.loyalty_points,
        predictions.churn_probability,
        predictions.predicted_ltv_1year,
        customers.has_profile,
        customers.email_opt_in,
        customers.sms_opt_in,
        customers.is_vip,
        customers.first_seen_date,
        customers.last_seen_date,
        clock.as_of_date,
        clock.as_of_at as updated_at
    from customers
    inner join clock on customers.user_id = clock.user_id
    inner join summaries
        on customers.user_id = summaries.user_id and customers.customer_id = summaries.customer_id
    inner join predictions
        on customers.user_id = predictions.user_id and customers.customer_id = predictions.customer_id
    left join rfm
        on customers.user_id = rfm.user_id and customers.customer_id = rfm.customer_id
    left join rfm_segments
        on
            customers.user_id = rfm_segments.organization_id
            and customers.customer_id = rfm_segments.customer_id
    left join memberships
        on customers.user_id = memberships.user_id and customers.customer_id = memberships.customer_id

)

select * from joined
