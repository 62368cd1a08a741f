#!/bin/sh
# Starts Redis ("start"), asks whether it takes commands ("health"), or gives it one ("cli"), with the password from REDIS_PASSWORD or from the file
# that REDIS_PASSWORD_FILE names: a configuration file can read neither. Redis overwrites its own command line, so the password
# shows in no process list.
set -eu
password=${REDIS_PASSWORD:-}
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
	password=$(cat "$REDIS_PASSWORD_FILE")
fi
case ${1:-} in
start) exec redis-server /usr/local/etc/redis/redis.conf --requirepass "$password" ;;
health) REDISCLI_AUTH=$password exec redis-cli -e ping ;; # an error while it reads its data
cli)
	shift
	REDISCLI_AUTH=$password exec redis-cli -e "$@"
	;;
*)
	echo "usage: redis.sh start|health|cli COMMAND…" >&2
	exit 2
	;;
esac
