{#- Where engines differ: time zones, JSON, series of days. One macro a difference; a second engine adds its own `engine__name`. -#}

{#- The local wall-clock time (timestamp without zone) of a UTC timestamp. -#}
{% macro local_time(utc_timestamp, timezone) -%}
    {{ return(adapter.dispatch('local_time')(utc_timestamp, timezone)) }}
{%- endmacro %}

{% macro default__local_time(utc_timestamp, timezone) -%}
    timezone({{ timezone }}, timezone('UTC', {{ utc_timestamp }}))
{%- endmacro %}

{#- The UTC timestamp of a local wall-clock time or of the midnight that begins a local date. -#}
{% macro utc_instant(local_time, timezone) -%}
    {{ return(adapter.dispatch('utc_instant')(local_time, timezone)) }}
{%- endmacro %}

{% macro default__utc_instant(local_time, timezone) -%}
    timezone('UTC', timezone({{ timezone }}, cast({{ local_time }} as timestamp)))
{%- endmacro %}

{#- The text of a top-level key of a JSON text; null where the key is missing. -#}
{% macro json_text(json, key) -%}
    {{ return(adapter.dispatch('json_text')(json, key)) }}
{%- endmacro %}

{% macro default__json_text(json, key) -%}
    json_extract_string({{ json }}, '$.{{ key }}')
{%- endmacro %}

{#- One row per element of the JSON array under a top-level key. -#}
{% macro unnest_json_array(json, key) -%}
    {{ return(adapter.dispatch('unnest_json_array')(json, key)) }}
{%- endmacro %}

{% macro default__unnest_json_array(json, key) -%}
    unnest(cast(json_extract({{ json }}, '$.{{ key }}') as json[]))
{%- endmacro %}

{#- One row per day from the first to the last date, both included. -#}
{% macro unnest_days(first_date, last_date) -%}
    {{ return(adapter.dispatch('unnest_days')(first_date, last_date)) }}
{%- endmacro %}

{% macro default__unnest_days(first_date, last_date) -%}
    cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date)
{%- endmacro %}

{#- A date moved by whole days, as a date (dbt.dateadd gives a timestamp). -#}
{% macro add_days(date, days) -%}
    {{ return(adapter.dispatch('add_days')(date, days)) }}
{%- endmacro %}

{% macro default__add_days(date, days) -%}
    cast({{ date }} + {{ days }} as date)
{%- endmacro %}

{#- The lower-case value of a URL's query parameter; null where it is missing or empty. -#}
{% macro url_parameter(url, parameter) -%}
    nullif(lower(regexp_extract({{ url }}, '[?&]{{ parameter }}=([^&]*)', 1)), '')
{%- endmacro %}

{#- The host of a URL; null where there is none. -#}
{% macro url_host(url) -%}
    nullif(lower(regexp_extract({{ url }}, '^[a-z]+://([^/?#]+)', 1)), '')
{%- endmacro %}

{#- The positions (from 1) of the elements of a JSON array, in step with unnest_json_array. -#}
{% macro unnest_positions(json, key) -%}
    {{ return(adapter.dispatch('unnest_positions')(json, key)) }}
{%- endmacro %}

{% macro default__unnest_positions(json, key) -%}
    unnest(range(1, cast(json_array_length({{ json }}, '$.{{ key }}') as bigint) + 1))
{%- endmacro %}

{#- Whether a top-level key holds a JSON array with at least one element. -#}
{% macro json_has_items(json, key) -%}
    {{ return(adapter.dispatch('json_has_items')(json, key)) }}
{%- endmacro %}

{% macro default__json_has_items(json, key) -%}
    coalesce(json_array_length({{ json }}, '$.{{ key }}') > 0, false)
{%- endmacro %}

{#- Ten-year age band of a birth date on a date; null where it is unknown or not between 0 and 120 years. -#}
{% macro age_band(birth_date, on_date) -%}
    {%- set age -%} cast(floor({{ dbt.datediff(birth_date, on_date, 'day') }} / 365.2425) as integer) {%- endset -%}
    case
        when {{ age }} between 0 and 17 then '0-17'
        when {{ age }} between 18 and 24 then '18-24'
        when {{ age }} between 25 and 34 then '25-34'
        when {{ age }} between 35 and 44 then '35-44'
        when {{ age }} between 45 and 54 then '45-54'
        when {{ age }} between 55 and 64 then '55-64'
        when {{ age }} between 65 and 120 then '65+'
    end
{%- endmacro %}

{#-
    The number under a top-level key of a JSON text, as money is kept; null where it is missing, no number, or beyond a thousand million, the
    bound that event_value has, too: a sum of such numbers cannot overflow and stop the run for everybody.
-#}
{% macro json_number(json, key) -%}
    case
        when abs(try_cast({{ json_text(json, key) }} as double)) <= 1e9
            then try_cast({{ json_text(json, key) }} as decimal(18, 4))
    end
{%- endmacro %}

{#- Whole seconds from one timestamp to another. -#}
{% macro seconds_between(from_timestamp, to_timestamp) -%}
    {{ return(adapter.dispatch('seconds_between')(from_timestamp, to_timestamp)) }}
{%- endmacro %}

{% macro default__seconds_between(from_timestamp, to_timestamp) -%}
    date_diff('second', {{ from_timestamp }}, {{ to_timestamp }})
{%- endmacro %}

{#- The weekday of a date: 1 is Monday, 7 Sunday. -#}
{% macro iso_weekday(date) -%}
    {{ return(adapter.dispatch('iso_weekday')(date)) }}
{%- endmacro %}

{% macro default__iso_weekday(date) -%}
    extract(isodow from {{ date }})
{%- endmacro %}

{#- The text of a top-level key whose name is itself a value, given in a column. -#}
{% macro json_text_of(json, key_column) -%}
    {{ return(adapter.dispatch('json_text_of')(json, key_column)) }}
{%- endmacro %}

{% macro default__json_text_of(json, key_column) -%}
    json_extract_string({{ json }}, '$."' || {{ key_column }} || '"')
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch('days_between')(from_date, to_date)) }}
{%- endmacro %}

{% macro default__days_between(from_date, to_date) -%}
    date_diff('day', {{ from_date }}, {{ to_date }})
{%- endmacro %}
