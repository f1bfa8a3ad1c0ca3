"""The trigger function of one watched table, as text in PL/pgSQL."""

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from greencache.backends.postgres_outbox_names import Naming

__all__ = ["EVENTS", "trigger_body"]

EVENTS: Final = {
    "insert": ("new_rows",),
    "update": ("old_rows", "new_rows"),
    "delete": ("old_rows",),
    "truncate": (),
}
"""What a statement does, and the transition tables that tell of it."""

_BODY = """
declare
    all_keys text[] := array[]::text[];
    all_tags text[] := array[]::text[];
    all_patterns text[] := array[]::text[];
    found_names text[];
    is_everything boolean := false;
begin
    begin
{branches}
        end if;
    exception when others then
        -- Most likely a column was renamed or dropped. The writer must not fail for that, nor anything stay.
        raise warning 'greencache cannot tell which keys this statement changes, so all of % go; '
            'watch table % again: %', {namespace}, tg_relid::regclass, sqlerrm;
        is_everything := true;
    end;
    perform {schema}.invalidate({namespace}, all_keys, all_tags, all_patterns, is_everything, {notify});
    return null;
end
"""

_NAMES = """
            found_names := ({query});
            if cardinality(found_names) > {limit} then
    {overflow}
            else
                {target} := {target} || found_names;
            end if;"""


def trigger_body(
    keys: Sequence[Naming],
    tags: Sequence[Naming],
    *,
    schema: str,
    namespace: str,
    notify: bool | None,
    limit: int,
) -> str:
    """Return the body of a trigger function that writes into the outbox what a statement changes.

    Nothing in it depends on the settings of the session that it runs in, and all that is not ours is quoted.

    Args:
        keys: Name the keys of a row.
        tags: Name the tags of a row.
        schema: The schema of greencache's own functions.
        namespace: Whose cache must forget.
        notify: Whether to wake the listener; `None` for where that does no harm.
        limit: Names of one statement, of each template; with more, everything under it is invalidated.
    """
    parts = [(naming, "all_keys") for naming in keys] + [(naming, "all_tags") for naming in tags]
    branches: list[sql.Composable] = []
    for word, (event, relations) in zip(("if", "elsif", "elsif", "elsif"), EVENTS.items(), strict=True):
        branches.append(sql.SQL(f"        {word} tg_op = '{event.upper()}' then"))
        for naming, target in parts:
            branches.append(_found(naming, relations, target, limit) if relations else _all(naming, target))
    body = sql.SQL(_BODY).format(
        branches=sql.SQL("\n").join(branches),
        schema=sql.Identifier(schema),
        namespace=sql.Literal(namespace),
        notify=sql.Literal(notify),
    )
    return body.as_string(None)


def _found(naming: Naming, relations: Sequence[str], target: str, limit: int) -> sql.Composable:
    """Return what adds the names of the rows that a statement has touched, or all if they are too many."""
    return sql.SQL(_NAMES).format(
        query=naming.query(relations, limit),
        limit=sql.Literal(limit),
        overflow=_all(naming, target),
        target=sql.Identifier(target),
    )


def _all(naming: Naming, target: str) -> sql.Composable:
    """Return what adds all names that a template can make; there is no pattern for tags."""
    if not naming.template.fields:
        text = "            {target} := {target} || {name}::text;"
        return sql.SQL(text).format(target=sql.Identifier(target), name=sql.Literal(naming.template.prefix))
    if target == "all_tags" or naming.pattern is None:
        return sql.SQL("            is_everything := true;")
    text = "            all_patterns := all_patterns || {pattern}::text;"
    return sql.SQL(text).format(pattern=sql.Literal(naming.pattern))
