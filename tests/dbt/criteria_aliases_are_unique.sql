{{ config(meta={'dagster': {'ref': {'name': 'criteria_fields'}}}) }}

-- A key of the documents means one field and one comparison; only numbers have ranks.
with aliases as (

    select
        field,
        value_type,
        unnest(string_split(aliases, '|')) as alias
    from {{ ref('criteria_fields') }}
    where aliases is not null

),

failures as (

    select split_part(alias, ':', 1) as failure
    from aliases
    group by split_part(alias, ':', 1)
    having count(*) > 1
    union all
    select alias as failure
    from aliases
    where
        not regexp_full_match(alias, '[A-Za-z_]+:(<=|>=|<|>|=|in)(:[0-9.]+)?')
        or split_part(alias, ':', 1) in ('all', 'any')
        or (split_part(alias, ':', 2) = 'in' and value_type <> 'text')
        or (split_part(alias, ':', 2) <> 'in' and value_type <> 'number')
    union all
    select field as failure
    from {{ ref('criteria_fields') }}
    where is_rankable and value_type <> 'number'

)

select * from failures
