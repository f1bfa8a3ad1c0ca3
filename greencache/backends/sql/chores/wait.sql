select extract(epoch from began - clock_timestamp())::float8 + %(interval)s
from {schema}.chores
where namespace = %(namespace)s and name = %(name)s
