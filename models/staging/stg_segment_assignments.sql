with assignments as (

    select * from {{ source('raw', 'segment_assignments') }}

),

renamed as (

    select
        row_id as assignment_id,
        user_id,
        segment_key,
        customer_id,
        action,
        {{ without_contacts('actor') }} as actor,
        {{ without_contacts('reason') }} as reason,
        updated_at as assigned_at,
        load_id,
        file_id,
        record_number
    from assignments

)

select * from renamed
