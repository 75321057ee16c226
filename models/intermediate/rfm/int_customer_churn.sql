-- Nothing predicts churn yet: no rows. The shape is fixed, so that customer_segments already applies the overrides.
with typed_columns as (

    select
        cast(null as varchar) as user_id,
        cast(null as varchar) as customer_id,
        cast(null as double) as churn_score

),

customer_churn as (

    select * from typed_columns
    where user_id is not null

)

select * from customer_churn
