/* SPDX-License-Identifier: BSD-3-Clause */
/* What tools that talk to running jobs make of what a process says that plays a rank. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../userlib/job/job.h"
#include "tap.h"

static void says(struct gate *g, const char *text)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) ||
	    write(fd[1], text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd[1]);
	memset(g, 0, sizeof(*g));
	g->fd = fd[0];
}

static void greets(const char *text, bool good, const char *what)
{
	struct gate g;

	says(&g, text);
	gate_fill(&g);
	gate_greeted(&g);
	tap(g.greeted == good && (good || g.fd < 0), "%s", what);
	close_gate(&g);
}

int main(void)
{
	static char much[65536];
	struct gate g;
	char *line = NULL;
	int fd[2], n = 0;

	greets("xs-btlctl 1 0 4 77 job\n", true, "a greeting");
	greets("xs-btlctl 2 0 4 77 job\n", false, "another version");
	greets("xs-btlctl 1 0 4294967295 77 job\n", false, "too many ranks");
	greets("xs-btlctl refused\n", false, "a refusal");
	tap(gates_denied == 1, "which is counted");

	says(&g, "1 0 done a\033[2Jb\r\177c\xc3\xa4\nrest");
	tap(gate_fill(&g) && (line = gate_line(&g)) && !strcmp(line, "1 0 done a?[2Jb??c\xc3\xa4"),
	    "nothing for a terminal");
	free(line);
	tap(!gate_line(&g) && !gate_fill(&g), "half a line is none");
	close_gate(&g);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		exit(1);
	memset(&g, 0, sizeof(g));
	g.fd = fd[0];
	memset(much, 'x', sizeof(much));
	do
		n += (int)send(fd[1], much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	while (gate_fill(&g) && n < 1000);
	tap(n < 1000, "a line without end comes to one");
	close_gate(&g);
	close(fd[1]);
	return tap_done();
}
