{{ config(meta={'dagster': {'ref': {'name': 'rfm_grid'}}}) }}

-- Over the whole domain of 5 × 5 pairs of scores, every pair has exactly one segment, and there is no other pair.
with scores (score) as (

    values (1), (2), (3), (4), (5)

),

pairs as (

    select
        recency.score as recency_score,
        fm.score as fm_score
    from scores as recency
    cross join scores as fm

),

failures as (

    select
        recency_score,
        fm_score,
        count(grid.segment) as segment_count,
        count(pairs.recency_score) as pair_count
    from pairs
    full outer join {{ ref('rfm_grid') }} as grid using (recency_score, fm_score)
    group by recency_score, fm_score
    having count(grid.segment) <> 1 or count(pairs.recency_score) <> 1

)

select * from failures
