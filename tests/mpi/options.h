/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of the MPI programs: --NAME VALUE into variables, as a table says. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { OPTIONS_MOST = 15 };

/**
 * struct value - an option
 * @name: without the dashes; NULL ends a table
 * @type: of the variable, and how its text is read
 * @to: size_t or uint64_t, double, const char *; bool for a FLAG, which has no value
 */
struct value {
	const char *name;
	enum { NUMBER, REAL, TEXT, FLAG } type;
	void *to;
};

/* False if the command line has others. optind is then the first argument behind them. */
static inline bool options_read(int argc, char **argv, const struct value *values)
{
	struct option options[OPTIONS_MOST + 1] = { { 0 } };
	int i, opt;

	_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a NUMBER may be either");
	for (i = 0; i < OPTIONS_MOST && values[i].name; i++) {
		options[i].name = values[i].name;
		options[i].has_arg = values[i].type == FLAG ? no_argument : required_argument;
		options[i].val = i + 1;
	}
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt > OPTIONS_MOST)
			return false;
		switch (values[opt - 1].type) {
		case NUMBER:
			*(uint64_t *)values[opt - 1].to = strtoull(optarg, NULL, 0);
			break;
		case REAL:
			*(double *)values[opt - 1].to = strtod(optarg, NULL);
			break;
		case TEXT:
			*(const char **)values[opt - 1].to = optarg;
			break;
		case FLAG:
			*(bool *)values[opt - 1].to = true;
			break;
		}
	}
	return true;
}

#endif
