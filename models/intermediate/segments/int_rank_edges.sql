-- How many buyers come to a value, or leave it, on a date.
{{ config(materialized='table') }}

{% set values_per_bucket = 2048 %}

with ranked as (

    select * from {{ ref('int_rank_values') }}

),

comings_and_goings as (

    {% for date, sign in [('from_date', 1), ('until_date', -1)] %}
        select
            user_id,
            ranking,
            value_rank,
            {{ date }} as edge_date,
            {{ sign }} * count(*) as buyers
        from ranked
        group by user_id, ranking, value_rank, {{ date }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

edges as (

    select
        user_id,
        ranking,
        {{ integer_division('value_rank', values_per_bucket) }} as bucket,
        value_rank,
        edge_date,
        cast(sum(buyers) as bigint) as buyers
    from comings_and_goings
    group by user_id, ranking, value_rank, edge_date
    having sum(buyers) <> 0

)

select * from edges
