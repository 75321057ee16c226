{{ config(meta={'dagster': {'ref': {'name': 'customer_profile_history'}}}) }}

-- A rule that reads the profile of a day must find exactly one: intervals follow one another without gap or overlap
-- from the start, and one of them is current.
with versions as (

    select
        *,
        lag(valid_to) over customer_versions as former_valid_to,
        row_number() over customer_versions as version_number,
        count(*) filter (where is_current) over (partition by user_id, customer_id) as current_count
    from {{ ref('customer_profile_history') }}
    window customer_versions as (
        partition by user_id, customer_id
        order by valid_from nulls first, updated_at
    )

),

broken_intervals as (

    select *
    from versions
    where
        valid_from >= valid_to
        or current_count <> 1
        or (version_number = 1 and valid_from is not null)
        or (version_number > 1 and valid_from is distinct from former_valid_to)

)

select * from broken_intervals
