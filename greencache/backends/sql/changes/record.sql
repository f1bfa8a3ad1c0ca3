-- Not flushed: what a crash loses here matters to nobody, since it ends all snapshots that are older.
with hasty as (
    select set_config('synchronous_commit', 'off', true)
)
insert into {schema}.changes (namespace, keys, tags, patterns)
select %(namespace)s, %(keys)s::text[], %(tags)s::text[], %(patterns)s::text[]
from hasty
returning xact::text
