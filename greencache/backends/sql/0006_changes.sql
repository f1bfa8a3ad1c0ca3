-- What was dropped lately, and where in the database's history that was: a load whose snapshot is older may
-- have read what is no longer so. Written before anything is dropped, and kept for a while.
--
-- `xact` began after the change of the source was committed, and `lsn` lies behind that commit. So who sees
-- `xact`, or has replayed up to `lsn`, sees the change too.
create table {schema}.changes (
    namespace text collate "C" not null,
    xact      xid8 not null default pg_current_xact_id(),
    id        bigint generated always as identity,
    written   timestamptz not null default clock_timestamp(),
    lsn       pg_lsn not null default pg_current_wal_insert_lsn(),
    keys      text[] not null,
    tags      text[] not null,
    patterns  text[] not null,
    primary key (namespace, xact, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

comment on column {schema}.changes.tags is 'the tag '''' is the whole namespace';

-- Up to where changes were deleted: of a snapshot that is older nothing can be said.
create table {schema}.horizons (
    namespace text collate "C" primary key,
    xact      xid8 not null,
    lsn       pg_lsn not null
);

-- For `cache.transaction`: writes one row within the caller's transaction and returns its number. It wakes nobody,
-- since the one who commits applies it at once; if that one dies, the listener finds the row when it next looks.
create function {schema}.announce(
    namespace text, keys text[], tags text[], patterns text[], everything boolean
) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    insert into {schema}.outbox (namespace, size, keys, tags, patterns, is_everything)
    values (
        announce.namespace,
        greatest(1, cardinality(announce.keys) + cardinality(announce.tags) + cardinality(announce.patterns)),
        announce.keys, announce.tags, announce.patterns, announce.everything
    )
    returning id;
end;
