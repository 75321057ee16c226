-- Which value stands at a place of a date: a fifth, or a rule's share, of the buyers are before it. Found by counting,
-- first over buckets of values, then in the one bucket that holds the place.
{{ config(materialized='table') }}

with edges as (

    select * from {{ ref('int_rank_edges') }}

),

buckets as (

    select * from {{ ref('int_rank_buckets') }}

),

shares as (

    select distinct
        user_id,
        field || '.' || direction as ranking,
        highest
    from {{ ref('int_segment_tests') }}
    where kind = 'rank'

),

totals as (

    select
        user_id,
        ranking,
        state_date,
        max(buyers_so_far) as buyers
    from buckets
    group by user_id, ranking, state_date

),

-- A rule's place is one after the most that may be better, found with the very comparison that its share means.
places as (

    select
        totals.user_id,
        totals.ranking,
        totals.state_date,
        fifths.cut_number,
        {{ integer_division('fifths.cut_number * totals.buyers + 4', 5) }} as place
    from totals
    cross join (values (1), (2), (3), (4)) as fifths (cut_number)
    where totals.ranking in ('recency', 'frequency', 'monetary')

    union all

    select
        totals.user_id,
        totals.ranking,
        totals.state_date,
        dense_rank() over (
            partition by totals.user_id, totals.ranking, totals.state_date
            order by shares.highest
        ) as cut_number,
        1 + list_max(list_filter(
            list_transform(
                [-1, 0, 1],
                lambda more: more + cast(floor(shares.highest * totals.buyers / 100) as bigint) -- noqa: RF02
            ),
            lambda better: better < totals.buyers and 100.0 * better / totals.buyers <= shares.highest -- noqa: RF02
        )) as place
    from totals
    inner join shares on totals.user_id = shares.user_id and totals.ranking = shares.ranking

),

counted as (

    select
        places.user_id,
        places.ranking,
        places.state_date,
        places.cut_number,
        places.place,
        edges.value_rank,
        buckets.buyers_so_far - buckets.buyers + sum(sum(edges.buyers)) over (
            partition by places.user_id, places.ranking, places.state_date, places.cut_number
            order by edges.value_rank
        ) as buyers_so_far
    from places
    inner join buckets
        on
            places.user_id = buckets.user_id
            and places.ranking = buckets.ranking
            and places.state_date = buckets.state_date
            and places.place > buckets.buyers_so_far - buckets.buyers
            and places.place <= buckets.buyers_so_far
    inner join edges
        on
            buckets.user_id = edges.user_id
            and buckets.ranking = edges.ranking
            and buckets.bucket = edges.bucket
            and buckets.state_date >= edges.edge_date
    group by
        places.user_id,
        places.ranking,
        places.state_date,
        places.cut_number,
        places.place,
        buckets.buyers,
        buckets.buyers_so_far,
        edges.value_rank

),

-- No place at all, of a share of nothing: everybody is after it.
cuts as (

    select
        user_id,
        ranking,
        state_date,
        cut_number,
        min(value_rank) as cut_rank
    from counted
    where buyers_so_far >= place
    group by user_id, ranking, state_date, cut_number

    union all

    select
        user_id,
        ranking,
        state_date,
        cut_number,
        0 as cut_rank
    from places
    where place = 0

)

select * from cuts
