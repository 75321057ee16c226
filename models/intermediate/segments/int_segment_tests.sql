-- A clause as ranges of values that toggle it: `not 5` is "any value" and "5", `null` is "met at first" and
-- "any value".
{{ config(materialized='table') }}

{% set places = namespace(rows=[]) %}
{% for measure in segment_measures() %}
    {%- set moving = 'growing' if measure in growing_measures() else 'uneven' -%}
    {%- set pace = moving if measure in growing_measures() + uneven_measures() else 'still' -%}
    {%- do places.rows.append("('number', '" ~ measure ~ "', " ~ loop.index ~ ", '" ~ pace ~ "')") -%}
{% endfor %}
{% for field in segment_text_fields() %}
    {%- do places.rows.append("('text', '" ~ field ~ "', " ~ loop.index ~ ", 'still')") -%}
{% endfor %}

with places (kind, measure, place, pace) as (

    values {{ places.rows | join(', ') }}

),

clauses as (

    select
        *,
        case
            when value_type in ('event', 'list') then value_type
            when operator in ('top_percent', 'bottom_percent') then 'rank'
            when value_type = 'text' then 'text'
            else 'number'
        end as kind,
        field
        || case operator when 'within_days' then '.age' when 'anniversary_within_days' then '.anniversary' else '' end
            as measure,
        string_split(lower(value), '|') as given
    from {{ ref('int_segment_clauses') }}
    where value_type <> 'segment'

),

operands as (

    select
        *,
        unnest(
            case
                when operator in ('!=', 'not_in') then list_prepend(null, given)
                when operator in ('is_null', 'is_not_null') then [cast(null as varchar)]
                when operator = 'in' then given
                else [given[1]]
            end
        ) as operand
    from clauses

),

numbered as (

    select
        *,
        case
            when value_type in ('text', 'list') then null
            when operand in ('true', 'false') then cast(operand = 'true' as double)
            when value_type = 'date' and measure = field
                then {{ dbt.datediff("date '1970-01-01'", 'try_cast(operand as date)', 'day') }}
            else try_cast(operand as double)
        end as number,
        case
            when value_type = 'date' and measure = field
                then {{ dbt.datediff("date '1970-01-01'", 'try_cast(given[2] as date)', 'day') }}
            when operator = 'between' then try_cast(given[2] as double)
        end as second_number
    from operands

),

ranges as (

    select
        numbered.* exclude (operand, number, second_number, given), -- noqa: RF02
        places.place,
        places.pace,
        case numbered.operator when 'top_percent' then -1 when 'bottom_percent' then 1 end as direction,
        case
            when numbered.operand is null then 'any' when numbered.operator = 'contains' then 'contains' else 'equals'
        end as text_test,
        numbered.operand as text_operand,
        cast(
            case
                when
                    numbered.operand is null or numbered.operator in ('<', '<=', 'top_percent', 'bottom_percent')
                    then '-infinity'
                when numbered.operator in ('within_days', 'anniversary_within_days') then 0
                when numbered.operator = '>' then nextafter(numbered.number, cast('infinity' as double))
                else numbered.number
            end as double
        ) as lowest,
        cast(
            case
                when numbered.operand is null or numbered.operator in ('>', '>=') then 'infinity'
                when numbered.operator in ('<', 'top_percent', 'bottom_percent')
                    then nextafter(numbered.number, cast('-infinity' as double))
                when numbered.operator = 'between' then numbered.second_number
                else numbered.number
            end as double
        ) as highest
    from numbered
    left join places
        on
            numbered.measure = places.measure
            and (numbered.kind = places.kind or (numbered.kind = 'rank' and places.kind = 'number'))

),

-- Where nothing happened, the count is 0: if that meets the rule, the counts that do not toggle it.
met_at_first as (

    select * replace ('first' as kind, cast(null as varchar) as pace)
    from ranges
    where (kind = 'event' and 0 between lowest and highest) or operator = 'is_null'

),

all_tests as (

    select * from ranges
    union all
    select * from met_at_first

),

-- Without duplicates: what a list names twice, as `ulm` and `Ulm` or 2 and 2.0, would toggle its clause twice.
tests as (

    select distinct * replace (case when kind in ('text', 'list') then text_operand end as text_operand)
    from all_tests

)

select * from tests
