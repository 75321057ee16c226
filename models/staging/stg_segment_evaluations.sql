with segment_evaluations as (

    select * from {{ source('raw', 'segment_evaluations') }}

)

select * from segment_evaluations
