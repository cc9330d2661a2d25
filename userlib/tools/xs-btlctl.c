/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xs-btlctl: look at the paths of running Open MPI jobs that use the BTL xs, hold them on
 * TCP and release them.
 *
 * Each process of a job has a socket (btl_xs/btl_xs_gate.h) in its session directory. One
 * that answers, a "gate", is enough: it passes the request on to all others.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

/* Exit codes, as the manual has them. */
#define EXIT_USAGE	2
#define EXIT_NO_JOB	3
#define EXIT_TIMEOUT	4
#define EXIT_DENIED	5

#define SOCKETS		"/proc/net/unix"
#define NAME		"btl-xs."

/* Seconds that ranks have to answer a question. */
#define PATIENCE	5

enum { GATES = 1024, RANKS = 1 << 20 };

/* What the answers of a rank say of it. */
enum state { SILENT, TAKEN, DONE, UNDONE, BAD };

struct gate {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	size_t directory;	/* length of the directory's name, which is the job's */
	int fd;
	char *text;		/* what has come and was not looked at */
	size_t length;
	bool greeted;
	unsigned int rank, size;
	char job[256];
};

static struct gate gates[GATES];
static int gate_count;
static int denied;		/* sockets of others */
static const char *wanted_job, *ranks = "*", *peers = "";
static long patience = -1;
static bool each_peer;

static void usage(FILE *to)
{
	fputs("Usage: xs-btlctl [OPTION...] list | counters | hold | release | quiesce | resume\n"
	      "\n"
	      "  list      ranks of the jobs that have one in this guest, and their paths\n"
	      "  counters  what each rank has counted; with --each-peer, also for each peer\n"
	      "  hold      keep ranks, or pairs of them, on TCP\n"
	      "  release   the opposite\n"
	      "  quiesce   keep all on TCP, until resume, for one who saves or replaces what\n"
	      "            lies below; hold and release do not change that\n"
	      "  resume    the opposite\n"
	      "\n"
	      "  -j, --job NAME      needed if there is more than one\n"
	      "  -r, --ranks RANKS   these are told, as 0,3-5 (default: all)\n"
	      "  -p, --peers RANKS   for hold and release: only their paths to these\n"
	      "  -e, --each-peer     for counters\n"
	      "  -w, --wait SECONDS  wait so long: hold and quiesce, until all rings are closed\n"
	      "                      (default: 5, until all have heard); 0: do not wait\n"
	      "  -h, --help          this text\n"
	      "  -V, --version       version\n"
	      "\n"
	      "Exit status: 0 done; 1 another error; 2 wrong usage; 3 no such job has a rank\n"
	      "here; 4 not done in time, by the ranks that are named; 5 not permitted.\n", to);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	fputs("xs-btlctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void __attribute__((noreturn)) fail(const char *what, int err)
{
	say("%s: %s", what, strerror(err));
	exit(EXIT_FAILURE);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Is @rank in a list like "*" or "0,3-5"? -1: that is no list. */
static int in_list(const char *list, unsigned long rank)
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

static void close_gate(struct gate *g)
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

static void open_gate(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct gate *g = &gates[gate_count];
	const char *name = strrchr(path, '/');

	if (gate_count == GATES || !name || path[0] != '/' ||
	    strncmp(name + 1, NAME, strlen(NAME)) || strlen(path) >= sizeof(address.sun_path))
		return;
	memset(g, 0, sizeof(*g));
	strcpy(g->path, path);
	strcpy(address.sun_path, path);
	g->directory = (size_t)(name - path);
	g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->fd < 0)
		fail("socket", errno);
	if (connect(g->fd, (struct sockaddr *)&address, sizeof(address))) {
		denied += errno == EACCES || errno == EPERM;
		close_gate(g);
	} else if (!is_ours(g->fd)) {
		denied++;
		close_gate(g);
	} else {
		gate_count++;
	}
}

/* All processes' sockets in this guest that we may connect to. */
static void open_gates(void)
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

static bool same_job(const struct gate *a, const struct gate *b)
{
	return a->directory == b->directory && !memcmp(a->path, b->path, a->directory);
}

/* Reads what there is; false: it has gone. */
static bool fill(struct gate *g)
{
	char part[4096], *text;
	ssize_t n = recv(g->fd, part, sizeof(part), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	text = realloc(g->text, g->length + (size_t)n + 1);
	if (!text)
		fail("answer", ENOMEM);
	memcpy(text + g->length, part, (size_t)n);
	g->text = text;
	g->length += (size_t)n;
	g->text[g->length] = '\0';
	return true;
}

/* The next line, to be freed, or NULL. */
static char *take_line(struct gate *g)
{
	char *end = g->length ? memchr(g->text, '\n', g->length) : NULL, *line;

	if (!end)
		return NULL;
	*end = '\0';
	line = strdup(g->text);
	if (!line)
		fail("answer", ENOMEM);
	g->length -= (size_t)(end + 1 - g->text);
	memmove(g->text, end + 1, g->length);
	return line;
}

static void greeted(struct gate *g)
{
	char *line = take_line(g);
	unsigned int version;

	if (!line)
		return;
	if (sscanf(line, "xs-btlctl %u %u %u %*d %255s", &version, &g->rank, &g->size, g->job) == 4 &&
	    version == 1 && g->size <= RANKS)
		g->greeted = true;
	else
		close_gate(g);
	denied += !strcmp(line, "xs-btlctl refused");
	free(line);
}

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
				if (!fill(&gates[i]) && !gates[i].length)
					close_gate(&gates[i]);
				else
					greeted(&gates[i]);
			}
	}
}

