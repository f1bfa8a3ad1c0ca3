select key
from {schema}.entries
where namespace = %(namespace)s
  and key like %(like)s escape '\'
  and key > %(after)s
  and value is not null
  and (stale_until is null or stale_until > clock_timestamp())
order by key
limit %(limit)s
