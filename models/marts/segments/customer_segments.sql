with finals as (

    select * from {{ ref('int_final_segments') }}

),

segments as (

    select * from {{ ref('rfm_segments') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

assigned_dates as (

    select * from {{ ref('int_segment_assigned_dates') }}

),

assigned as (

    select
        {{ surrogate_uuid(['finals.user_id', 'finals.customer_id']) }} as id,
        finals.customer_id,
        finals.user_id as organization_id,
        finals.segment,
        cast(
            case finals.score_basis
                when 'rfm' then finals.rfm_part
                when 'rfm_and_churn' then 0.7 * finals.rfm_part + 0.3 * 100 * (1 - finals.churn_score)
            end as decimal(5, 2)
        ) as segment_score,
        case
            when finals.score_basis is not null
                then {{ json_object({
                    'R': 'finals.recency_category',
                    'F': 'finals.frequency_category',
                    'M': 'finals.monetary_category',
                    'E': 'finals.engagement_category'
                }) }}
        end as rfm_category,
        finals.churn_risk_level,
        {{ utc_instant('coalesce(assigned_dates.assigned_date, finals.as_of_date)', 'clock.timezone') }} as assigned_at,
        {{ json_object({
            'description': 'segments.description',
            'recommended_action': 'segments.recommended_action',
            'reason': 'finals.reason'
        }) }} as metadata,
        finals.rfm_segment,
        finals.score_basis,
        finals.score_source,
        finals.churn_score,
        assigned_dates.is_assigned_before_history,
        finals.as_of_date
    from finals
    inner join clock on finals.user_id = clock.user_id
    left join assigned_dates
        on finals.user_id = assigned_dates.user_id and finals.customer_id = assigned_dates.customer_id
    left join segments on finals.segment = segments.segment

)

select * from assigned
