/* SPDX-License-Identifier: BSD-3-Clause */
/* What fuzz targets share: their input, and what must hold. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define must(cond) do {								\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
		abort();							\
	}									\
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is left of the input. */
static const uint8_t *input;
static size_t input_left;

static uint64_t take(size_t bytes)
{
	uint64_t value = 0;

	while (bytes-- && input_left) {
		value = value << 8 | *input++;
		input_left--;
	}
	return value;
}

#endif /* FUZZ_INPUT_H */
