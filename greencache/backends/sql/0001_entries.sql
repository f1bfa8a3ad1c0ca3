-- The key-value table. A row may hold a value, a lease, or both; a row with neither is never left behind.
--
-- Collation "C": keys are compared byte by byte, alike on every machine, so that all statements lock rows in
-- the same order, and LIKE with a literal beginning uses the primary key.
create table {schema}.entries (
    namespace   text collate "C" not null,
    key         text collate "C" not null,
    value       bytea,
    stale_until timestamptz,
    lease       text,
    lease_until timestamptz,
    updated     timestamptz not null default clock_timestamp(),
    primary key (namespace, key),
    check ((lease is null) = (lease_until is null))
);

comment on column {schema}.entries.stale_until is 'when the value is gone, by this server''s clock; null for never';

-- When a row becomes rubbish: a value when it is gone, a lone lease when it has ended.
create index entries_gone_at on {schema}.entries
    (namespace, (case when value is null then lease_until else stale_until end));

create table {schema}.stamps (
    namespace text collate "C" not null,
    tag       text collate "C" not null,
    stamp     text not null,
    primary key (namespace, tag)
);

comment on table {schema}.stamps is 'the current stamp of each tag; the tag '''' is the whole namespace';
