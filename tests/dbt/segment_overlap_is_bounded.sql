{{ config(meta={'dagster': {'ref': {'name': 'segment_overlap'}}}) }}

-- Each pair of active segments once; both lie within each, and either within all customers; a segment's members among
-- its pairs are those of its size.
with pairs as (

    select * from {{ ref('segment_overlap') }}

),

sizes as (

    select sizes.*
    from {{ ref('segment_size_daily') }} as sizes
    inner join {{ ref('int_segment_clock') }} as clock
        on
            sizes.user_id = clock.user_id
            and sizes.date = clock.as_of_date
    where sizes.is_active

),

unbounded_pairs as (

    select
        pairs.user_id,
        pairs.segment_a,
        pairs.segment_b
    from pairs
    left join sizes as a on pairs.user_id = a.user_id and pairs.segment_a = a.segment_key
    left join sizes as b on pairs.user_id = b.user_id and pairs.segment_b = b.segment_key
    where
        pairs.segment_a >= pairs.segment_b
        or pairs.member_count_a is distinct from a.member_count
        or pairs.member_count_b is distinct from b.member_count
        or pairs.both_count > least(pairs.member_count_a, pairs.member_count_b)
        or pairs.either_count > pairs.customer_count
        or pairs.jaccard > pairs.overlap_coefficient
        or pairs.overlap_coefficient > 1
        -- Two segments are one where everybody who is in either is in both.
        or (pairs.jaccard = 1) <> (pairs.both_count = pairs.either_count)

),

counted_pairs as (

    select
        user_id,
        count(*) as pair_count
    from pairs
    group by user_id

),

pair_counts as (

    select
        sizes.user_id,
        count(*) * (count(*) - 1) / 2 as expected_count,
        max(counted_pairs.pair_count) as pair_count
    from sizes
    left join counted_pairs on sizes.user_id = counted_pairs.user_id
    group by sizes.user_id

),

missing_pairs as (

    select
        user_id,
        null as segment_a,
        null as segment_b
    from pair_counts
    where expected_count <> coalesce(pair_count, 0)

),

failures as (

    select * from unbounded_pairs
    union all
    select * from missing_pairs

)

select * from failures