static void ask(struct gate *g, const char *verb, const char *argument)
{
	char line[4096];
	int length = snprintf(line, sizeof(line), "1 %s %s%s%s\n", ranks, verb,
			      *argument ? " " : "", argument);

	if (length >= (int)sizeof(line)) {
		say("a list is too long");
		exit(EXIT_USAGE);
	}
	if (send(g->fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		fail("the job", errno);
}

/* A word of an answer, as "NAME=VALUE", for a table; "-" if it is not there. */
static void column(const char *text, const char *name, int width)
{
	size_t length = strlen(name);
	const char *at = text;

	while (at && (strncmp(at, name, length) || at[length] != '=')) {
		at = strchr(at, ' ');
		at += at != NULL;
	}
	if (at)
		printf("  %-*.*s", width, (int)strcspn(at + length + 1, " "), at + length + 1);
	else
		printf("  %-*s", width, "-");
}

static void print(const char *verb, unsigned int rank, const char *text)
{
	if (!strcmp(verb, "counters")) {
		printf("%u %s\n", rank, text);
	} else {
		printf("%4u", rank);
		column(text, "host", 12);
		column(text, "pid", 7);
		column(text, "domain", 6);
		column(text, "held", 12);
		column(text, "rings", 5);
		column(text, "paths", 0);
		putchar('\n');
	}
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
static unsigned int behind(struct gate *g, const enum state *states, enum state state)
{
	unsigned int i, n = 0;

	for (i = 0; i < g->size; i++)
		n += in_list(ranks, i) > 0 && states[i] < state;
	return n;
}

static void print_all(struct gate *g, const char *verb, char **texts)
{
	unsigned int i;
	char *line, *save;

	if (!strcmp(verb, "status"))
		printf("job %s, %u ranks\n%4s  %-12s  %-7s  %-6s  %-12s  %-5s  %s\n", g->job, g->size,
		       "rank", "host", "pid", "domain", "held", "rings", "paths");
	for (i = 0; i < g->size; i++)
		for (line = texts[i] ? strtok_r(texts[i], "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save))
			print(verb, i, line);
}

/* Says who is not as far; the exit status. */
static int name_late(struct gate *g, const enum state *states, char **texts, enum state state)
{
	int status = 0;
	unsigned int i;

	for (i = 0; i < g->size; i++) {
		if (in_list(ranks, i) <= 0)
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
static int command(struct gate *g, const char *verb, const char *argument)
{
	bool slow = !strcmp(verb, "hold") || !strcmp(verb, "quiesce");
	bool question = !strcmp(verb, "status") || !strcmp(verb, "counters");
	/* Without --wait it is enough that they have heard. */
	enum state state = slow && patience < 0 ? TAKEN : DONE;
	enum state *states = calloc(g->size, sizeof(*states));
	char **texts = calloc(g->size, sizeof(*texts)), *line;
	long long end = now_ms() + 1000LL * (patience < 0 ? PATIENCE : patience), left;
	struct pollfd pfd = { .fd = g->fd, .events = POLLIN };
	bool there = true;
	unsigned int i;
	int status;

	if (!states || !texts)
		fail("answers", ENOMEM);
	if (!behind(g, states, TAKEN)) {
		say("job %s has %u ranks, none of them is meant", g->job, g->size);
		free(states);
		free(texts);
		return EXIT_USAGE;
	}
	ask(g, verb, argument);
	while (behind(g, states, state) && (left = end - now_ms()) > 0 && there) {
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			fail("poll", errno);
		there = fill(g);
		while ((line = take_line(g))) {
			answered(g, line, states, texts, question);
			free(line);
		}
	}
	if (question)
		print_all(g, verb, texts);
	/* Who does not wait does not want to know. */
	status = patience ? name_late(g, states, texts, state) : 0;
	if (!there && status) {
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

/* To the job, or jobs, that are meant. */
static int do_command(const char *verb, const char *argument, bool many)
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
		} else if ((!wanted_job || !strcmp(wanted_job, g->job)) && !is_meant(g, meant, n)) {
			meant[n++] = g;
		}
	}
	if (!n && silent)
		return EXIT_TIMEOUT;
	if (!n && denied) {
		say("not permitted: jobs of others are running here");
		return EXIT_DENIED;
	}
	if (!n) {
		say("no %s has a rank with the BTL xs here", wanted_job ? wanted_job : "job");
		return EXIT_NO_JOB;
	}
	if (n > 1 && !many) {
		say("there is more than one job, choose by --job:");
		for (i = 0; i < n; i++)
			say("%s", meant[i]->job);
		return EXIT_USAGE;
	}
	for (i = 0; i < n; i++) {
		int rc = command(meant[i], verb, argument);

		status = rc ? rc : status;
	}
	return status;
}

static long seconds(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 0 || value > 1000000) {
		say("'%s' is no time in seconds", text);
		exit(EXIT_USAGE);
	}
	return value;
}

static const char *list(const char *text)
{
	if (in_list(text, 0) < 0) {
		say("'%s' is no list of ranks", text);
		exit(EXIT_USAGE);
	}
	return text;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "job", required_argument, NULL, 'j' },
		{ "ranks", required_argument, NULL, 'r' },
		{ "peers", required_argument, NULL, 'p' },
		{ "each-peer", no_argument, NULL, 'e' },
		{ "wait", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *verb;
	int c, status = -1;

	while ((c = getopt_long(argc, argv, "j:r:p:ew:hV", options, NULL)) != -1)
		switch (c) {
		case 'j':
			wanted_job = optarg;
			break;
		case 'r':
			ranks = list(optarg);
			break;
		case 'p':
			peers = list(optarg);
			break;
		case 'e':
			each_peer = true;
			break;
		case 'w':
			patience = seconds(optarg);
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("xs-btlctl (libxensocket) " XSOCK_LIB_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	verb = argc - optind == 1 ? argv[optind] : "";
	if (!strcmp(verb, "hold") || !strcmp(verb, "release"))
		status = each_peer ? -1 : do_command(verb, peers, false);
	else if (*peers)
		;
	else if (!strcmp(verb, "counters"))
		status = do_command(verb, each_peer ? "peers" : "", true);
	else if (each_peer)
		;
	else if (!strcmp(verb, "list"))
		status = do_command("status", "", true);
	else if ((!strcmp(verb, "quiesce") || !strcmp(verb, "resume")) && !strcmp(ranks, "*"))
		status = do_command(verb, "", false);
	if (status < 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (fflush(stdout)) {
		perror("xs-btlctl: standard output");
		return EXIT_FAILURE;
	}
	return status;
}
