-- Assignments, scores and predictions speak of customers whom other feeds bring: a slip in their tenant's name makes no
-- tenant, and they move no clock.
with tenant_loads as (

    select * from {{ source('raw', 'tenant_loads') }}
    where feed not in ('segment_assignments', 'churn_scores', 'ltv_predictions')

),

organizations as (

    select * from {{ source('raw', 'organizations') }}

),

tenants as (

    select
        user_id,
        max(loaded_at) as last_loaded_at
    from tenant_loads
    group by user_id

),

latest_versions as (

    select *
    from organizations
    qualify row_number() over (
        partition by user_id
        order by updated_at desc, load_id desc, file_id desc, record_number desc
    ) = 1

),

with_defaults as (

    select
        tenants.user_id,
        latest_versions.name,
        -- A row without a type is a telecom (document 001's default); a tenant without any row is a shop.
        case
            when latest_versions.user_id is null then 'ecommerce'
            else coalesce(latest_versions.org_type, 'telecom')
        end as org_type,
        coalesce(latest_versions.timezone, 'UTC') as timezone,
        latest_versions.currency,
        latest_versions.latitude,
        latest_versions.longitude,
        latest_versions.gross_margin_rate,
        latest_versions.updated_at,
        tenants.last_loaded_at
    from tenants
    left join latest_versions on tenants.user_id = latest_versions.user_id

)

select * from with_defaults
