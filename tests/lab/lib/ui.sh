# shellcheck shell=bash
# Messages, timed steps and failures. File descriptor 3 is the user's stderr.
# SPDX-License-Identifier: BSD-3-Clause

exec 3>&2

# Exit status of a step that has already told the user why it failed.
readonly EXIT_TOLD=99

# log: where the output of steps goes; set by the caller before the first step.
LAB_LOG=${LAB_LOG:-/dev/null}

# say TEXT...: one line of progress, on stderr, so that stdout stays data.
say()
{
	[ -n "${LAB_QUIET:-}" ] || printf '%s\n' "$*" >&3
}

# die TEXT...: the one clear line, and the place of the log.
die()
{
	local where=
	[ "$LAB_LOG" = /dev/null ] || where=" (log: $LAB_LOG)"
	printf 'lab: %s%s\n' "$*" "$where" >&3
	exit "$EXIT_TOLD"
}

# usage_error TEXT...: wrong words on the command line.
usage_error()
{
	printf 'lab: %s; see lab --help\n' "$*" >&3
	exit 2
}

# reason: why the last step failed: the first line of its output that speaks of an
# error (what follows is mostly its consequence), else the last line.
reason()
{
	tr -d '\r' < "$LAB_LOG" | awk '
		/^=== / { first = ""; next }
		/[Ee]rror|E: / && first == "" { first = $0 }
		NF { last = $0 }
		END { print first == "" ? last : first }'
}

# step TITLE COMMAND [ARG...]: runs the command with its output in the log,
# shows what runs and how long it took. A failure ends the program. The command
# runs in a subshell, without the locks: it cannot set the caller's variables.
step()
{
	local title=$1 start=$SECONDS pid status=0 spin='|/-+' i=0
	shift
	printf '\n=== %s\n' "$title" >> "$LAB_LOG"
	(
		set -e
		"$@"
	) >> "$LAB_LOG" 2>&1 8>&- 9>&- &
	pid=$!
	if [ -t 3 ] && [ -z "${LAB_QUIET:-}" ]; then
		while kill -0 "$pid" 2>/dev/null; do
			printf '\r  %s %s %d s ' "${spin:i++%4:1}" "$title" $((SECONDS - start)) >&3
			sleep 0.2
		done
		printf '\r\033[K' >&3
	fi
	wait "$pid" || status=$?
	case $status in
	0) say "$(printf '  %4d s  %s' $((SECONDS - start)) "$title")" ;;
	"$EXIT_TOLD") exit "$EXIT_TOLD" ;;
	*) die "$title: failed: $(reason)" ;;
	esac
}

# wait_for SECONDS COMMAND [ARG...]: true as soon as the command is, false when
# the time is over.
wait_for()
{
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.3
	done
}
