{{ config(materialized='table') }}

with customers as (

    select * from {{ ref('customers') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

rfm as (

    select * from {{ ref('customer_rfm') }}

),

churn as (

    select * from {{ ref('int_churn_levels') }}

),

overrides as (

    select * from {{ ref('segment_overrides') }}

),

categorized as (

    select
        customers.user_id,
        customers.customer_id,
        coalesce(rfm.segment, 'No Purchase Yet') as rfm_segment,
        100.0 * (rfm.recency_score + rfm.frequency_score + rfm.monetary_score - 3) / 12 as rfm_part,
        {{ score_category('rfm.recency_score') }} as recency_category,
        {{ score_category('rfm.frequency_score') }} as frequency_category,
        {{ score_category('rfm.monetary_score') }} as monetary_category,
        {{ score_category('rfm.engagement_score') }} as engagement_category,
        churn.churn_score,
        churn.churn_risk_level,
        churn.score_source,
        case
            when rfm.segment is not null and churn.churn_score is not null then 'rfm_and_churn'
            when rfm.segment is not null then 'rfm'
        end as score_basis,
        clock.as_of_date
    from customers
    inner join clock on customers.user_id = clock.user_id
    left join rfm on customers.user_id = rfm.user_id and customers.customer_id = rfm.customer_id
    left join churn on customers.user_id = churn.user_id and customers.customer_id = churn.customer_id

),

overridden as (

    select
        categorized.*,
        overrides.reason,
        coalesce(overrides.final_segment, categorized.rfm_segment) as segment
    from categorized
    left join overrides
        on
            categorized.rfm_segment = overrides.grid_segment
            and categorized.churn_risk_level = overrides.churn_band
            and overrides.engagement_category in ('*', categorized.engagement_category)

)

select * from overridden
