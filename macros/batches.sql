{#-
    Event-level tables that sort or group are written month by month where there are many rows: each batch fits into memory, a sort over all
    history spills to disk (int_sessions, 100 M events, 8 GB: 109 s; at once, on a busy machine, 587 s). The model says
    `in_batches` and filters by `is_touched`, whose range of all dates is narrowed to that of each batch.
-#}
{#- All dates, as a condition that a batch narrows. -#}
{% macro is_in_batch(date_column) -%}
    {{ date_column }} between {{ all_dates()[0] }} and {{ all_dates()[1] }}
{%- endmacro %}

{% macro all_dates() -%}
    {{ return(["date '0001-01-01'", "date '9999-12-31'"]) }}
{%- endmacro %}

{#-
    Memberships are evaluated some customers at a time, for the same reason: 60 dates of a million customers do not fit into memory. The
    model says `in_batches='customers'`.
-#}
{% macro is_in_customer_batch(number_column) -%}
    {#- Here, so that the model depends on what its batches are counted by. -#}
    {%- set counted_by = [ref('int_segment_customers'), ref('customer_daily')] -%}
    {{ number_column }} between {{ all_numbers()[0] }} and {{ all_numbers()[1] }}
{%- endmacro %}

{% macro all_numbers() -%}
    {{ return(["-2147483648", "2147483647"]) }}
{%- endmacro %}

{#- First of each period and rows in it: some customers, and their days that are due. -#}
{% macro rows_by_period() -%}
    {%- if config.get('in_batches') == 'customers' -%}
        {%- set some = [1, var('states_per_batch') // 1000] | max -%}
        {{ return(
            "select " ~ some ~ " * (customers.customer_number // " ~ some ~ "), count(*) from " ~ ref('int_segment_customers') ~ " as customers "
            ~ "left join " ~ ref('customer_daily') ~ " as days on customers.user_id = days.user_id and customers.customer_id = days.customer_id "
            ~ "and days.event_date > customers.due_from_date group by 1 order by 1"
        ) }}
    {%- endif -%}
    {%- set date_column = config.require('date_column') -%}
    {{ return(
        "select cast(date_trunc('month', " ~ date_column ~ ") as date), count(*) from "
        ~ ref('customer_behavior_events') ~ " where " ~ is_touched(date_column) ~ " group by 1 order by 1"
    ) }}
{%- endmacro %}

{#- The model's code, once for each batch: periods that follow one another, as many as fit; one batch where all fit. -#}
{% macro batches_of(compiled_code) -%}
    {%- set of_customers = config.get('in_batches') == 'customers' -%}
    {%- set all, quote = (all_numbers(), '') if of_customers else (all_dates(), "'") -%}
    {%- set periods = run_query(rows_by_period()).rows -%}
    {%- set rows_per_batch = var('states_per_batch' if of_customers else 'events_per_batch') -%}
    {%- set firsts, filled = [], namespace(rows=0) -%}
    {%- for period in periods -%}
        {%- if not firsts or filled.rows + period[1] > rows_per_batch -%}
            {%- do firsts.append(('' if of_customers else 'date ') ~ quote ~ period[0] ~ quote) -%}
            {%- set filled.rows = 0 -%}
        {%- endif -%}
        {%- set filled.rows = filled.rows + period[1] -%}
    {%- endfor -%}
    {%- set batches = [] -%}
    {%- for first in firsts[1:] + [none] -%}
        {%- set code = compiled_code if loop.first else compiled_code.replace(all[0], firsts[loop.index0]) -%}
        {%- do batches.append(code.replace(all[1], first ~ ' - 1') if first else code) -%}
    {%- endfor -%}
    {{ return(batches or [compiled_code]) }}
{%- endmacro %}

{#-
    dbt-duckdb's own, and the rows of further batches after it. DuckDB 2.0.0 reads a table as empty that a transaction created
    without a row and then filled (more than 122,880 rows, until it is opened anew), only count(*) sees them: such a table is refused.
-#}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
    {%- set batches = batches_of(compiled_code) if config.get('in_batches') else [compiled_code] -%}
    {%- set table = relation.include(database=not temporary, schema=not temporary) -%}
    {{ dbt.duckdb__create_table_as(temporary, relation, batches[0], language, partitioned_by, sorted_by) }}
    {%- for batch in batches[1:] %};
        insert into {{ table }} by name
        {{ batch }}
    {%- endfor %}
    {%- if batches | length > 1 %};
        select case when (select count(*) from {{ table }}) > 0 and (select count(*) from (from {{ table }} limit 1)) = 0
            then error('{{ relation.identifier }}: its first batch had no row, so that DuckDB does not see the others: '
                || 'raise the variable events_per_batch or states_per_batch') end
    {%- endif %}
{%- endmacro %}
