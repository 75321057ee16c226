-- How many buyers there are on a date in each bucket of values, and up to its end.
{{ config(materialized='table') }}

with dates as (

    select
        user_id,
        evaluation_date as state_date
    from {{ ref('int_segment_dates') }}
    where is_due and is_in_history

),

edges as (

    select * from {{ ref('int_rank_edges') }}

),

bucket_edges as (

    select
        user_id,
        ranking,
        bucket,
        edge_date,
        sum(buyers) as buyers
    from edges
    group by user_id, ranking, bucket, edge_date

),

buckets as (

    select
        dates.user_id,
        bucket_edges.ranking,
        dates.state_date,
        bucket_edges.bucket,
        cast(sum(bucket_edges.buyers) as bigint) as buyers,
        cast(sum(sum(bucket_edges.buyers)) over (
            partition by dates.user_id, bucket_edges.ranking, dates.state_date
            order by bucket_edges.bucket
        ) as bigint) as buyers_so_far
    from bucket_edges
    inner join dates on bucket_edges.user_id = dates.user_id and bucket_edges.edge_date <= dates.state_date
    group by dates.user_id, bucket_edges.ranking, dates.state_date, bucket_edges.bucket

)

select * from buckets
