/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "job.h"

#define SOCKETS		"/proc/net/unix"
#define NAME		"btl-xs."
/* More than a rank ever says without an end of line. */
#define LINE_MAX_BYTES	(1 << 20)

struct gate gates[GATES];
int gate_count;
int gates_denied, gates_busy;
unsigned int gates_opened;

void say(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void fail(const char *what, int err)
{
	say("%s: %s", what, strerror(err));
	exit(EXIT_FAILURE);
}

long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int in_list(const char *list, unsigned long rank)
{
	unsigned long first, last;
	bool found = false;
	char *end;

	if (!strcmp(list, "*"))
		return 1;
	do {
		first = last = strtoul(list, &end, 10);
		if (end != list && *end == '-') {
			list = end + 1;
			last = strtoul(list, &end, 10);
		}
		if (end == list || (*end && *end != ',') || last < first)
			return -1;
		found |= first <= rank && rank <= last;
		list = end + 1;
	} while (*end);
	return found;
}

void close_gate(struct gate *g)
{
	if (g->fd >= 0)
		close(g->fd);
	free(g->text);
	g->fd = -1;
	g->text = NULL;
	g->length = 0;
}

/* A socket of somebody else's could tell us anything. */
static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) &&
	       (!geteuid() || peer.uid == geteuid());
}

/* One that has gone is as good as none: its place may be another's now. */
static bool is_open(const char *path)
{
	int i;

	for (i = 0; i < gate_count; i++)
		if (gates[i].fd >= 0 && !strcmp(gates[i].path, path))
			return true;
	return false;
}

static void open_gate(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = strrchr(path, '/');
	struct gate *g = gates;

	while (g < gates + gate_count && g->fd >= 0)
		g++;
	if (g == gates + GATES || !name || path[0] != '/' ||
	    strncmp(name + 1, NAME, strlen(NAME)) || strlen(path) >= sizeof(address.sun_path) ||
	    is_open(path))
		return;
	memset(g, 0, sizeof(*g));
	strcpy(g->path, path);
	strcpy(address.sun_path, path);
	g->directory = (size_t)(name - path);
	g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->fd < 0)
		fail("socket", errno);
	if (connect(g->fd, (struct sockaddr *)&address, sizeof(address))) {
		gates_denied += errno == EACCES || errno == EPERM;
		gates_busy += errno == EAGAIN;
		close_gate(g);
	} else if (!is_ours(g->fd)) {
		gates_denied++;
		close_gate(g);
	} else {
		g->number = ++gates_opened;
		gate_count += g == gates + gate_count;
	}
}

void open_gates(void)
{
	FILE *in = fopen(SOCKETS, "re");
	char *line = NULL, *path;
	size_t size = 0;
	unsigned int flags;

	if (!in)
		fail(SOCKETS, errno);
	while (getline(&line, &size, in) >= 0) {
		/* Num: RefCount Protocol Flags Type St Inode Path; one that listens. */
		path = strchr(line, '/');
		if (!path || sscanf(line, "%*s %*s %*s %x", &flags) != 1 || !(flags & 0x10000))
			continue;
		path[strcspn(path, "\n")] = '\0';
		open_gate(path);
	}
	free(line);
	fclose(in);
}

bool same_job(const struct gate *a, const struct gate *b)
{
	return a->directory == b->directory && !memcmp(a->path, b->path, a->directory);
}

bool gate_fill(struct gate *g)
{
	char part[4096], *text;
	ssize_t n = recv(g->fd, part, sizeof(part), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	/* For root any user may play a rank. */
	if (g->length > LINE_MAX_BYTES)
		return false;
	text = realloc(g->text, g->length + (size_t)n + 1);
	if (!text)
		fail("answer", ENOMEM);
	memcpy(text + g->length, part, (size_t)n);
	g->text = text;
	g->length += (size_t)n;
	g->text[g->length] = '\0';
	return true;
}

/* The ranks' words are printable; what is not is not for a terminal. */
char *gate_line(struct gate *g)
{
	char *end = g->length ? memchr(g->text, '\n', g->length) : NULL, *line, *c;

	if (!end)
		return NULL;
	*end = '\0';
	line = strdup(g->text);
	if (!line)
		fail("answer", ENOMEM);
	for (c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	g->length -= (size_t)(end + 1 - g->text);
	memmove(g->text, end + 1, g->length);
	return line;
}

void gate_greeted(struct gate *g)
{
	char *line = gate_line(g);
	unsigned int version;

	if (!line)
		return;
	if (sscanf(line, "xs-btlctl %u %u %u %*d %255s", &version, &g->rank, &g->size, g->job) == 4 &&
	    version == 1 && g->size <= RANKS)
		g->greeted = true;
	else
		close_gate(g);
	gates_denied += !strcmp(line, "xs-btlctl refused");
	gates_busy += !strcmp(line, "xs-btlctl busy");
	free(line);
}

int no_gate(const char *job)
{
	if (gates_busy) {
		say("the ranks here have as many tools connected as they take");
		return EXIT_TIMEOUT;
	}
	if (gates_denied) {
		say("not permitted: jobs of others are running here");
		return EXIT_DENIED;
	}
	say("no %s has a rank with the BTL xs here", job ? job : "job");
	return EXIT_NO_JOB;
}

long seconds(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 0 || value > 1000000) {
		say("'%s' is no time in seconds", text);
		exit(EXIT_USAGE);
	}
	return value;
}

const char *list(const char *text)
{
	if (in_list(text, 0) < 0) {
		say("'%s' is no list of ranks", text);
		exit(EXIT_USAGE);
	}
	return text;
}
