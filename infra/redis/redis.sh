#!/bin/sh
# Starts Redis ("start"), checks that it accepts commands ("health"), or sends it one ("cli"), with the password from
# REDIS_PASSWORD or the file REDIS_PASSWORD_FILE, which redis.conf can't read. Redis overwrites its own command line, so the
# password is in no process list.
set -eu
password=${REDIS_PASSWORD:-}
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
	password=$(cat "$REDIS_PASSWORD_FILE")
fi
case ${1:-} in
start) exec redis-server /usr/local/etc/redis/redis.conf --requirepass "$password" ;;
health) REDISCLI_AUTH=$password exec redis-cli -e ping ;; # fails while Redis loads its data
cli)
	shift
	REDISCLI_AUTH=$password exec redis-cli -e "$@"
	;;
*)
	echo "usage: redis.sh start|health|cli COMMAND…" >&2
	exit 2
	;;
esac
