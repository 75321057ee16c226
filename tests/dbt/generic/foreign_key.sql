{#- Every key of several columns is found in the other relation; `relationships` would mix the tenants. -#}
{% test foreign_key(model, columns, to, to_columns=none) %}

select distinct
    {{ columns | join(', ') }}
from {{ model }} as referring
where not exists (
    select 1
    from {{ to }} as referred
    where
        {%- for column in columns %}
        {{ 'and ' if not loop.first }}referring.{{ column }} = referred.{{ (to_columns or columns)[loop.index0] }}
        {%- endfor %}
)

{% endtest %}
