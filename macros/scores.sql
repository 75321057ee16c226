{#- Whole-number division: no float decides on which side of an edge a customer falls. -#}
{% macro integer_division(dividend, divisor) -%}
    {{ return(adapter.dispatch('integer_division')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__integer_division(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{#-
    Which of n equal quantiles a value falls in, 0 (smallest values) to n - 1: n times the number of strictly smaller
    values, divided by the number of values. Equal values always share a quantile; ntile() does not do that.
-#}
{% macro quantile(value, quantiles, partition_by) -%}
    {{ integer_division(
        quantiles ~ ' * (rank() over (partition by ' ~ partition_by ~ ' order by ' ~ value ~ ') - 1)',
        'count(*) over (partition by ' ~ partition_by ~ ')'
    ) }}
{%- endmacro %}

{#- High, Medium or Low: the category of a score from 1 to 5. -#}
{% macro score_category(score) -%}
    case
        when {{ score }} >= 4 then 'High'
        when {{ score }} = 3 then 'Medium'
        when {{ score }} <= 2 then 'Low'
    end
{%- endmacro %}

{#- Whether a probability lies in a band of seed churn_bands, whose ends are open or closed. -#}
{% macro is_in_band(probability, bands) -%}
    {{ probability }} between {{ bands }}.lower_bound and {{ bands }}.upper_bound
    and ({{ probability }} > {{ bands }}.lower_bound or {{ bands }}.is_lower_inclusive)
    and ({{ probability }} < {{ bands }}.upper_bound or {{ bands }}.is_upper_inclusive)
{%- endmacro %}
