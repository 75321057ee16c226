{{ config(meta={'dagster': {'ref': {'name': 'rfm_segments'}}}) }}

-- Eleven segments come from the grid (Promising also from New Customers who are no longer new), the twelfth holds
-- those who never bought.
with reachable as (

    select segment from {{ ref('rfm_grid') }}
    union
    select segment_unless_new as segment from {{ ref('rfm_segments') }}
    where segment_unless_new is not null
    union
    select 'No Purchase Yet' as segment

),

segments as (

    select segment from {{ ref('rfm_segments') }}

),

differences as (

    select
        segment,
        reachable.segment is not null as is_reachable,
        segments.segment is not null as is_described
    from reachable
    full outer join segments using (segment)
    where reachable.segment is null or segments.segment is null

)

select * from differences
