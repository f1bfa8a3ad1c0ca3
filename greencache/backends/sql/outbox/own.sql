-- What one transaction has written, once it is committed: triggers have written some of it.
select id, keys, tags, patterns, is_everything
from {schema}.outbox
where namespace = %(namespace)s and xact = %(xact)s::xid8
order by id
