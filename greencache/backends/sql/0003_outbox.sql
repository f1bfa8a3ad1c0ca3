-- What the database itself says must be forgotten: written within the transaction that changes the source, and
-- deleted once every tier has forgotten it. A row that is there is still to be done, whoever did what before.
--
-- The order of the primary key is that in which transactions began, so a reader that knows a snapshot finds
-- what has become visible since in a few places of the index, however long some transactions last.
create table {schema}.outbox (
    namespace     text collate "C" not null,
    xact          xid8 not null default pg_current_xact_id(),
    id            bigint generated always as identity,
    written       timestamptz not null default clock_timestamp(),
    size          integer not null,
    keys          text[] not null,
    tags          text[] not null,
    patterns      text[] not null,
    is_everything boolean not null,
    primary key (namespace, xact, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

comment on column {schema}.outbox.xact is 'the transaction that has written it, which pg_visible_in_snapshot compares';
comment on column {schema}.outbox.size is 'how many names it holds';

-- A number as Python's decimal module writes it.
create function {schema}.numeric_text(value numeric) returns text
language sql immutable strict parallel safe
return case
    when scale(value) > 6 and abs(value) < 0.000001 then (
        select
            case when value < 0 then '-' else '' end || left(digits, 1)
            || case when length(digits) > 1 then '.' || substr(digits, 2) else '' end
            || 'E-' || (scale(value) - length(digits) + 1)
        from (
            select coalesce(nullif(ltrim(replace(abs(value)::text, '.', ''), '0'), ''), '0')
        ) as significant (digits)
    )
    else value::text
end;

-- A time as Python's isoformat writes it, whatever DateStyle says.
create function {schema}.timestamp_text(value timestamp) returns text
language sql immutable strict parallel safe
return to_char(value, 'YYYY-MM-DD"T"HH24:MI:SS')
    || case when extract(microseconds from value)::bigint % 1000000 = 0 then '' else to_char(value, '.US') end;

-- For triggers, and for whoever works in SQL: select greencache.invalidate('default', array['user:1']).
--
-- It runs with the rights of its owner, since who may change a source need not know of this schema; who has no
-- USAGE on the schema cannot call it. NOTIFY has no payload, so that however many there are in a transaction
-- one is sent; it only wakes. A transaction that has sent one cannot be prepared for a two-phase commit: by
-- default none is sent where the server allows that, and the listener finds the row when it next looks.
create function {schema}.invalidate(
    namespace text,
    keys text[] default array[]::text[],
    tags text[] default array[]::text[],
    patterns text[] default array[]::text[],
    everything boolean default false,
    notify boolean default null
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    names text[] := array_remove(keys || tags || patterns, null);
begin
    if namespace is null or namespace !~ '^[A-Za-z0-9._-]{{1,64}}$' then
        raise exception 'expected a namespace of 1 to 64 characters out of A-Z a-z 0-9 . _ -, got %', namespace
            using errcode = 'invalid_parameter_value';
    end if;
    if exists (select from unnest(names) as given (name) where octet_length(name) not between 1 and 1024) then
        raise exception 'expected keys, tags and patterns of 1 to 1024 bytes' using errcode = 'invalid_parameter_value';
    end if;
    if not everything and cardinality(names) = 0 then
        return;
    end if;
    if everything or cardinality(names) <= 1000 then
        insert into {schema}.outbox (namespace, size, keys, tags, patterns, is_everything)
        select
            namespace, case when everything then 1 else cardinality(names) end,
            case when everything then array[]::text[] else array_remove(keys, null) end,
            case when everything then array[]::text[] else array_remove(tags, null) end,
            case when everything then array[]::text[] else array_remove(patterns, null) end,
            everything;
    else
        insert into {schema}.outbox (namespace, size, keys, tags, patterns, is_everything)
        select
            namespace, count(*),
            coalesce(array_agg(name) filter (where kind = 1), array[]::text[]),
            coalesce(array_agg(name) filter (where kind = 2), array[]::text[]),
            coalesce(array_agg(name) filter (where kind = 3), array[]::text[]),
            false
        from (
            select kind, name, (row_number() over () - 1) / 1000 as part
            from (
                select 1, unnest(keys) union all select 2, unnest(tags) union all select 3, unnest(patterns)
            ) as given (kind, name)
            where name is not null
        ) as parted
        group by part;
    end if;
    if coalesce(notify, current_setting('max_prepared_transactions') = '0') then
        perform pg_notify('greencache', '');
    end if;
end
$body$;
