with tenant_loads as (

    select * from {{ source('raw', 'tenant_loads') }}

)

select * from tenant_loads
