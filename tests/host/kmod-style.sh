#!/bin/bash
# Proves: the module has the kernel's coding style (checkpatch --strict).
# Lab: none
# Limit: 200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# style OPTION... FILE...: prints what checkpatch, of the default suite's kernel, objects to.
style()
{
	SUITE=trixie lab chroot --static perl /usr/src/linux/scripts/checkpatch.pl --strict --no-tree \
		--terse --no-summary --show-types "$@"
}

# Not heeded:
# LINUX_VERSION_CODE, CONSTANT_COMPARISON: one source serves two kernels; compat.h alone.
# CONST_STRUCT: the family's number is a parameter, set in proto_ops before registration.
# trace.h is written as all of the kernel's trace headers are.
cd "$TOP" || exit
mapfile -t files < <(printf '%s\n' kmod/*.[ch] kmod/uapi/*.h | grep -v -E '/(compat|trace)\.h$')
check "files are there" [ ${#files[@]} -ge 15 ]
check_equal "${#files[@]} files are in style" "" "$(style --ignore CONST_STRUCT --file "${files[@]}")"
check_equal "compat.h is in style" "" \
	"$(style --ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON --file kmod/compat.h)"
check_equal "trace.h is in style" "" \
	"$(style --ignore PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE --file kmod/trace.h)"

# The check itself.
mkdir -p build
bad=build/style-bad.c
printf '// SPDX-License-Identifier: GPL-2.0-only\nint bad(int a){\n\treturn(a);\n}\n' > "$bad"
check "bad style is found" grep -q OPEN_BRACE <<< "$(style --file "$bad")"
rm -f "$bad"
