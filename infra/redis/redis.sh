#!/bin/sh
# Starts Redis ("start", with further arguments for it), checks that it accepts commands ("health"), or sends it one ("cli").
#
# The password of the user "default", who may do everything, is REDIS_PASSWORD or the content of the file
# REDIS_PASSWORD_FILE. The users in the file "users" have their own, such as REDIS_VOTE_PASSWORD(_FILE) for vote; without it,
# the same. Redis overwrites its own command line, so no password is in a process list.
set -euf
here=${0%/*}
password() { # NAME: its value, or the content of the file NAME_FILE
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	[ -z "$file" ] || value=$(cat "$file")
	printf %s "$value"
}
default=$(password REDIS_PASSWORD)
case ${1:-} in
start)
	shift
	set -- "$here/redis.conf" --requirepass "$default" "$@"
	while read -r user rights; do
		case $user in '#'* | '') continue ;; esac
		own=$(password "REDIS_$(printf %s "$user" | tr '[:lower:]' '[:upper:]')_PASSWORD")
		# shellcheck disable=SC2086 # each right is an argument
		set -- "$@" --user "$user" on ">${own:-$default}" $rights
	done <"$here/users"
	exec redis-server "$@"
	;;
health) REDISCLI_AUTH=$default exec redis-cli -e ping ;; # fails while Redis loads its data
cli)
	shift
	REDISCLI_AUTH=$default exec redis-cli -e "$@"
	;;
*)
	echo "usage: redis.sh start|health|cli COMMAND…" >&2
	exit 2
	;;
esac
