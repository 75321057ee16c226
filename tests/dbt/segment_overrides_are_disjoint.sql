{{ config(meta={'dagster': {'ref': {'name': 'segment_overrides'}}}) }}

-- No customer matches two rows (`*` stands for every engagement category), every band is one of the four-band scheme,
-- and a row changes something.
with overrides as (

    select * from {{ ref('segment_overrides') }}

),

engagement_categories (category) as (

    values ('High'), ('Medium'), ('Low')

),

matched_twice as (

    select
        overrides.grid_segment,
        overrides.churn_band,
        engagement_categories.category as engagement_category,
        'matched twice' as failure
    from overrides
    inner join engagement_categories on overrides.engagement_category in ('*', engagement_categories.category)
    group by overrides.grid_segment, overrides.churn_band, engagement_categories.category
    having count(*) > 1

),

without_effect as (

    select
        overrides.grid_segment,
        overrides.churn_band,
        overrides.engagement_category,
        'no such band, or nothing changes' as failure
    from overrides
    left join {{ ref('churn_bands') }} as bands
        on
            overrides.churn_band = bands.band
            and bands.scheme = 'four_band'
    where
        bands.band is null
        or overrides.grid_segment = overrides.final_segment
        or 'No Purchase Yet' in (overrides.grid_segment, overrides.final_segment)

),

failures as (

    select * from matched_twice
    union all
    select * from without_effect

)

select * from failures
