-- Which refresh covers a drop: one that saw the transaction by which the drop was recorded.
alter table {schema}.view_drops add column xact xid8 not null default pg_current_xact_id();
alter table {schema}.view_drops drop column id;

alter table {schema}.view_refreshes
    alter column refreshed_at drop not null,
    alter column seconds drop not null,
    add column relation  oid,
    add column as_of     timestamptz,
    add column snapshots text[] not null default array[]::text[],
    add column changed   bigint,
    add column dead      bigint not null default 0,
    add column failures  integer not null default 0,
    add column error     text not null default '',
    add column retry_at  timestamptz;

update {schema}.view_refreshes set as_of = refreshed_at;

comment on column {schema}.view_refreshes.refreshed_at is 'when the last refresh began';
comment on column {schema}.view_refreshes.as_of is
    'the contents are of that time or newer; earlier than the refresh where a view beneath is older; null if that is not known';
comment on column {schema}.view_refreshes.snapshots is
    'what the contents were made of: seen is what all of these saw, its own and those of the views beneath';
comment on column {schema}.view_refreshes.dead is 'rows that refreshes have replaced since the last vacuum';

create table {schema}.view_history (
    id      bigint generated always as identity primary key,
    view    text collate "C" not null,
    began   timestamptz not null,
    seconds double precision,
    changed bigint,
    error   text not null default ''
);

create index view_history_of on {schema}.view_history (view, id);

comment on table {schema}.view_history is 'the last hundred refreshes of each view; changed is null where all may have';

-- Who must be told when a view has other contents. A view may be read by caches of several namespaces.
create table {schema}.view_readers (
    view      text collate "C" not null,
    namespace text collate "C" not null,
    pattern   text collate "C" not null,
    primary key (view, namespace, pattern)
);

alter table {schema}.outbox add column is_refresh boolean not null default false;

comment on column {schema}.outbox.is_refresh is 'a view has other rows under these keys: forget them, but not in the view';

-- That the sources of a view have changed. Transactions never wait for each other here: each has a row of its own.
create table {schema}.view_wishes (
    view    text collate "C" not null,
    xact    xid8 not null default pg_current_xact_id(),
    written timestamptz not null default clock_timestamp(),
    primary key (view, xact)
);

-- It runs with the rights of its owner, since who may change a source need not know of this schema.
create function {schema}.wish_refresh() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $body$
begin
    insert into {schema}.view_wishes (view) select unnest(tg_argv) on conflict do nothing;
    return null;
end
$body$;
