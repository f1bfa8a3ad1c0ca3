select
    {schema}.announce(%(namespace)s, %(keys)s::text[], %(tags)s::text[], %(patterns)s::text[], %(everything)s),
    pg_current_xact_id()::text
