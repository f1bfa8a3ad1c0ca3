"""The database that values come from: where loaders read it, and transactions that change it."""
