with events as (

    select * from {{ source('raw', 'events') }}

),

tenants as (

    select
        user_id,
        timezone
    from {{ ref('stg_organizations') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

event_categories as (

    select * from {{ ref('event_categories') }}

),

personal_keys as (

    select
        list(key order by key) as key_names,
        '("(?i:' || string_agg(key, '|' order by key) || ')"\s*:\s*)' as pattern
    from {{ ref('pii_keys') }}

),

type_aliases as (

    select
        unnest(string_split(event_type || '|' || coalesce(aliases, event_type), '|')) as seen_as,
        event_type
    from event_types

),

canonical_types as (

    select distinct
        seen_as,
        event_type
    from type_aliases

),

localized as (

    select
        events.*,
        {{ local_time('events.created_at', 'tenants.timezone') }} as local_created_at
    from events
    inner join tenants on events.user_id = tenants.user_id

),

cleaned as (

    select
        localized.event_id,
        localized.source_event_id,
        localized.user_id,
        localized.customer_id,
        coalesce(canonical_types.event_type, lower(localized.event_type)) as event_type,
        coalesce(event_categories.event_category, lower(localized.event_category)) as event_category,
        localized.product_id,
        {{ without_contacts('localized.product_name') }} as product_name,
        localized.product_category,
        localized.event_value,
        -- An empty order id would make one order of all that a customer ever bought without one.
        nullif({{ json_text('localized.event_properties', 'order_id') }}, '') as order_id,
        {{ without_personal_json('localized.event_properties', 'personal_keys.key_names', 'personal_keys.pattern') }}
            as event_properties,
        {{ reduced_url('localized.page_url') }} as page_url,
        {{ reduced_url('localized.referrer_url') }} as referrer_url,
        {{ truncated_ip('localized.ip_address') }} as ip_address,
        {{ major_user_agent('localized.user_agent') }} as user_agent,
        case when lower(localized.device_type) in ('desktop', 'mobile', 'tablet') then lower(localized.device_type) end
            as device_type,
        localized.browser,
        localized.os,
        localized.location as raw_location,
        localized.session_id,
        localized.created_at,
        localized.local_created_at,
        cast(localized.local_created_at as date) as event_date,
        localized.load_id,
        localized.file_id
    from localized
    cross join personal_keys
    left join canonical_types on lower(localized.event_type) = canonical_types.seen_as
    left join event_categories on lower(localized.event_category) = event_categories.alias

),

located as (

    select
        * exclude (raw_location),
        {{ rounded_location('raw_location') }} as location
    from cleaned

)

select * from located
