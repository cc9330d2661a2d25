// SPDX-License-Identifier: BSD-3-Clause
/* A receiver whose transmitter is the fuzzer. */
#include "fuzz.h"

/* One call; false once the transmitter has broken the protocol. */
static bool step(void)
{
	struct xsock_idx old = ring;
	enum xsock_prepared result;
	uint64_t n;
	bool ok;

	loads = 0;
	switch (take(1) % 5) {
	case 0:
		ok = xsock_rx_look(&ring, &tx);
		must(loads == 1);
		must(ok == fuzz_legal(&old));
		fuzz_after(&old, 0);
		break;
	case 1:
		n = take(2) % (xsock_used(&ring) + 1);
		fuzz_touch(ring.cons, n);
		fuzz_moved(&old, n, xsock_rx_consume(&ring, &rx, &tx, n));
		return true;
	case 2:
		n = 1 + take(2) % xsock_read_mark(&ring);
		result = xsock_rx_prepare(&ring, &rx, &tx, n);
		fuzz_prepared(&old, result, n - xsock_used(&ring));
		must(result != XSOCK_SLEEP || xsock_used(&ring) < n);
		ok = result != XSOCK_BROKEN;
		old = ring;
		break;
	case 3:
		n = 1 + take(2) % xsock_read_mark(&ring);
		result = xsock_rx_watch(&ring, &rx, &tx, n);
		fuzz_prepared(&old, result, n - xsock_used(&ring));
		must(result != XSOCK_SLEEP || xsock_used(&ring) < n);
		ok = result != XSOCK_BROKEN;
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
	fuzz_begin(data, len, false);
	while (input_left && step())
		;
	fuzz_end();
	return 0;
}
