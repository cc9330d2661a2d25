/* SPDX-License-Identifier: BSD-3-Clause */
/* What ring.h asks of the kernel, in the fuzzer's hands: every access is a call. */
#define READ_ONCE(x)			((__typeof__(x))fuzz_load(&(x), sizeof(x)))
#define WRITE_ONCE(x, v)		fuzz_store(&(x), sizeof(x), (v))
