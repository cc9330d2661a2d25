/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running jobs of Open MPI that use the BTL xs, for tools: finding them, and telling their
 * ranks something. Each process of a job has a socket in its session directory, a "gate"
 * (btl_xs/btl_xs_gate.h); one that answers passes a request on to all others.
 */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

/* Exit codes, as the manuals have them. */
#define EXIT_USAGE	2
#define EXIT_NO_JOB	3
#define EXIT_TIMEOUT	4
#define EXIT_DENIED	5

/* Seconds that ranks have to answer a question. */
#define PATIENCE	5

enum { GATES = 1024, RANKS = 1 << 20 };

struct gate {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	size_t directory;	/* length of the directory's name, which is the job's */
	int fd;			/* -1: it has refused us, or gone */
	char *text;		/* what has come and was not looked at */
	size_t length;
	bool greeted;
	bool bye;		/* its process is in MPI_Finalize */
	unsigned int rank, size;
	unsigned int number;	/* of this connection, from 1 */
	char job[256];
};

extern struct gate gates[GATES];
extern int gate_count;
extern unsigned int gates_opened;
extern int gates_denied;	/* that belong to others, or have refused us */
extern int gates_busy;		/* that have as many tools as they take */

/* On standard error, with the program's name. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *what, int err) __attribute__((noreturn));

long long now_ms(void);

/* Is @rank in a list like "*" or "0,3-5"? -1: that is no list. */
int in_list(const char *list, unsigned long rank);

/* Arguments of a program; ends it if they are wrong. */
long seconds(const char *text);
const char *list(const char *text);

/* No rank of @job, or of any, has let us in: says why, and returns the exit code. */
int no_gate(const char *job);

/* Connects to all processes in this guest that we may connect to, and are not yet. */
void open_gates(void);
void close_gate(struct gate *g);

/* Reads what there is; false: it has gone. */
bool gate_fill(struct gate *g);

/* The next line, to be freed, or NULL. */
char *gate_line(struct gate *g);

/* Looks whether its greeting has come. */
void gate_greeted(struct gate *g);

/* Are they processes of one job, as far as their places tell? */
bool same_job(const struct gate *a, const struct gate *b);

/* One command to the job, or jobs, that are meant. */
struct command {
	const char *job;	/* NULL: the only one */
	bool many;		/* ... or all */
	const char *ranks;	/* list of those that are told */
	const char *verb, *argument;
	long patience;		/* seconds, or -1 for those of a question */
	bool slow;		/* without a time to wait it is enough that they have heard */
	bool fatal;		/* the job's end is no failure */
	/* Each rank's answer, in their order, NULL: nobody wants to see them */
	void (*print)(const char *verb, unsigned int rank, const char *text);
	void (*head)(const struct gate *g);
};

/* The exit status. */
int do_command(const struct command *c);

#endif
