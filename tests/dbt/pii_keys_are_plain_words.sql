{{ config(meta={'dagster': {'ref': {'name': 'pii_keys'}}}) }}

-- The keys become one regular expression that is matched with lower-case names: any other character would let personal
-- data pass.
with personal_keys as (

    select * from {{ ref('pii_keys') }}

),

other_keys as (

    select *
    from personal_keys
    where not regexp_matches(key, '^[a-z0-9_]+$')

)

select * from other_keys
