/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the component counts, read as any MPI program can: performance variables of MPI_T.
 * In a job without the component there are none, and nothing is said.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTERS_PREFIX "btl_xs_"

enum { COUNTERS_MOST = 32, COUNTERS_NAME = 64 };

struct counters {
	MPI_T_pvar_session session;
	int count;
	char name[COUNTERS_MOST][COUNTERS_NAME];
	MPI_T_pvar_handle handle[COUNTERS_MOST];
	MPI_T_pvar_handle paths;	/* of peers, by rank */
	MPI_T_pvar_handle rings;
	MPI_T_enum path_names;
	int peers;			/* 0: no component */
};

static inline void counters_take(struct counters *c, int index)
{
	char name[COUNTERS_NAME], text[1024];
	int length = sizeof(name), text_length = sizeof(text), level, class, bind, ro, cont, atomic;
	MPI_Datatype type;
	MPI_T_enum names;
	int count;

	if (MPI_T_pvar_get_info(index, name, &length, &level, &class, &type, &names, text,
				&text_length, &bind, &ro, &cont, &atomic) != MPI_SUCCESS ||
	    strncmp(name, COUNTERS_PREFIX, strlen(COUNTERS_PREFIX)))
		return;
	if (!strcmp(name, COUNTERS_PREFIX "peer_path")) {
		c->path_names = names;
		MPI_T_pvar_handle_alloc(c->session, index, NULL, &c->paths, &c->peers);
	} else if (!strcmp(name, COUNTERS_PREFIX "rings")) {
		MPI_T_pvar_handle_alloc(c->session, index, NULL, &c->rings, &count);
	} else if (class == MPI_T_PVAR_CLASS_COUNTER && type == MPI_UNSIGNED_LONG_LONG &&
		   c->count < COUNTERS_MOST) {
		snprintf(c->name[c->count], COUNTERS_NAME, "%s", name + strlen(COUNTERS_PREFIX));
		MPI_T_pvar_handle_alloc(c->session, index, NULL, &c->handle[c->count++], &count);
	}
}

/* After MPI_Init. Counts from here on. */
static inline void counters_open(struct counters *c)
{
	int number, level, provided, i;

	memset(c, 0, sizeof(*c));
	/* Open MPI takes what it is told here for the whole program. */
	MPI_Query_thread(&level);
	MPI_T_init_thread(level, &provided);
	MPI_T_pvar_session_create(&c->session);
	MPI_T_pvar_get_num(&number);
	for (i = 0; i < number; i++)
		counters_take(c, i);
}

static inline uint64_t counters_read(struct counters *c, int which)
{
	unsigned long long value = 0;

	if (MPI_T_pvar_read(c->session, c->handle[which], &value) != MPI_SUCCESS) {
		fprintf(stderr, "counters: %s cannot be read\n", c->name[which]);
		exit(1);
	}
	return value;
}

static inline uint64_t counters_get(struct counters *c, const char *name)
{
	int i;

	for (i = 0; i < c->count; i++)
		if (!strcmp(c->name[i], name))
			return counters_read(c, i);
	fprintf(stderr, "counters: there is no %s\n", name);
	exit(1);
}

/* Rings that this process has with others. */
static inline unsigned int counters_rings(struct counters *c)
{
	unsigned int rings;

	if (MPI_T_pvar_read(c->session, c->rings, &rings) != MPI_SUCCESS) {
		fprintf(stderr, "counters: rings cannot be read\n");
		exit(1);
	}
	return rings;
}

/* Writes a control variable; what MPI_T says of it. */
static inline int counters_control(const char *name, int value)
{
	char full[COUNTERS_NAME];
	MPI_T_cvar_handle handle;
	int index, count, rc;

	snprintf(full, sizeof(full), COUNTERS_PREFIX "%s", name);
	if (MPI_T_cvar_get_index(full, &index) != MPI_SUCCESS ||
	    MPI_T_cvar_handle_alloc(index, NULL, &handle, &count) != MPI_SUCCESS) {
		fprintf(stderr, "counters: there is no %s\n", full);
		exit(1);
	}
	rc = MPI_T_cvar_write(handle, &value);
	MPI_T_cvar_handle_free(&handle);
	return rc;
}

/* The name of the path to a rank. */
static inline const char *counters_path(struct counters *c, int rank, char name[COUNTERS_NAME])
{
	int *paths = calloc(c->peers, sizeof(*paths)), length = COUNTERS_NAME;

	if (rank >= c->peers || !paths ||
	    MPI_T_pvar_read(c->session, c->paths, paths) != MPI_SUCCESS ||
	    MPI_T_enum_get_item(c->path_names, paths[rank], &paths[0], name, &length)) {
		fprintf(stderr, "counters: no path to %d\n", rank);
		exit(1);
	}
	free(paths);
	return name;
}

/* Says all that this process has counted, and its paths, on one line. */
static inline void counters_print(struct counters *c, int rank)
{
	char line[COUNTERS_MOST * (COUNTERS_NAME + 24)] = "", name[COUNTERS_NAME];
	size_t length = 0;
	int i;

	for (i = 0; i < c->count; i++)
		length += (size_t)snprintf(line + length, sizeof(line) - length, " %s=%llu",
					   c->name[i], (unsigned long long)counters_read(c, i));
	if (!c->count)
		return;
	printf("COUNTERS rank %d:%s paths=", rank, line);
	for (i = 0; i < c->peers; i++)
		printf("%s%s", i ? "," : "", counters_path(c, i, name));
	putchar('\n');
	fflush(stdout);
}

#endif
