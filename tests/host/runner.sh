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
	printf '#!/bin/bash\n# Proves: nothing\n# Lab: none\n# Limit: %s\n%s\n' "${3:-20}" "$2" > "$root/tests/host/$1.sh"
}
# shellcheck disable=SC2016 # expanded by the test
make_test good 'echo "assert ok: it holds${PART:+, in part $PART}"'
make_test bad 'echo "assert FAILED: it does not"; exit 1'
make_test crash 'echo "assert ok: so far"; kill -SEGV $$'
make_test empty 'echo "no assertion"'
make_test slow 'echo "assert ok: so far"; sleep 20' 1
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

# Parts: each test is in one of them.
listed()
{
	PART=$1 TESTS='*' TESTS_ROOT="$root/tests" "$TESTS_DIR/run" --list host | grep -v '^ '
}
all=$(listed '')
check_equal "all tests" 6 "$(wc -l <<< "$all")"
for parts in 1 2 4; do
	out=$(for ((part = 1; part <= parts; part++)); do listed $part/$parts; done)
	check_equal "$parts parts are all of them" "$(sort <<< "$all")" "$(sort <<< "$out")"
done
check_equal "a half is a half" 3 "$(listed 2/2 | wc -l)"
for part in 0/2 3/2 1/0 1 a/b 1/2/3; do
	status=0
	PART=$part TESTS='*' TESTS_ROOT="$root/tests" "$TESTS_DIR/run" --list host > /dev/null 2>&1 || status=$?
	check_equal "PART=$part is wrong usage" 2 "$status"
done
PART=1/1 TESTS_ROOT="$root/tests" TESTS="host-good" "$TESTS_DIR/run" host > "$root/log"
check_equal "the test itself knows nothing of it" "assert ok: it holds" "$(cat "$root/build/logs/host-good/output")"
status=0
out=$(PART=7/9 TESTS='*' TESTS_ROOT="$root/tests" "$TESTS_DIR/run" host 2>&1) || status=$?
check_equal "a part without a test is an error" 1 "$status"

# What a test on Xen leaves behind. Instead of a lab: what would be seen of one, before
# and after.
mkdir -p "$root/tests/functional" "$root/tests/lab"
# shellcheck disable=SC2016 # expanded by the stubs
printf '#!/bin/bash\n# Proves: nothing\n# Lab: hosts=1 guests=2\n# Limit: 9\n! rm "$SEEN/fail" 2> /dev/null || { echo "assert FAILED: it holds"; exit 1; }\necho "assert ok: it holds"\nmv "$SEEN/now" "$SEEN/then"\n' \
	> "$root/tests/functional/some.sh"
# shellcheck disable=SC2016 # likewise
printf '#!/bin/bash\n[ "$1" != logs ] || cp "$SEEN/console" "$2" 2> /dev/null\n[ "$1" = up ] || exit 0\nfor next in "$SEEN"/up.*; do [ ! -e "$next" ] || mv "$next" "$SEEN/now"; exit 0; done\n' > "$root/tests/lab/lab"
# shellcheck disable=SC2016 # likewise
printf '#!/bin/bash\n[ -e "$SEEN/now" ] && cat "$SEEN/now" || cat "$SEEN/after"\n' > "$root/tests/holdings"
# shellcheck disable=SC2016 # likewise
printf '#!/bin/bash\ncat "$SEEN/reports"\n' > "$root/tests/reports"
chmod +x "$root/tests/lab/lab" "$root/tests/holdings" "$root/tests/reports"
export SEEN=$root TESTS_LINGER=1

