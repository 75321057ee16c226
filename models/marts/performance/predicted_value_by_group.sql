with customers as (

    select * from {{ ref('customer_360') }}

),

predictions as (

    select * from {{ ref('customer_ltv_predictions') }}

),

{#- Kind of group: the column that names the group. -#}
{% set groups = {
    'all': "'all customers'", 'segment': 'rfm_segment', 'acquisition_cohort': 'acquisition_cohort',
    'acquisition_channel': 'acquisition_channel'
} %}
{% set years = [1, 3, 5] %}

joined as (

    select
        customers.user_id,
        customers.rfm_segment,
        customers.acquisition_cohort,
        customers.acquisition_channel,
        customers.as_of_date,
        predictions.* exclude (user_id, as_of_date) -- noqa: RF02
    from customers
    inner join predictions
        on customers.user_id = predictions.user_id and customers.customer_id = predictions.customer_id

),

grouped as (

    {% for kind, column in groups.items() %}
        select
            user_id,
            '{{ kind }}' as group_type,
            coalesce({{ column }}, 'none') as group_key,
            count(*) as customer_count,
            count(predicted_ltv_1year) as predicted_count,
            count(churn_probability) as churn_scored_count,
            cast(sum(current_ltv) as decimal(38, 4)) as current_ltv,
            {%- for year in years %}
                cast(sum(predicted_ltv_{{ year }}year) as decimal(38, 4)) as predicted_ltv_{{ year }}year,
            {%- endfor %}
            {%- for year in years %}
                cast(sum(expected_spend_{{ year }}year) as decimal(38, 4)) as expected_spend_{{ year }}year,
            {%- endfor %}
            -- Summed in whole numbers: no order of summation shows in the means.
            cast(sum(predicted_ltv_1year) as double) / nullif(count(predicted_ltv_1year), 0)
                as average_predicted_ltv_1year,
            cast(sum(cast(churn_probability as decimal(18, 15))) as double) / nullif(count(churn_probability), 0)
                as average_churn_probability,
            min(as_of_date) as as_of_date
        from joined
        group by user_id, group_key
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

described as (

    select
        {{ surrogate_uuid(['user_id', 'group_type', 'group_key']) }} as id,
        *
    from grouped

)

select * from described
