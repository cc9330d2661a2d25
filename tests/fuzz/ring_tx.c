// SPDX-License-Identifier: BSD-3-Clause
/* A transmitter whose receiver is the fuzzer. */
#include "fuzz.h"

/* One call; false once the receiver has broken the protocol. */
static bool step(void)
{
	struct xsock_idx old = ring;
	enum xsock_prepared result;
	uint64_t n;
	bool ok;

	loads = 0;
	switch (take(1) % 4) {
	case 0:
		ok = xsock_tx_look(&ring, &rx);
		must(loads == 1);
		must(ok == fuzz_legal(&old));
		fuzz_after(&old, 0);
		break;
	case 1:
		n = take(2) % (xsock_free(&ring) + 1);
		fuzz_touch(ring.prod, n);
		fuzz_moved(&old, n, xsock_tx_publish(&ring, &tx, &rx, n));
		return true;
	case 2:
		n = 1 + take(2) % xsock_write_mark(&ring);
		result = xsock_tx_prepare(&ring, &tx, &rx, n);
		/* Until so much is free that n bytes are. */
		fuzz_prepared(&old, result, n - xsock_free(&ring));
		must(result != XSOCK_SLEEP || xsock_free(&ring) < n);
		ok = result != XSOCK_BROKEN;
		/* It may have believed something before the lie. */
		old = ring;
		break;
	default:
		return fuzz_adopt();
	}
	if (!ok)
		fuzz_broken(&old);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_begin(data, len, true);
	while (input_left && step())
		;
	fuzz_end();
	return 0;
}
