select tag, stamp
from {schema}.stamps
where namespace = %(namespace)s
  and tag = any(%(tags)s::text[])
