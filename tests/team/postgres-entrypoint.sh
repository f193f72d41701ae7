#!/bin/sh
# What the entry point of the image `postgres` does before its command: the first time it makes the database, with the user and
# the password of its variables.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	mkdir -p "$PGDATA"
	# shellcheck disable=SC2086 # several options
	initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-} >/dev/null
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
	# On a socket alone: nobody may take it for the server that is about to be.
	pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses='' -c unix_socket_directories=/tmp" --wait start >/dev/null
	PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") psql --quiet --no-psqlrc --host /tmp --username "$POSTGRES_USER" --dbname postgres \
		--command "CREATE DATABASE \"$POSTGRES_DB\""
	pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop >/dev/null
fi
exec "$@"
