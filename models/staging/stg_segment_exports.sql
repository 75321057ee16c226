with segment_exports as (

    select * from {{ source('raw', 'segment_exports') }}

),

typed as (

    select
        row_id as export_version_id,
        user_id,
        export_id,
        segment_id,
        segment_key,
        segment_name,
        release_id,
        {{ without_contacts('actor') }} as actor,
        lower(format) as file_format,
        lower(channel) as channel,
        recommended_action,
        file_name,
        sha256,
        cast(member_count as bigint) as member_count,
        cast(exported_count as bigint) as exported_count,
        cast(without_consent_count as bigint) as without_consent_count,
        cast(without_contact_count as bigint) as without_contact_count,
        is_hashed,
        is_all,
        as_of_date,
        updated_at as exported_at,
        load_id,
        file_id,
        record_number
    from segment_exports

)

select * from typed
