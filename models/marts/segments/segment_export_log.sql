with exports as (

    select * from {{ ref('stg_segment_exports') }}

),

latest as (

    select *
    from exports
    qualify row_number() over (
        partition by user_id, export_id
        order by exported_at desc, load_id desc, file_id desc, record_number desc
    ) = 1

),

recorded as (

    select
        {{ surrogate_uuid(['user_id', 'export_id']) }} as id,
        user_id,
        export_id,
        try_cast(segment_id as uuid) as segment_id,
        segment_key,
        segment_name,
        release_id,
        actor,
        file_format,
        channel,
        recommended_action,
        file_name,
        sha256,
        member_count,
        exported_count,
        without_consent_count,
        without_contact_count,
        is_hashed,
        is_all,
        as_of_date,
        exported_at
    from latest

)

select * from recorded
