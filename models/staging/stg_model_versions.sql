with model_versions as (

    select * from {{ source('raw', 'model_versions') }}

)

select * from model_versions
