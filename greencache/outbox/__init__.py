"""What the database itself says must be forgotten: tables that are watched, and who listens to them."""
