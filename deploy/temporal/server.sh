#!/bin/sh
# Starts Temporal with the password of its file: the image itself reads it from the environment alone.
set -eu
POSTGRES_PWD=$(cat "$TEMPORAL_PASSWORD_FILE")
export POSTGRES_PWD
exec /etc/temporal/entrypoint.sh
