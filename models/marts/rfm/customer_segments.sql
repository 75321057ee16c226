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

segments as (

    select * from {{ ref('rfm_segments') }}

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
        case
            when rfm.segment is not null and churn.churn_score is not null then 'rfm_and_churn'
            when rfm.segment is not null then 'rfm'
        end as score_basis,
        clock.as_of_date,
        clock.as_of_at
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

),

assigned as (

    select
        {{ surrogate_uuid(['overridden.user_id', 'overridden.customer_id']) }} as id,
        overridden.customer_id,
        overridden.user_id as organization_id,
        overridden.segment,
        cast(
            case overridden.score_basis
                when 'rfm' then overridden.rfm_part
                when 'rfm_and_churn' then 0.7 * overridden.rfm_part + 0.3 * 100 * (1 - overridden.churn_score)
            end as decimal(5, 2)
        ) as segment_score,
        case
            when overridden.score_basis is not null
                then {{ json_object({
                    'R': 'overridden.recency_category',
                    'F': 'overridden.frequency_category',
                    'M': 'overridden.monetary_category',
                    'E': 'overridden.engagement_category'
                }) }}
        end as rfm_category,
        overridden.churn_risk_level,
        overridden.as_of_at as assigned_at,
        {{ json_object({
            'description': 'segments.description',
            'recommended_action': 'segments.recommended_action',
            'reason': 'overridden.reason'
        }) }} as metadata,
        overridden.rfm_segment,
        overridden.score_basis,
        overridden.churn_score,
        overridden.as_of_date
    from overridden
    left join segments on overridden.segment = segments.segment

)

select * from assigned
