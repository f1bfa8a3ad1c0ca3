-- Who is to be evicted first: what is gone soonest, and of what never is, the oldest.
drop index {schema}.entries_gone_at;
create index entries_gone_at on {schema}.entries
    (namespace, (case when value is null then lease_until else stale_until end), updated);

-- When something that is done now and then was last begun, by whatever process.
create table {schema}.chores (
    namespace text collate "C" not null,
    name      text collate "C" not null,
    began     timestamptz not null,
    primary key (namespace, name)
);
