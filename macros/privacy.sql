{#-
    Personal data, reduced in staging. Patterns are written for RE2 and for Java alike: no look-around; group 1 is what stands
    before the match. A row without a match costs one regexp_matches; only the few others pay for a replacement.
-#}

{% macro contact_pattern() -%}
    (^|[^0-9A-Za-z.])([A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|(\+|%2[Bb])[1-9][0-9 ().-]{6,17}[0-9]|\(?[0-9]{3}\)?[-. ][0-9]{3}[-. ][0-9]{4}\b|(4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|3[47][0-9]{2}|6011|65[0-9]{2})[ -]?[0-9]{4,6}[ -]?[0-9]{4,5}[ -]?[0-9]{3,4}\b)
{%- endmacro %}

{#- Free text without anything that looks like an e-mail address, a phone number or a payment card. -#}
{% macro without_contacts(text) -%}
    case
        when regexp_matches({{ text }}, '{{ contact_pattern() }}')
            then regexp_replace({{ text }}, '{{ contact_pattern() }}', '\1[removed]', 'g')
        else {{ text }}
    end
{%- endmacro %}

{#-
    JSON text whose personal keys (a list of lower-case names, and a pattern that matches them before their value) are null at any depth
    and whose texts hold no contacts. What the patterns cannot mend with certainty is dropped whole: better no properties than a leak.
    Keys are read by json_keys where there is one level (0.14 s per million rows; by pattern 0.38 s).
-#}
{% macro without_personal_json(json, keys, keys_pattern) -%}
    {%- set keys_present -%}
        case
            when contains(substr({{ json }}, 2), '{')
                then regexp_extract_all(lower({{ json }}), '"([^"\\]+)":', 1)
            else json_keys(lower({{ json }}))
        end
    {%- endset -%}
    {%- set nulled -%}
        regexp_replace({{ json }}, {{ keys_pattern }}
            || '("(\\.|[^"\\])*"|[-+.0-9eE]+|true|false|\[[^\[\]{}]*\]|\{[^{}\[\]]*\})', '\1null', 'g')
    {%- endset -%}
    case
        when list_has_any({{ keys_present }}, {{ keys }})
            then case
                when json_valid({{ nulled }}) and not regexp_matches({{ nulled }}, {{ keys_pattern }} || '(["0-9tf{\[-])')
                    then {{ valid_json_without_contacts(nulled) }}
            end
        else {{ valid_json_without_contacts(json) }}
    end
{%- endmacro %}

{% macro valid_json_without_contacts(json) -%}
    case
        when not regexp_matches({{ json }}, '{{ contact_pattern() }}') then {{ json }}
        when json_valid(regexp_replace({{ json }}, '{{ contact_pattern() }}', '\1[removed]', 'g'))
            then regexp_replace({{ json }}, '{{ contact_pattern() }}', '\1[removed]', 'g')
    end
{%- endmacro %}

{#- IPv4 cut to /24, IPv6 to /48; anything else null. -#}
{% macro truncated_ip(ip) -%}
    case
        when regexp_matches({{ ip }}, '^([0-9A-Fa-f]{0,4}:){2,7}([0-9A-Fa-f]{0,4}|[0-9.]{7,15})$')
            then array_to_string(list_slice(string_split(split_part(lower({{ ip }}), '::', 1), ':'), 1, 3), ':') || '::'
        when regexp_matches({{ ip }}, '^[0-9]{1,3}(\.[0-9]{1,3}){3}$')
            then left({{ ip }}, length({{ ip }}) - length(split_part({{ ip }}, '.', 4))) || '0'
    end
{%- endmacro %}

{#- A user agent with major versions only, without build names. -#}
{% macro major_user_agent(user_agent) -%}
    regexp_replace({{ user_agent }}, '([._][0-9][0-9._]*|Build/[A-Za-z0-9._-]+)', '', 'g')
{%- endmacro %}

{#- Scheme, host, path and utm_* parameters of a URL. -#}
{% macro reduced_url(url) -%}
    {%- set path -%}
        regexp_replace(split_part(split_part({{ url }}, '#', 1), '?', 1), '//[^/@]*@', '//')
    {%- endset -%}
    {%- set campaign -%}
        array_to_string(regexp_extract_all(split_part(split_part({{ url }}, '#', 1), '?', 2), 'utm_[a-z]+=[^&]*'), '&')
    {%- endset -%}
    case
        when contains({{ url }}, '?')
            then {{ without_contacts(path ~ " || coalesce('?' || nullif(" ~ campaign ~ ", ''), '')") }}
        else {{ without_contacts(path) }}
    end
{%- endmacro %}

{#- Country, city and coordinates to 2 decimals (about a kilometre); every other key of a location is dropped. -#}
{% macro rounded_location(location) -%}
    case
        when {{ location }} is not null
            then json_object(
                'country', {{ json_text(location, 'country') }},
                'city', {{ json_text(location, 'city') }},
                'latitude', round(try_cast({{ json_text(location, 'latitude') }} as double), 2),
                'longitude', round(try_cast({{ json_text(location, 'longitude') }} as double), 2)
            )
    end
{%- endmacro %}
