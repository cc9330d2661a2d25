/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "job.h"

/* What the answers of a rank say of it. */
enum state { SILENT, TAKEN, DONE, UNDONE, BAD };

/* The one of a job through which we talk. */
static struct gate *gate_of(const struct gate *member)
{
	int i;

	for (i = 0; i < gate_count; i++)
		if (gates[i].greeted && same_job(&gates[i], member))
			return &gates[i];
	return NULL;
}

/* Is this the first of its job's? */
static bool is_first(const struct gate *g)
{
	const struct gate *other;

	for (other = gates; other < g; other++)
		if (same_job(other, g))
			return false;
	return true;
}

/* Waits until one process of each job has greeted. Who is not inside MPI does not. */
static void greet(void)
{
	long long end = now_ms() + 1000 * PATIENCE, left;
	struct pollfd pfds[GATES];
	int i, n;

	while ((left = end - now_ms()) > 0) {
		for (i = n = 0; i < gate_count; i++) {
			pfds[i].fd = gates[i].fd >= 0 && !gate_of(&gates[i]) ? gates[i].fd : -1;
			pfds[i].events = POLLIN;
			n += pfds[i].fd >= 0;
		}
		if (!n)
			break;
		if (poll(pfds, (nfds_t)gate_count, (int)left) < 0 && errno != EINTR)
			fail("poll", errno);
		for (i = 0; i < gate_count; i++)
			if (pfds[i].fd >= 0 && pfds[i].revents) {
				if (!gate_fill(&gates[i]) && !gates[i].length)
					close_gate(&gates[i]);
				else
					gate_greeted(&gates[i]);
			}
	}
}

static void ask(struct gate *g, const struct command *c)
{
	char line[4096];
	int length = snprintf(line, sizeof(line), "1 %s %s%s%s\n", c->ranks, c->verb,
			      *c->argument ? " " : "", c->argument);

	if (length >= (int)sizeof(line)) {
		say("a list is too long");
		exit(EXIT_USAGE);
	}
	if (send(g->fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		fail("the job", errno);
}

static enum state state_of(const char *word)
{
	static const char * const names[] = { "", "taken", "done", "undone" };
	int i;

	for (i = TAKEN; i <= UNDONE; i++)
		if (!strcmp(word, names[i]))
			return (enum state)i;
	return BAD;
}

/*
 * One line that has come. Questions are printed in the order of ranks at the end, so their
 * answers are kept.
 */
static void answered(struct gate *g, char *line, enum state *states, char **texts, bool question)
{
	unsigned int rank;
	char word[16];
	int length = 0;

	if (sscanf(line, "1 %u %15s %n", &rank, word, &length) != 2 || rank >= g->size)
		return;
	if (!length)
		length = (int)strlen(line);
	if (strcmp(word, "more"))
		states[rank] = state_of(word);
	if (states[rank] == BAD) {
		say("rank %u: %s", rank, line + length);
	} else if (question) {
		char *all;

		if (asprintf(&all, "%s%s%s", texts[rank] ? texts[rank] : "",
			     texts[rank] ? "\n" : "", line + length) < 0)
			fail("answer", ENOMEM);
		free(texts[rank]);
		texts[rank] = all;
	} else {
		free(texts[rank]);
		texts[rank] = strdup(line + length);
	}
}

/* How many of the ranks that were asked are not as far as @state. */
static unsigned int behind(const struct gate *g, const struct command *c, const enum state *states,
			   enum state state)
{
	unsigned int i, n = 0;

	for (i = 0; i < g->size; i++)
		n += in_list(c->ranks, i) > 0 && states[i] < state;
	return n;
}

static void print_all(const struct gate *g, const struct command *c, char **texts)
{
	unsigned int i;
	char *line, *save;

	if (c->head)
		c->head(g);
	for (i = 0; i < g->size; i++)
		for (line = texts[i] ? strtok_r(texts[i], "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save))
			c->print(c->verb, i, line);
}

/* Says who is not as far; the exit status. */
static int name_late(const struct gate *g, const struct command *c, const enum state *states,
		     char **texts, enum state state)
{
	int status = 0;
	unsigned int i;

	for (i = 0; i < g->size; i++) {
		if (in_list(c->ranks, i) <= 0)
			continue;
		if (states[i] == SILENT)
			say("rank %u has not answered", i);
		else if (states[i] == TAKEN && state > TAKEN)
			say("rank %u is not done: %s", i, texts[i]);
		else if (states[i] == UNDONE)
			say("rank %u has been released by somebody else", i);
		if (states[i] < state)
			status = EXIT_TIMEOUT;
		else if (states[i] > DONE && !status)
			status = EXIT_FAILURE;
	}
	return status;
}

/* One command to one job. */
static int command(struct gate *g, const struct command *c)
{
	/* Who does not say how long he waits is content if they have heard. */
	enum state state = c->slow && c->patience < 0 ? TAKEN : DONE;
	enum state *states = calloc(g->size, sizeof(*states));
	char **texts = calloc(g->size, sizeof(*texts)), *line;
	long long end = now_ms() + 1000LL * (c->patience < 0 ? PATIENCE : c->patience), left;
	struct pollfd pfd = { .fd = g->fd, .events = POLLIN };
	bool there = true;
	unsigned int i;
	int status;

	if (!states || !texts)
		fail("answers", ENOMEM);
	if (!behind(g, c, states, TAKEN)) {
		say("job %s has %u ranks, none of them is meant", g->job, g->size);
		free(texts);
		free(states);
		return EXIT_USAGE;
	}
	ask(g, c);
	while (behind(g, c, states, state) && (left = end - now_ms()) > 0 && there) {
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			fail("poll", errno);
		there = gate_fill(g);
		while ((line = gate_line(g))) {
			answered(g, line, states, texts, c->print);
			free(line);
		}
	}
	if (c->print)
		print_all(g, c, texts);
	/* Who does not wait does not want to know. */
	status = c->patience ? name_late(g, c, states, texts, state) : 0;
	if (!there && c->fatal) {
		status = 0;
	} else if (!there && status) {
		say("job %s has ended", g->job);
		status = EXIT_FAILURE;
	}
	for (i = 0; i < g->size; i++)
		free(texts[i]);
	free(texts);
	free(states);
	return status;
}

/* A job may have more than one directory, where guests are only played. */
static bool is_meant(const struct gate *g, struct gate **meant, int n)
{
	while (n--)
		if (!strcmp(meant[n]->job, g->job))
			return true;
	return false;
}

int do_command(const struct command *c)
{
	struct gate *g, *meant[GATES];
	int i, n = 0, silent = 0, status = 0;

	open_gates();
	if (gate_count)
		greet();
	for (i = 0; i < gate_count; i++) {
		if (!is_first(&gates[i]))
			continue;
		g = gate_of(&gates[i]);
		if (!g) {
			/* Those that have refused us are counted. */
			if (gates[i].fd >= 0) {
				say("no rank here of the job in %.*s answers: they are not in MPI",
				    (int)gates[i].directory, gates[i].path);
				silent++;
			}
		} else if ((!c->job || !strcmp(c->job, g->job)) && !is_meant(g, meant, n)) {
			meant[n++] = g;
		}
	}
	if (!n && silent)
		return EXIT_TIMEOUT;
	if (!n)
		return no_gate(c->job);
	if (n > 1 && !c->many) {
		say("there is more than one job, choose by --job:");
		for (i = 0; i < n; i++)
			say("%s", meant[i]->job);
		return EXIT_USAGE;
	}
	for (i = 0; i < n; i++) {
		int rc = command(meant[i], c);

		status = rc ? rc : status;
	}
	return status;
}
