#!/bin/bash
# Proves: large messages are got with one copy, and whatever happens in the middle of gets costs no byte, on one machine.
# Lab: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# none COUNTER: asserts that it has counted nothing.
none()
{
	check_equal "$SUITE: $1" 0 "$(total "$1")"
}

get=(--mca btl_xs_get_size 20000)

SUITES=${SUITES:-trixie bookworm}
# Between guests the like of it is run each day, of Debian 13.
[ -n "${FULL:-}" ] || SUITES=${SUITES#trixie }
for SUITE in $SUITES; do
	export SUITE
	prepare
	large=("$programs/suite" --size 3000000)

	# Not truncate: ob1 gets a message as long as it is, also over Open MPI's sm.
	suite "large messages" btl-fake 2 "${get[@]}" "${large[@]}" sizes random flood collectives datatypes probe \
		wildcard cancel modes backlog
	positive gets get_bytes
	none gets_failed
	suite "... one-sided" btl-fake 3 "${onesided[@]}" "${get[@]}" "${large[@]}" onesided
	suite "... under threads" btl-fake 2 "${get[@]}" "${large[@]}" threads random
	FAKEXEN_PV=1 suite "... where receivers cannot map" btl-fake 2 "${get[@]}" "${large[@]}" random sizes
	positive gets

	FAKEXEN_GETFAIL=5 suite "some cannot be got" btl-fake 3 "${get[@]}" "${large[@]}" random sizes collectives
	positive gets gets_failed
	FAKEXEN_GETFAIL=100 suite "none can be got" btl-fake 2 "${get[@]}" "${large[@]}" random sizes datatypes
	positive gets_failed
	none gets

	export FAKEXEN_EPOCH_MS=15
	suite "domains migrate at random" btl-fake 3 "${get[@]}" "${large[@]}" random sizes collectives
	positive gets fallbacks
	suite "... under threads" btl-fake 2 "${get[@]}" "${large[@]}" threads random
	suite "... and the wire is chosen anew" btl-fake 2 "${get[@]}" --mca btl_xs_debug_flip 3 "${large[@]}" \
		--seconds 5 random
	positive gets gets_failed
	unset FAKEXEN_EPOCH_MS

	# Not unless both want it, and not without checksums for who wants those.
	suite "by default" btl-fake 2 "${large[@]}" random sizes
	none gets
	none gets_failed
	# shellcheck disable=SC2016 # of another shell
	suite "one wants it, the other does not" btl-fake 2 \
		sh -c 'OMPI_MCA_btl_xs_get_size=$((OMPI_COMM_WORLD_RANK * 20000)) exec "$@"' - "${large[@]}" random sizes
	none gets
	none gets_failed
	suite "checksums" btl-fake 2 "${get[@]}" --mca btl_xs_checksum 1 "${large[@]}" random
	none gets

	# The check itself.
	job btl-fake 2 "${get[@]}" "${large[@]}" --corrupt random
	[ "$status" != 0 ] || fail "$SUITE: a damaged byte went unnoticed"
	check "$SUITE: a damaged byte is found" grep -a -q 'SUITE BAD .* wrong content' <<< "$out"
done
