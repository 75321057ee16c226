{#-
    How many calendar periods (months, quarters, weeks from Monday) a date lies after the period in which a cohort's
    window ends. Everything up to the end of that period is period 0, also where the window spans several.
-#}
{% macro cohort_period(period_grain, window_end, date) -%}
    greatest(
        0,
        case {{ period_grain }}
            {%- for grain in ['month', 'quarter', 'week'] %}
            when '{{ grain }}'
                then {{ dbt.datediff(dbt.date_trunc(grain, window_end), dbt.date_trunc(grain, date), grain) }}
            {%- endfor %}
        end
    )
{%- endmacro %}
