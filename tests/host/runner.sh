#!/bin/bash
# Proves: the test runner reports failures, empty tests, time-outs and skips for what they are.
# Lab: none
# Limit: 60
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tests/host"

make_test()
{
	printf '#!/bin/bash\n# Proves: nothing\n# Lab: none\n# Limit: 1\n%s\n' "$2" > "$root/tests/host/$1.sh"
}
make_test good 'echo "assert ok: it holds"'
make_test bad 'echo "assert FAILED: it does not"; exit 1'
make_test crash 'echo "assert ok: so far"; kill -SEGV $$'
make_test empty 'echo "no assertion"'
make_test slow 'echo "assert ok: so far"; sleep 20'
make_test absent 'echo "skipped: no such thing here"; exit 77'

status=0
out=$(TESTS="*" TESTS_ROOT="$root/tests" "$TESTS_DIR/run" host) || status=$?
echo "$out"
check_equal "failures make the run fail" 1 "$status"
check_equal "the last line counts" "1 passed, 4 failed, 1 skipped" "$(tail -n 1 <<< "$out")"
check "a failure names its assertion" grep -q '#   assert FAILED: it does not' <<< "$out"
check "a test without assertion fails" grep -q '#   it asserted nothing' <<< "$out"
check "a slow test is ended" grep -q '#   not done within 1 s' <<< "$out"
check "a skip gives its reason" grep -q '^ok .*absent # SKIP no such thing here' <<< "$out"

status=0
out=$(TESTS_ROOT="$root/tests" TESTS='host-good host-absent' "$TESTS_DIR/run" host) || status=$?
check_equal "TESTS selects" "0: 1 passed, 0 failed, 1 skipped" "$status: $(tail -n 1 <<< "$out")"
status=0
TESTS_ROOT="$root/tests" TESTS='no-such' "$TESTS_DIR/run" host > /dev/null 2>&1 || status=$?
check_equal "a pattern that matches nothing is an error" 1 "$status"
