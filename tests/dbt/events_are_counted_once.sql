{{ config(meta={'dagster': {'ref': {'name': 'data_as_of'}}}) }}

-- Each kept event stands once in the mart, once in the daily fact and once in what counts or waits by as_of_date.
-- Single events are counted in all (metadata in DuckDB); by tenant the compact tables are compared.
with load_ledger as (

    select * from {{ ref('load_ledger') }}

),

tenant_loads as (

    select * from {{ ref('stg_tenant_loads') }}

),

events as (

    select * from {{ ref('customer_behavior_events') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

data_as_of as (

    select * from {{ ref('data_as_of') }}

),

counts as (

    select
        'ledger' as counted_in,
        cast(null as varchar) as user_id,
        sum(kept_count) as event_count
    from load_ledger
    where feed = 'events' and state in ('pending', 'published')

    union all

    select
        'customer_behavior_events' as counted_in,
        null as user_id,
        count(*) as event_count
    from events

    union all

    select
        'customer_daily' as counted_in,
        null as user_id,
        sum(event_count) as event_count
    from customer_daily

    union all

    select
        'loads' as counted_in,
        user_id,
        sum(row_count) as event_count
    from tenant_loads
    where feed = 'events'
    group by user_id

    union all

    select
        'customer_daily' as counted_in,
        user_id,
        sum(event_count) as event_count
    from customer_daily
    group by user_id

    union all

    select
        'data_as_of' as counted_in,
        user_id,
        event_count + pending_event_count as event_count
    from data_as_of
    where event_count + pending_event_count > 0

),

-- A table that lacks the tenant altogether differs, too.
differences as (

    select
        user_id,
        min(event_count) as lowest_count,
        max(event_count) as highest_count
    from counts
    group by user_id
    having
        count(distinct coalesce(event_count, 0)) > 1
        or count(*) <> 3

)

select * from differences
