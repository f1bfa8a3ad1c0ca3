select count(*), coalesce(sum(octet_length(value)), 0)::bigint
from {schema}.entries
where namespace = %(namespace)s
  and value is not null
  and (stale_until is null or stale_until > clock_timestamp())
