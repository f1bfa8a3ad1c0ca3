-- A view is known as schema.view, however it is spelled. Those that were noted without their schema:
do $body$
declare
    short text;
    whole text;
begin
    for short, whole in
        select noted.view, n.nspname || '.' || c.relname
        from (
            select view from {schema}.view_drops
            union select view from {schema}.view_refreshes
            union select view from {schema}.view_readers
            union select view from {schema}.view_wishes
            union select view from {schema}.view_history
        ) as noted
        join pg_class as c on c.oid = to_regclass(quote_ident(noted.view))
        join pg_namespace as n on n.oid = c.relnamespace
        where position('.' in noted.view) = 0
    loop
        -- Hidden until a refresh has seen this transaction, whichever of the two it was noted under.
        insert into {schema}.view_drops (namespace, view, is_pattern, key)
        select namespace, whole, is_pattern, key from {schema}.view_drops where view = short
        on conflict (namespace, view, is_pattern, key) do update set xact = default;
        delete from {schema}.view_drops where view = short;

        insert into {schema}.view_readers (view, namespace, pattern)
        select whole, namespace, pattern from {schema}.view_readers where view = short
        on conflict do nothing;
        delete from {schema}.view_readers where view = short;

        insert into {schema}.view_wishes (view, xact, written)
        select whole, xact, written from {schema}.view_wishes where view = short
        on conflict do nothing;
        delete from {schema}.view_wishes where view = short;

        -- Refreshed under both: which was last does not matter, it is refreshed anew.
        if exists (select from {schema}.view_refreshes where view = whole) then
            delete from {schema}.view_refreshes where view in (short, whole);
        end if;
        update {schema}.view_refreshes set view = whole where view = short;
        update {schema}.view_history set view = whole where view = short;
    end loop;
end
$body$;
