{#-
    A UUID that is a function of the natural key. Each part carries its length, so that ('ab', 'c') and ('a', 'bc') differ, and a
    null part differs from an empty one. The load step keys events by the same formula (orchestration/load/sql.py, uuid_sql).
-#}
{% macro surrogate_uuid(parts) -%}
    {{ return(adapter.dispatch('surrogate_uuid')(parts)) }}
{%- endmacro %}

{% macro default__surrogate_uuid(parts) -%}
    cast(md5(concat(
        {%- for part in parts %}
        coalesce(cast(length(cast({{ part }} as varchar)) as varchar) || ':' || cast({{ part }} as varchar), 'n')
        {%- if not loop.last %}, {% endif %}
        {%- endfor %}
    )) as uuid)
{%- endmacro %}
