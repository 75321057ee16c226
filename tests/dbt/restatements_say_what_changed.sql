{{ config(meta={'dagster': {'ref': {'name': 'restatements'}}}) }}

-- A restatement is a change, by one release after another, for a cause that the house knows.
with restatements as (

    select * from {{ ref('restatements') }}

),

unsound_restatements as (

    select *
    from restatements
    where
        old_value is not distinct from new_value
        or release_id <= previous_release_id
        or cause not in (
            'timezone changed',
            'definition changed',
            'late assignments',
            'late predictions',
            'erasure',
            'withdrawn file',
            'late events',
            'late profiles',
            'recomputed',
            'unexplained'
        )
        or (cause in ('late events', 'late assignments') and load_id is null)
        or (cause = 'late assignments' and segment_key is null)

)

select * from unsound_restatements
