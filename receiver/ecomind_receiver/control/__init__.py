"""The control store: organisations, projects, users, keys and settings, in SQLite or PostgreSQL."""
