#!/bin/bash
# Proves: what is damaged on its way, on TCP or on a ring, is found by its checksum, told, and sent again; without checksums the same job gets wrong data.
# Lab: none
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# found: of the last job, that something was damaged.
found()
{
	positive corrupt
	echo "# $(total corrupt) damaged, $(total resent) resent, $(total repeated) repeated, $(total reconnects) reconnects"
}

# wrong TEXT COMPONENT OPTION... PROGRAM ARGUMENT...: asserts that a job without checksums gets wrong data.
wrong()
{
	local text="$SUITE: $1"
	job "$2" 2 "${@:3}"
	[ "$status" != 0 ] || fail "$text: went unnoticed"
	check "$text: the job gets wrong data" grep -a -q -E 'SUITE BAD .* (wrong content|is not the next one)' <<< "$out"
	check_equal "$text: nobody has looked" 0 "$(total corrupt)"
}

# lost TEXT OPTION...: asserts that a job is ended by what is damaged, and that this is said, unless
# mpirun has lost that: as said.
lost()
{
	local text="$SUITE: $1" said='cannot be sent again' try
	shift
	for try in 1 2 3 4 5 6 7 8; do
		job btl 2 "$@" "$programs/suite" --seconds 60 random
		printf '%s\n' "$out"
		case $status in
		0 | 124) fail "$text: status $status" ;;
		esac
		pass "$text: the job ends"
		grep -a -q ORTE_ERROR_LOG <<< "$out" || break
		! grep -a -q "$said" <<< "$out" || break
	done
	check "$text: that is said (try $try)" grep -a -q "$said" <<< "$out"
}

sums=(--mca btl_xs_checksum 1)
export JOB_LIMIT=200

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare

	# Nothing is damaged.
	suite "checksums over TCP" btl 2 "${sums[@]}" "$programs/suite"
	check_equal "$SUITE: none is wrong" 0 "$(total corrupt)"
	suite "checksums on rings" btl-fake 3 "${sums[@]}" "$programs/suite"
	positive xs_frags
	check_equal "$SUITE: none is wrong" 0 "$(total corrupt)"
	FAKEXEN_EPOCH_MS=15 suite "... that come and go" btl-fake 3 "${sums[@]}" "$programs/suite" random flood
	positive fallbacks resent
	check_equal "$SUITE: none is wrong" 0 "$(total corrupt)"
	FAKEXEN_EPOCH_MS=15 FAKEXEN_PV=1 suite "... where receivers cannot map" btl-fake 2 "${sums[@]}" \
		--mca btl_xs_debug_flip 4 "$programs/suite" --seconds 3 random
	FAKEXEN_EPOCH_MS=15 suite "... under threads" btl-fake 2 "${sums[@]}" "$programs/suite" threads random
	suite "... the smallest ones" btl-fake 2 "${sums[@]}" --mca btl_xs_ring_size 4096 "$programs/suite" \
		random flood
	suite "one-sided communication" btl-fake 3 "${onesided[@]}" "${sums[@]}" --mca btl_xs_debug_flip 3 \
		"$programs/suite" onesided

	# Rings.
	suite "each 100th fragment on a ring is damaged" btl-fake 2 "${sums[@]}" --mca btl_xs_debug_corrupt 100 \
		"$programs/suite"
	found
	positive xs_frags switches fallbacks resent
	grep -a -q ORTE_ERROR_LOG <<< "$out" ||
		check_equal "$SUITE: that is said" 1 "$(grep -a -c 'was damaged on its way' <<< "$out")"
	FAKEXEN_PV=1 suite "... where receivers cannot map" btl-fake 2 "${sums[@]}" \
		--mca btl_xs_debug_corrupt 100 "$programs/suite" random flood
	found
	FAKEXEN_EPOCH_MS=30 suite "... on rings that come and go" btl-fake 3 "${sums[@]}" \
		--mca btl_xs_debug_corrupt 50 --mca btl_xs_debug_flip 3 "$programs/suite" random
	found
	suite "... under threads" btl-fake 2 "${sums[@]}" --mca btl_xs_debug_corrupt 100 "$programs/suite" \
		threads random
	found

	# TCP, where a connection can be made again: not with Open MPI 4.1 unless the user wants that.
	never=()
	if [ "$SUITE" != bookworm ]; then
		never=(--mca btl_xs_failover 0)
		suite "each 500th fragment over TCP is damaged" btl 2 "${sums[@]}" --mca btl_xs_debug_corrupt_tcp 500 \
			"$programs/suite" random flood
		found
		positive reconnects repeated
		suite "... between four, with collectives" btl 4 "${sums[@]}" --mca btl_xs_debug_corrupt_tcp 500 \
			"$programs/suite" random collectives
		found
		suite "... and others on rings" btl-fake 3 "${sums[@]}" --mca btl_xs_debug_corrupt_tcp 200 \
			--mca btl_xs_debug_corrupt 200 --mca btl_xs_debug_flip 3 "$programs/suite" random
		found
		positive reconnects resent
	fi
	lost "damaged over TCP, and not to be sent again" "${never[@]}" "${sums[@]}" \
		--mca btl_xs_debug_corrupt_tcp 200

	# The check itself.
	wrong "damaged on rings" btl-fake --mca btl_xs_debug_corrupt 100 "$programs/suite" --path xs burst
	wrong "damaged over TCP" btl --mca btl_xs_debug_corrupt_tcp 100 "$programs/suite" flood

	GUESTS=1 lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" tests/btl/damaged ||
		fail "$SUITE: events"

	# shellcheck disable=SC2016 # of another shell
	said "one wants checksums, the other does not" btl 'have different values' 0 \
		sh -c 'OMPI_MCA_btl_xs_checksum=$OMPI_COMM_WORLD_RANK exec "$@"' -
done
