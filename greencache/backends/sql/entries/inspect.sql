-- Of each key the value and the lease, whatever their age, and how many seconds of the lease are left.
select key, value, lease, extract(epoch from lease_until - clock_timestamp())::float8
from {schema}.entries
where namespace = %(namespace)s and key = any(%(keys)s::text[])
