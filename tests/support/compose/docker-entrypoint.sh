#!/bin/sh
# What PostgreSQL's public image does at a start: the first time a cluster by the POSTGRES_… variables, then what was asked for.
set -eu
test "$1" = postgres || exec "$@"
if ! test -s "$PGDATA/PG_VERSION"; then
  cd /tmp
  initdb -E UTF8 -U "$POSTGRES_USER" -A scram-sha-256 --pwfile="$POSTGRES_PASSWORD_FILE" -D "$PGDATA" > /dev/null
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres > /dev/null
fi
exec "$@"
