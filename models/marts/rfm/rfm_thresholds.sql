with scores as (

    select * from {{ ref('int_rfm_scores') }}

),

{% set dimensions = {
    'recency': 'recency_days',
    'frequency': 'purchase_count',
    'monetary': 'greatest(net_spend, 0)',
    'engagement': 'engagement_count'
} %}

values_by_score as (

    {% for dimension, value in dimensions.items() %}
        select
            user_id,
            as_of_date,
            '{{ dimension }}' as dimension,
            {{ dimension }}_score as score,
            min({{ value }}) as lowest_value,
            max({{ value }}) as highest_value,
            count(*) as customer_count
        from scores
        group by user_id, as_of_date, {{ dimension }}_score
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

thresholds as (

    select
        {{ surrogate_uuid(['user_id', 'as_of_date', 'dimension', 'score']) }} as id,
        user_id,
        as_of_date,
        dimension,
        score,
        cast(lowest_value as decimal(18, 4)) as lowest_value,
        cast(highest_value as decimal(18, 4)) as highest_value,
        customer_count
    from values_by_score

)

select * from thresholds
