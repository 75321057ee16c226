with clock as (

    select * from {{ ref('int_segment_clock') }}

),

sizes as (

    select sizes.*
    from {{ ref('segment_size_daily') }} as sizes
    inner join clock on sizes.user_id = clock.user_id and sizes.date = clock.as_of_date
    where sizes.is_active

),

memberships as (

    select * from {{ ref('int_segment_memberships') }}
    where member_until is null

),

customers as (

    select
        user_id,
        count(*) as customer_count
    from {{ ref('customers') }}
    group by user_id

),

-- Customers with the same memberships are counted once, by one of them: few sets of segments occur.
sets_of_segments as (

    select
        user_id,
        customer_id,
        string_agg(segment_key, '|' order by segment_key) as segment_keys
    from memberships
    group by user_id, customer_id

),

examples as (

    select
        user_id,
        segment_keys,
        min(customer_id) as customer_id,
        count(*) as customer_count
    from sets_of_segments
    group by user_id, segment_keys

),

members_of_both as (

    select
        examples.user_id,
        a.segment_key as segment_a,
        b.segment_key as segment_b,
        sum(examples.customer_count) as both_count
    from examples
    inner join memberships as a on examples.user_id = a.user_id and examples.customer_id = a.customer_id
    inner join memberships as b
        on
            examples.user_id = b.user_id
            and examples.customer_id = b.customer_id
            and a.segment_key < b.segment_key
    group by examples.user_id, a.segment_key, b.segment_key

),

pairs as (

    select
        a.user_id,
        a.segment_id as segment_a_id,
        b.segment_id as segment_b_id,
        a.segment_key as segment_a,
        b.segment_key as segment_b,
        a.member_count as member_count_a,
        b.member_count as member_count_b,
        cast(coalesce(members_of_both.both_count, 0) as bigint) as both_count,
        customers.customer_count,
        a.date as as_of_date
    from sizes as a
    inner join sizes as b on a.user_id = b.user_id and a.segment_key < b.segment_key
    inner join customers on a.user_id = customers.user_id
    left join members_of_both
        on
            a.user_id = members_of_both.user_id
            and a.segment_key = members_of_both.segment_a
            and b.segment_key = members_of_both.segment_b

),

compared as (

    select
        {{ surrogate_uuid(['user_id', 'segment_a', 'segment_b']) }} as id,
        user_id,
        segment_a_id,
        segment_b_id,
        segment_a,
        segment_b,
        member_count_a,
        member_count_b,
        both_count,
        member_count_a + member_count_b - both_count as either_count,
        customer_count,
        both_count / nullif(member_count_a + member_count_b - both_count, 0) as jaccard,
        both_count / nullif(least(member_count_a, member_count_b), 0) as overlap_coefficient,
        both_count / nullif(member_count_a, 0) / (nullif(member_count_b, 0) / customer_count) as lift,
        as_of_date
    from pairs

)

select * from compared
