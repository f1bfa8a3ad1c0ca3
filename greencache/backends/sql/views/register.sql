insert into {schema}.view_readers (view, namespace, pattern)
select %(view)s, %(namespace)s, w.pattern
from unnest(%(patterns)s::text[]) as w (pattern)
where not exists (
    select from {schema}.view_readers as held
    where held.view = %(view)s and held.namespace = %(namespace)s and held.pattern = w.pattern
)
order by w.pattern collate "C"
on conflict do nothing
