update {schema}.view_refreshes set dead = 0 where view = %(view)s
