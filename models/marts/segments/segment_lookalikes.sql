with lookalikes as (

    select * from {{ ref('stg_segment_lookalikes') }}

),

latest as (

    select *
    from lookalikes
    qualify row_number() over (
        partition by user_id, lookalike_id, customer_id
        order by chosen_at desc, load_id desc, file_id desc, record_number desc
    ) = 1

),

recorded as (

    select
        {{ surrogate_uuid(['user_id', 'lookalike_id', 'customer_id']) }} as id,
        user_id,
        customer_id,
        lookalike_id,
        try_cast(segment_id as uuid) as segment_id,
        segment_key,
        release_id,
        actor,
        similarity_rank,
        similarity_score,
        auc,
        member_count,
        non_member_count,
        as_of_date,
        chosen_at
    from latest

)

select * from recorded
