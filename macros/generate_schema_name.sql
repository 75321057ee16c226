{#- Schemas are named after the room (staging, intermediate, marts, …) in every target: the database is the environment. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
