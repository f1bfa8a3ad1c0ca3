"""The only places that know redis, psycopg and tenacity."""
