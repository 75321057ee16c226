with rejected_rows as (

    select * from {{ source('raw', 'rejected_rows') }}

),

-- A detail may name the customer whom the row was about.
reduced as (

    select * replace ({{ without_contacts('detail') }} as detail)
    from rejected_rows

)

select * from reduced
