{#- What int_rfm_scores says of the as-of date, on any date. Of few columns, because ranking sorts all that is
    there; as_of_date is a key, so that who asks for that date only has only that date ranked. -#}
with buyers as (

    select
        user_id,
        customer_number,
        state_date,
        as_of_date,
        first_order_date,
        state_date - last_order_date as recency_days,
        rfm_orders,
        greatest(rfm_gross_amount - rfm_refund_amount, 0) as spend
    from {{ ref('int_customer_states') }}
    where orders > 0

),

tenants as (

    select
        user_id,
        new_customer_days
    from {{ ref('int_tenants') }}

),

grid as (

    select
        rfm_grid.recency_score,
        rfm_grid.fm_score,
        rfm_grid.segment,
        rfm_segments.segment_unless_new
    from {{ ref('rfm_grid') }} as rfm_grid
    left join {{ ref('rfm_segments') }} as rfm_segments on rfm_grid.segment = rfm_segments.segment

),

scored as (

    select
        user_id,
        customer_number,
        state_date,
        as_of_date,
        first_order_date,
        cast(5 - {{ quantile('recency_days', 5, 'user_id, state_date, as_of_date') }} as integer) as recency_score,
        cast(1 + {{ quantile('rfm_orders', 5, 'user_id, state_date, as_of_date') }} as integer) as frequency_score,
        cast(1 + {{ quantile('spend', 5, 'user_id, state_date, as_of_date') }} as integer) as monetary_score
    from buyers

),

with_fm_score as (

    select
        *,
        {{ integer_division('frequency_score + monetary_score', 2) }} as fm_score
    from scored

),

with_segments as (

    select
        with_fm_score.*,
        case
            when
                with_fm_score.first_order_date
                < {{ add_days('with_fm_score.state_date', '- tenants.new_customer_days') }}
                then coalesce(grid.segment_unless_new, grid.segment)
            else grid.segment
        end as rfm_segment
    from with_fm_score
    inner join tenants on with_fm_score.user_id = tenants.user_id
    left join grid on with_fm_score.recency_score = grid.recency_score and with_fm_score.fm_score = grid.fm_score

)

select * from with_segments
