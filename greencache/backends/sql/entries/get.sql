select key, value
from {schema}.entries
where namespace = %(namespace)s
  and key = any(%(keys)s::text[])
  and value is not null
  and (stale_until is null or stale_until > clock_timestamp())
