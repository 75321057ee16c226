with scores as (

    select * from {{ ref('int_rfm_scores') }}

),

tenants as (

    select
        tenants.user_id,
        tenants.new_customer_days,
        clock.as_of_at
    from {{ ref('int_tenants') }} as tenants
    inner join {{ ref('int_tenant_clock') }} as clock on tenants.user_id = clock.user_id

),

grid as (

    select * from {{ ref('rfm_grid') }}

),

segments as (

    select * from {{ ref('rfm_segments') }}

),

segmented as (

    select
        {{ surrogate_uuid(['scores.user_id', 'scores.customer_id']) }} as id,
        scores.user_id,
        scores.customer_id,
        scores.recency_score,
        scores.frequency_score,
        scores.monetary_score,
        scores.engagement_score,
        scores.fm_score,
        concat(scores.recency_score, scores.frequency_score, scores.monetary_score) as rfm_code,
        scores.recency_days,
        scores.purchase_count,
        scores.net_spend,
        case
            when scores.first_order_date < {{ add_days('scores.as_of_date', '- tenants.new_customer_days') }}
                then coalesce(segments.segment_unless_new, grid.segment)
            else grid.segment
        end as segment,
        scores.engagement_count,
        scores.first_order_date,
        scores.as_of_date,
        tenants.as_of_at as updated_at
    from scores
    inner join tenants on scores.user_id = tenants.user_id
    left join grid
        on
            scores.recency_score = grid.recency_score
            and scores.fm_score = grid.fm_score
    left join segments on grid.segment = segments.segment

)

select * from segmented