# leaves TEXT WANT AFTER REPORTS: what the runner says when that is seen after the test.
leaves()
{
	local out
	printf 'g1 interrupts 5\ng1 grant-references 519\ng2 interrupts 5\n' > "$root/now"
	printf %b "$3" > "$root/after"
	printf %b "$4" > "$root/reports"
	out=$(TESTS_ROOT="$root/tests" SUITES=trixie TESTS='some-*' LAB_REUSE=1 "$TESTS_DIR/run" lab)
	echo "$out"
	check "$1" grep -q -x -- "$2" <<< "$out"
}
same='g1 interrupts 5\ng1 grant-references 519\n'
leaves "nothing left behind" '1 passed, 0 failed, 0 skipped' "${same}g2 interrupts 5\n" ''
leaves "a guest that is gone holds nothing" '1 passed, 0 failed, 0 skipped' "$same" ''
leaves "a leak is found" '#   it leaves something behind: g1 grant-references: 519 before, 520 after' \
	'g1 interrupts 5\ng1 grant-references 520\n' ''
leaves "fewer references are no leak" '1 passed, 0 failed, 0 skipped' \
	'g1 interrupts 5\ng1 grant-references 89\n' ''
leaves "fewer of another thing are told of" \
	'#   it leaves something behind: g1 interrupts: 5 before, 4 after' \
	'g1 interrupts 4\ng1 grant-references 519\n' ''
leaves "what was not measured is no equality" \
	'#   it leaves something behind: g1 grant-references: 519 before,  after' 'g1 interrupts 5\n' ''
leaves "a guest that does not answer is told of" \
	'#   it leaves something behind: g2 does not answer; g2 interrupts: 5 before,  after' \
	"${same}g2 answers-not 1\n" ''
leaves "it is told why" '#   it leaves something behind: g2 does not answer (probe not hit); g2 interrupts: 5 before,  after' \
	"${same}g2 answers-not 1 probe not hit\n" ''
leaves "a complaint of a kernel is told of" '#   a kernel complains: g1: WARNING: it is so' \
	"${same}g2 interrupts 5\n" 'g1: WARNING: it is so\n'

# A guest that cannot be counted before the test.
uncounted()
{
	printf 'g1 interrupts 5\ng1 grant-references 519\n' | tee "$root/up.2" > "$root/after"
	printf 'g1 interrupts 5\ng1 answers-not 1 so it is\n' > "$root/up.1"
	: > "$root/reports"
	TESTS_ROOT="$root/tests" SUITES=trixie TESTS='some-*' "$TESTS_DIR/run" lab
}
out=$(uncounted)
echo "$out"
check "another lab for a guest that could not be counted" \
	grep -q -x '1 passed, 0 failed, 0 skipped' <<< "$out"
check "which is told of" \
	grep -q -x '# some-trixie: before it (try 1), g1 answers-not 1 so it is' <<< "$out"
out=$(LAB_REUSE=1 uncounted)
echo "$out"
check "not if the lab is to be taken as it is" \
	grep -q -x '#   no lab: before the test, g1 answers-not 1 so it is' <<< "$out"

# fails_once CONSOLE: a test that fails the first time, and what a guest has said then.
fails_once()
{
	printf 'g1 interrupts 5\ng1 grant-references 519\n' | tee "$root/up.1" "$root/up.2" > "$root/after"
	: > "$root/fail"
	echo "$1" > "$root/console"
	TESTS_ROOT="$root/tests" SUITES=trixie TESTS='some-*' "$TESTS_DIR/run" lab
	rm -f "$root"/up.* "$root/console"
}
out=$(fails_once '[  150.9] RSP: 0018:ffffc9000067b930 EFLAGS: 07cac642')
echo "$out"
check "once more if the emulator has failed" grep -q -x '1 passed, 0 failed, 0 skipped' <<< "$out"
check "which is told of" grep -q 'once more, as the emulator has failed: .*EFLAGS: 07cac642' <<< "$out"
check "and why" grep -q -x '# some-trixie: assert FAILED: it holds' <<< "$out"
for flags in 00010246 00250286; do
	out=$(fails_once "[  150.9] RSP: 0018:ffffc9000067b930 EFLAGS: $flags")
	check "not if a kernel has" grep -q -x '0 passed, 1 failed, 0 skipped' <<< "$out"
done
