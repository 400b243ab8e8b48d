"""A schema as text, read from PostgreSQL's own catalogue: two databases are alike where their texts are."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

COLUMNS = """
SELECT format('column %s.%s: %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
  CASE a.attgenerated WHEN 's' THEN ' generated' ELSE CASE a.attidentity WHEN '' THEN '' ELSE ' identity' END END,
  coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
"""
INDEXES = """
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""
CONSTRAINTS = """
SELECT format('constraint %s.%s: %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid::regclass::text <> 'alembic_version'
"""
TRIGGERS = "SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
FUNCTIONS = """
SELECT 'function ' || replace(pg_get_functiondef(p.oid), E'\n', ' ') FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
"""
EXTENSIONS = "SELECT 'extension ' || extname FROM pg_extension"


def schema_text(connection: Connection) -> str:
    """One line for each column, index, constraint, trigger, function and extension, sorted.

    Not the order of the columns: one that is added later stands at the end of its table.
    """
    parts = (COLUMNS, INDEXES, CONSTRAINTS, TRIGGERS, FUNCTIONS, EXTENSIONS)
    lines = [line for part in parts for line in connection.execute(sa.text(part)).scalars()]
    return "".join(f"{line}\n" for line in sorted(lines))
