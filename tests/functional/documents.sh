#!/bin/bash
# Proves: what the hacking guide and the lab's document tell to type does what they say, as written.
# Lab: none
# Check: none
# Limit: 1500
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

# as_written DOCUMENT COMMAND: runs what the block with that command has, line by line.
as_written()
{
	local line lines
	mapfile -t lines < <(block "$1" "$2")
	check "$1 has '$2'" [ ${#lines[@]} -gt 0 ]
	for line in "${lines[@]}"; do
		check "$1: $line" bash -o pipefail -c "$line" < /dev/null
	done
}

# A lab of its own: the one before this test's may be there still.
lab down
export LAB_NAME=documents
unset LAB_REUSE LAB_LOGS TESTS FULL
cd "$TOP" || exit
trap 'lab down' EXIT

as_written Documentation/lab.md 'tests/lab/lab migrate'
check "the lab is down" grep -q 'is down$' <<< "$(lab status)"

# commanded DOCUMENT COMMAND: has it somewhere; it succeeds.
commanded()
{
	check "$1 has: $2" grep -q -x -F -e "$2" <<< "$(commands "$1")"
	check "$2" bash -c "$2" < /dev/null
}

as_written Documentation/hacking.md 'LAB_REUSE=1'
# "may still be loaded", it says.
tests/lab/lab ssh g1 lsmod | grep -q '^xensocket ' || tests/lab/lab ssh g1 insmod /root/xensocket.ko
commanded Documentation/hacking.md 'tests/lab/lab ssh g1 rmmod xensocket'
commanded Documentation/hacking.md 'tests/lab/lab up --fresh --hosts 1 --guests 2'
check_equal "the lab is a fresh one" "" "$(tests/lab/lab ssh g1 ls /root)"
commanded Documentation/lab.md 'LAB_REUSE=1 TESTS=userlib-trixie-pvh tests/run lab'
tests/lab/lab up --fresh --hosts 1 --guests 2
# All but the last one, which ends it.
while read -r line <&4; do
	[[ $line == *" down" ]] || check "hacking.md: $line" bash -c "$line" < /dev/null
done 4< <(block Documentation/hacking.md 'tests/lab/lab push')
check "the module works" grep -q '^domid' <<< "$(tests/lab/lab ssh g1 /root/xsctl status)"

# In a guest; the last one never ends.
while read -r line <&4; do
	status=0
	lab ssh g1 "timeout 5 sh -c '$line'" || status=$?
	check_equal "in a guest: $line" "$([[ $line == cat* ]] && echo 124 || echo 0)" "$status"
done 4< <(block Documentation/hacking.md 'cat /sys/kernel/tracing')
as_written Documentation/hacking.md 'tests/lab/lab ssh h1 xl sysrq' > "$TOP/build/sysrq"
cat "$TOP/build/sysrq"
check "a guest's tasks are on its console" grep -q 'task:.*state:' "$TOP/build/sysrq"
check "hacking.md has: w instead of t" grep -q '^.w. instead of .t. prints only those' Documentation/hacking.md
check "tests/lab/lab ssh h1 xl sysrq g1 w" tests/lab/lab ssh h1 xl sysrq g1 w
on_console()
{
	tests/lab/lab console g1 | grep -q -e "$1"
}
eventually 30 "the guest has been asked" on_console 'sysrq: Show Blocked State'
for command in 'tests/holdings h1' 'tests/reports g1 g2' 'tests/lab/lab logs' 'tests/lab/lab ssh h1 xl dmesg' \
	'tests/lab/lab console g1' 'h1:xl list' 'h1:xenstore-ls /local/domain' 'g1:xsctl list'; do
	check "hacking.md has $command" grep -q -F "\`${command#*:}\`" Documentation/hacking.md
	case $command in
	*:*) command="tests/lab/lab ssh ${command%%:*} 'PATH=\$PATH:/root; ${command#*:}'" ;;
	esac
	check "$command" bash -c "$command" < /dev/null
done
tests/lab/lab down

as_written Documentation/hacking.md 'tests/lab/lab chroot tests/btl/installed'

# The same job, for longer, under this machine's gdb, if it has one.
if command -v gdb > /dev/null && [ "$(id -u)" = 0 ]; then
	job=$(block Documentation/hacking.md 'tests/lab/lab chroot tests/btl/installed' | tail -n 1)
	bash -c "${job/--rounds 50/--rounds 1000000000}" < /dev/null > build/job 2>&1 &
	command='pgrep -x ring'
	check "hacking.md has: $command" grep -q -x -F -e "$command" <<< "$(commands Documentation/hacking.md)"
	eventually 60 "$command" bash -c "$command"
	pid=$(bash -c "$command" | head -n 1)
	command="gdb -p PID -ex 'set sysroot /proc/PID/root'"
	check "hacking.md has: $command" grep -q -x -F -e "$command" <<< "$(commands Documentation/hacking.md)"
	bash -c "${command//PID/$pid}" <<< 'thread apply all backtrace' > build/gdb 2>&1
	cat build/gdb
	check "gdb knows the program's functions, and Open MPI's" grep -q ' opal_progress\| main ' build/gdb
	# mpirun, by whatever name.
	kill "$(ps -o ppid= -p "$pid" | tr -d ' ')"
	wait
else
	echo "no gdb on this machine, or not as root: it is not tried"
fi
