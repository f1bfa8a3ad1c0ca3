delete from {schema}.view_wishes
where view = %(view)s and pg_visible_in_snapshot(xact, %(snapshot)s::pg_snapshot)
