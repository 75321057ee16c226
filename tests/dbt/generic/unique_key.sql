{#-
    The columns are the relation's key: no two rows share it, and no part of it is null but the columns named in `nullable` (where null is a
    value: all channels, all customers). With `date_column` (event-level marts) only the recomputed rows are read.
-#}
{% test unique_key(model, columns, date_column=none, nullable=[]) %}
with keys as (

    select {{ columns | join(', ') }}
    from {{ model }}
    {%- if date_column %}
    where {{ is_under_test(date_column) }}
    {%- endif %}

),

broken_keys as (

    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from keys
    group by {{ columns | join(', ') }}
    having count(*) > 1 or {{ columns | reject('in', nullable) | join(' is null or ') }} is null

)

select * from broken_keys
{% endtest %}
