#!/bin/sh
# Brings Temporal's two databases to the schema of this release.  Safe to repeat: a version that is there stays.
set -eu
SQL_PASSWORD=$(cat "$TEMPORAL_PASSWORD_FILE")
export SQL_PASSWORD
for database in temporal temporal_visibility; do
    schema=/etc/temporal/schema/postgresql/v12/${database#temporal_}/versioned
    temporal-sql-tool --db "$database" setup-schema -v 0.0
    temporal-sql-tool --db "$database" update-schema -d "$schema"
done
