{{ config(materialized='table') }}

{#- Weights of the parts of the engagement score. -#}
{% set weights = {'recency': 0.4, 'sessions': 0.3, 'opens': 0.2, 'clicks': 0.1} %}

with spans as (

    select * from {{ ref('int_segment_engagement_spans') }}
    where member_count > 0

),

ranks as (

    select * from {{ ref('int_engagement_ranks') }}

),

-- Summed in whole numbers: no order of summation shows in the score.
sums as (

    select
        spans.user_id,
        spans.segment_key,
        {%- for measure in weights %}
            cast(coalesce(
                sum(spans.member_count * ranks.worse_count) filter (where ranks.measure = '{{ measure }}'), 0
            ) as double) as {{ measure }}_sum,
        {%- endfor %}
        ranks.date
    from spans
    inner join ranks
        on
            spans.user_id = ranks.user_id
            and spans.measure = ranks.measure
            and spans.measured_value = ranks.measured_value
            and spans.from_date <= ranks.date
            and coalesce(spans.until_date > ranks.date, true)
    group by spans.user_id, spans.segment_key, ranks.date

),

-- A part that no customer of the tenant has on a date is left out; the others share its weight.
parts as (

    select
        user_id,
        date,
        {%- for measure in weights %}
            bool_or(measure = '{{ measure }}') as has_{{ measure }},
        {%- endfor %}
        max(customer_count) as customer_count
    from ranks
    group by user_id, date

),

engagement as (

    select
        sums.user_id,
        sums.segment_key,
        sums.date,
        100 * (
            {%- for measure, weight in weights.items() %}
                {{ weight }} * sums.{{ measure }}_sum{{ ' +' if not loop.last }}
            {%- endfor %}
        ) / (
            {%- for measure, weight in weights.items() %}
                {{ weight }} * cast(parts.has_{{ measure }} as integer){{ ' +' if not loop.last }}
            {%- endfor %}
        ) / nullif(parts.customer_count - 1, 0) as engagement_points
    from sums
    inner join parts on sums.user_id = parts.user_id and sums.date = parts.date

)

select * from engagement
