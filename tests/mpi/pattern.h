/* SPDX-License-Identifier: BSD-3-Clause */
/* Content that follows from a seed, so that any other content shows. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Sizes spread evenly over the orders of magnitude, 0 included; less than @max. */
static inline size_t pattern_size(uint64_t seed, size_t max)
{
	unsigned int bits = 0;

	while (((size_t)2 << bits) <= max)
		bits++;
	return (seed >> 8) % (((size_t)1 << (seed % (bits + 1))));
}

static inline void pattern_fill(void *to, size_t len, uint64_t seed)
{
	unsigned char *buf = to;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		uint64_t word = mix(seed + i);

		memcpy(buf + i, &word, 8);
	}
	for (; i < len; i++)
		buf[i] = (unsigned char)mix(seed + i);
}

/* Offset of the first byte that is not the pattern's, or @len. */
static inline size_t pattern_check(const void *from, size_t len, uint64_t seed)
{
	const unsigned char *buf = from;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		uint64_t word = mix(seed + i);

		if (memcmp(buf + i, &word, 8))
			break;
	}
	/* Byte by byte where it differs, or at the end. */
	for (; i < len; i++) {
		uint64_t word = mix(seed + (i & ~(size_t)7));
		unsigned char want = (i | 7) < len ? ((unsigned char *)&word)[i & 7] :
						     (unsigned char)mix(seed + i);

		if (buf[i] != want)
			break;
	}
	return i;
}

#endif
