#!/bin/bash
# Proves: coccinelle finds nothing in the module by the kernel's rules (locks, what is freed, iterators, null) and by ours.
# Lab: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# Rules and coccinelle of the suite that is the default: one is enough.
export SUITE=trixie
cd "$TOP" || exit
mkdir -p build
work=$(mktemp -d -p build)
trap 'rm -rf "$TOP/$work"' EXIT

# rules: names, as seen in the root with the kernel's checks. Not those that need a compiler for
# OCaml (two), and not minmax, which takes far longer than any other.
rules()
{
	lab chroot --static sh -c 'ls /src/tests/rules/*.cocci &&
		find /usr/src/linux/scripts/coccinelle -name "*.cocci" | sort |
			xargs grep -l "^virtual report" | xargs grep -L "^@.*:ocaml" | grep -v /minmax.cocci'
}

# report DIRECTORY RULE...: what the rules have to say about the code there. Each has options in
# its head.
report()
{
	# shellcheck disable=SC2016 # expanded by the inner shells
	lab chroot --static sh -c 'export CODE=$1; shift; printf "%s\n" "$@" |
		xargs -P 2 -n 1 sh -c "spatch -D report --very-quiet --no-show-diff --cocci-file \$0 \
			\$(sed -n \"s,.*Options:,,p\" \$0) /src/\$CODE 2> /dev/null || echo \"\$0 fails\""' sh "$@"
}

# What coccinelle does not understand it leaves out, and says so only if asked.
check "coccinelle reads all of the module" lab chroot --static sh -c \
	'spatch --parse-c kmod/*.c 2>&1 | grep "NB total files" | grep "pbs = 0; timeout = 0"'
mapfile -t all < <(rules)
check "there are rules" [ "${#all[@]}" -ge 60 ]
check_equal "${#all[@]} rules find nothing" "" "$(report kmod "${all[@]}")"

# The check itself.
cat > "$work/bad.c" <<- 'END'
	int bad(struct sock *sk, struct mutex *lock, size_t n)
	{
		char *p;

		mutex_lock(lock);
		p = kmalloc(n, GFP_KERNEL);
		if (!p)
			return -ENOMEM;
		mutex_unlock(lock);
		kvfree(p);
		lock_sock(sk);
		if (!n)
			return -EINVAL;
		release_sock(sk);
		kfree(sk);
		return sk->sk_err;
	}
END
found=$(report "$work" "${all[@]}")
echo "$found"
check "a mutex that stays locked is found" grep -q 'bad.c:8:.*preceding lock on line 5' <<< "$found"
check "a socket that stays locked is found" grep -q 'bad.c:13:.*socket that line 11 has locked' <<< "$found"
check "memory that is freed in another way is found" grep -q 'bad.c:10:.*kmalloc is used' <<< "$found"
check "a use after it was freed is found" grep -q 'bad.c:16:.*preceded by free on line 15' <<< "$found"
check_equal "a rule that cannot be applied is found" "/src/tests/rules/nowhere fails" \
	"$(report "$work" /src/tests/rules/nowhere)"
