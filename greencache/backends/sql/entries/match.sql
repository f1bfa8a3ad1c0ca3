select key
from {schema}.entries
where namespace = %(namespace)s
  and key like %(like)s escape '\'
  and key > %(after)s
order by key
limit %(limit)s
