{#- A JSON object of SQL expressions by key. -#}
{% macro json_object(members) -%}
    {{ return(adapter.dispatch('json_object')(members)) }}
{%- endmacro %}

{% macro default__json_object(members) -%}
    json_object(
        {%- for key, expression in members.items() -%}
            '{{ key }}', {{ expression }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
