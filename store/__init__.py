"""What is remembered: SQLAlchemy Core tables over PostgreSQL; each table is written by one module."""
