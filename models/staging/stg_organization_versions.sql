with organizations as (

    select * from {{ source('raw', 'organizations') }}

),

renamed as (

    select
        row_id as organization_version_id,
        user_id,
        coalesce(timezone, 'UTC') as timezone,
        updated_at,
        load_id,
        file_id,
        record_number
    from organizations

)

select * from renamed
