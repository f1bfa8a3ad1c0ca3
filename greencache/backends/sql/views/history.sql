with written as (
    insert into {schema}.view_history (view, began, seconds, changed, error)
    values (%(view)s, coalesce(%(began)s, clock_timestamp()), %(seconds)s, %(changed)s, %(error)s)
)
delete from {schema}.view_history
where view = %(view)s
  and id <= (
      select id from {schema}.view_history where view = %(view)s order by id desc offset 99 limit 1
  )
