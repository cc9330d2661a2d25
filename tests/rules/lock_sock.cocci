// SPDX-License-Identifier: BSD-3-Clause
/// The kernel's rules for locks know neither lock_sock() nor a return without a condition.
virtual report

@locked exists@
expression sk;
position p, r;
@@

lock_sock@p(sk);
... when != release_sock(sk)
return@r ...;

@script:python depends on report@
p << locked.p;
r << locked.r;
@@

coccilib.report.print_report(r[0], "the socket that line %s has locked" % p[0].line)
