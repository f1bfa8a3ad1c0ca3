-- Of the wanted keys of views, those that are not answered until the view's next refresh.
select wanted.key
from unnest(%(views)s::text[], %(keys)s::text[]) as wanted (view, key)
where exists (
    select from {schema}.view_drops as dropped
    where dropped.namespace = %(namespace)s and dropped.view = wanted.view
      and case
          when dropped.is_pattern then wanted.key like dropped.key escape '\'
          else wanted.key = dropped.key collate "C"
      end
)
