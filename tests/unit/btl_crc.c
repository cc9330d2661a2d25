// SPDX-License-Identifier: BSD-3-Clause
/*
 * The checksum of frames: values that others have published, and both ways to compute it
 * against one that is too slow to be wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "btl_xs_crc.c"
#include "tap.h"

static uint32_t model(uint32_t crc, const unsigned char *at, size_t size)
{
	crc = ~crc;
	while (size--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* RFC 3720, B.4, and the usual check value. */
static void test_known(mca_btl_xs_crc_fn_t run, const char *how)
{
	unsigned char bytes[32];
	int i;

	memset(bytes, 0, sizeof(bytes));
	tap(run(0, bytes, 32) == 0x8a9136aau, "%s: 32 zeroes", how);
	memset(bytes, 0xff, sizeof(bytes));
	tap(run(0, bytes, 32) == 0x62a8ab43u, "%s: 32 ones", how);
	for (i = 0; i < 32; i++)
		bytes[i] = i;
	tap(run(0, bytes, 32) == 0x46dd794eu, "%s: 0 to 31", how);
	tap(run(0, "123456789", 9) == 0xe3069283u, "%s: 1 to 9", how);
}

static void test_model(mca_btl_xs_crc_fn_t run, const char *how)
{
	static unsigned char bytes[600];
	int bad = 0, i;

	for (i = 0; i < (int)sizeof(bytes); i++)
		bytes[i] = rand();
	for (i = 0; i < 3000; i++) {
		size_t at = rand() % 16, size = rand() % 500, part = size ? rand() % size : 0;
		uint32_t want = model(0, bytes + at, size);

		bad += run(0, bytes + at, size) != want;
		bad += run(run(0, bytes + at, part), bytes + at + part, size - part) != want;
	}
	tap(!bad, "%s: as the model, in one piece and in two", how);
}

/* Each bit counts. */
static void test_bits(void)
{
	unsigned char data[64] = { 1, 2, 3 };
	uint32_t want = mca_btl_xs_crc(0, data, sizeof(data));
	int unseen = 0;

	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= 1 << bit % 8;
		unseen += mca_btl_xs_crc(0, data, sizeof(data)) == want;
		data[bit / 8] ^= 1 << bit % 8;
	}
	tap(!unseen, "the one that is used: each bit counts");
	tap(mca_btl_xs_crc(0, "123456789", 9) == 0xe3069283u, "the one that is used: 1 to 9");
}

int main(void)
{
	mca_btl_xs_crc_fn_t processor = mca_btl_xs_crc_by_processor();

	test_known(mca_btl_xs_crc_by_table(), "table");
	test_model(mca_btl_xs_crc_by_table(), "table");
	if (processor) {
		test_known(processor, "processor");
		test_model(processor, "processor");
	}
	test_bits();
	return tap_done();
}
