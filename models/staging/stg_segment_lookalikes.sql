with segment_lookalikes as (

    select * from {{ source('raw', 'segment_lookalikes') }}

),

typed as (

    select
        row_id as lookalike_version_id,
        user_id,
        lookalike_id,
        customer_id,
        segment_id,
        segment_key,
        release_id,
        {{ without_contacts('actor') }} as actor,
        cast(rank as bigint) as similarity_rank,
        similarity_score,
        auc,
        cast(member_count as bigint) as member_count,
        cast(non_member_count as bigint) as non_member_count,
        as_of_date,
        updated_at as chosen_at,
        load_id,
        file_id,
        record_number
    from segment_lookalikes

)

select * from typed
