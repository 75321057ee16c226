-- What int_rfm_scores says of the as-of date, on any date.
{{ config(materialized='table') }}

with levels as (

    select * from {{ ref('int_rank_levels') }}

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
        recency.user_id,
        recency.customer_number,
        recency.first_order_date,
        cast(5 - recency.cuts_before as integer) as recency_score,
        cast(1 + frequency.cuts_before as integer) as frequency_score,
        cast(1 + monetary.cuts_before as integer) as monetary_score,
        greatest(recency.from_date, frequency.from_date, monetary.from_date) as from_date,
        least(recency.until_date, frequency.until_date, monetary.until_date) as until_date
    from levels as recency
    {% for ranking in ['frequency', 'monetary'] %}
        inner join levels as {{ ranking }}
            on
                recency.customer_number = {{ ranking }}.customer_number
                and recency.value_from_date = {{ ranking }}.value_from_date
                and {{ ranking }}.ranking = '{{ ranking }}'
    {% endfor %}
    where recency.ranking = 'recency'

),

-- A customer is new until some date, and not new from it on.
by_age as (

    select
        scored.* replace (
            case when ages.is_new then scored.from_date else greatest(scored.from_date, ages.old_from_date) end
                as from_date,
            case when ages.is_new then least(scored.until_date, ages.old_from_date) else scored.until_date end
                as until_date
        ),
        ages.is_new
    from scored
    inner join tenants on scored.user_id = tenants.user_id
    cross join lateral (
        select
            flags.is_new,
            coalesce({{ add_days('scored.first_order_date', '1 + tenants.new_customer_days') }}, date '9999-12-31')
                as old_from_date
        from (values (true), (false)) as flags (is_new)
    ) as ages

),

with_segments as (

    select
        by_age.user_id,
        by_age.customer_number,
        by_age.recency_score,
        by_age.frequency_score,
        by_age.monetary_score,
        {{ integer_division('by_age.frequency_score + by_age.monetary_score', 2) }} as fm_score,
        case when by_age.is_new then grid.segment else coalesce(grid.segment_unless_new, grid.segment) end
            as rfm_segment,
        by_age.from_date,
        by_age.until_date
    from by_age
    left join grid
        on
            by_age.recency_score = grid.recency_score
            and {{ integer_division('by_age.frequency_score + by_age.monetary_score', 2) }} = grid.fm_score
    where by_age.from_date < by_age.until_date

)

select * from with_segments
