{{ config(meta={'dagster': {'ref': {'name': 'churn_bands'}}}) }}

-- In each scheme the bands begin at 0 and end at 1, both included, and where one ends the next begins: exactly one of
-- the two holds the edge.
with bands as (

    select
        *,
        row_number() over by_bound as band_number,
        count(*) over (partition by scheme) as band_count,
        lead(lower_bound) over by_bound as next_lower_bound,
        lead(is_lower_inclusive) over by_bound as is_next_lower_inclusive
    from {{ ref('churn_bands') }}
    window by_bound as (
        partition by scheme
        order by lower_bound, upper_bound
    )

),

failures as (

    select
        scheme,
        band,
        lower_bound,
        upper_bound
    from bands
    where
        lower_bound >= upper_bound
        or sort_order <> band_number
        or (band_number = 1 and not (lower_bound = 0 and is_lower_inclusive))
        or (band_number = band_count and not (upper_bound = 1 and is_upper_inclusive))
        or (
            band_number < band_count
            and (upper_bound <> next_lower_bound or is_upper_inclusive = is_next_lower_inclusive)
        )

)

select * from failures
