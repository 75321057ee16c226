{{ config(meta={'dagster': {'ref': {'name': 'named_cohorts'}}}) }}

-- A window that ends before it begins would silently hold nobody.
select
    cohort_key,
    start_date,
    end_date
from {{ ref('named_cohorts') }}
where start_date > end_date
