/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xs-events: show the fault events of running Open MPI jobs that use the BTL xs, as they
 * happen, or throw one to them.
 *
 * A rank of this guest tells its events itself; that its socket closes without a farewell is
 * how its death is noticed. Ranks of other guests tell theirs through one of this guest.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

#include "../job/job.h"

/* After so many events a rank is told that they have been read: half of those that it sends
 * without hearing that.
 */
enum { AHEAD = 8, RESCAN_MS = 1000 };

/* What is known of a rank's events. */
struct rank {
	struct gate *via;	/* tells them, or NULL */
	unsigned long last;	/* number of the last one that has come */
	unsigned long told;	/* ... of which the rank knows that it has */
	bool asked;		/* it has been asked again for those that are missing */
	bool ended;
	char *host;
};

struct job {
	struct job *next;
	char name[256];
	unsigned int size;
	bool late;		/* it has begun after us */
	struct rank *ranks;
};

struct event {
	char name[64], severity[16], host[256], peer[64], peer_host[256], transport[16];
	char reason[256];
	unsigned long number;	/* 0: not the rank's own */
	unsigned long lost;
	time_t time;
	long ms;
};

static struct job *jobs;
static const char *wanted_job, *ranks = "*", *names;
static bool json, past, wait_for_jobs;
static unsigned long wanted, printed;
static unsigned int first_gates;	/* that were there when we began */

static void usage(FILE *to)
{
	fputs("Usage: xs-events [OPTION...]\n"
	      "       xs-events --throw EVENT [OPTION...]\n"
	      "\n"
	      "Shows the events of MPI jobs that have a rank in this guest, a line for each, until\n"
	      "these end; or throws one to a job: NODE_MIGRATE, IFACE_DEAD, IFACE_RESTORED,\n"
	      "JOB_ABORT or JOB_RESUME.\n"
	      "\n"
	      "  -j, --job NAME        only this one\n"
	      "  -r, --ranks RANKS     only these, as 0,3-5\n"
	      "  -e, --events NAMES    only these, as MPI_IFACE_DEAD,MPI_RANK_DEAD\n"
	      "  -J, --json            each as an object of JSON\n"
	      "  -a, --all             begin with those that ranks still know of\n"
	      "  -w, --wait            also jobs that are not there yet, for ever\n"
	      "  -c, --count N         end after so many\n"
	      "  -t, --timeout SECONDS end after so long; --throw: how long to wait until ranks\n"
	      "                        have done what it means (default: 5, until they have heard)\n"
	      "  -T, --throw EVENT\n"
	      "  -p, --peers RANKS     with IFACE_DEAD and IFACE_RESTORED: only paths to these\n"
	      "  -H, --host NAME       with NODE_MIGRATE: only the ranks there\n"
	      "  -h, --help            this text\n"
	      "  -V, --version         version\n"
	      "\n"
	      "Exit status: 0 done, or the jobs have ended; 1 another error; 2 wrong usage; 3 no\n"
	      "such job has a rank here; 4 not so many, or not done, in time; 5 not permitted.\n", to);
}

/* ---- printing ---- */

static void print_string(const char *key, const char *text)
{
	printf(",\"%s\":", key);
	if (!strcmp(text, "-")) {
		fputs("null", stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* A rank of the same job is a number, one of another job has a longer name. */
static void print_peer(const char *peer)
{
	if (*peer && !peer[strspn(peer, "0123456789")])
		printf(",\"peer\":%s", peer);
	else
		print_string("peer", peer);
}

static bool is_named(const char *name)
{
	size_t length = strlen(name);
	const char *at = names;

	while (at) {
		if (!strncmp(at, name, length) && (!at[length] || at[length] == ','))
			return true;
		at = strchr(at, ',');
		at += at != NULL;
	}
	return !names;
}

static void print(const struct job *job, unsigned int rank, const struct event *e)
{
	char when[32];
	struct tm tm;

	/* That something is missing is no event, but nobody is to miss it. */
	if (!e->lost && !is_named(e->name))
		return;
	gmtime_r(&e->time, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	if (json) {
		printf("{\"time\":\"%s.%03ldZ\"", when, e->ms);
		print_string("event", e->name);
		print_string("severity", e->severity);
		print_string("job", job->name);
		printf(",\"rank\":%u", rank);
		if (e->number)
			printf(",\"number\":%lu", e->number);
		else
			printf(",\"number\":null");
		print_string("host", e->host);
		print_peer(e->peer);
		print_string("peer_host", e->peer_host);
		print_string("transport", e->transport);
		print_string("reason", e->reason);
		if (e->lost)
			printf(",\"count\":%lu", e->lost);
		puts("}");
	} else {
		printf("%s.%03ldZ %s job=%s rank=%u", when, e->ms, e->name, job->name, rank);
		if (e->number)
			printf(" number=%lu", e->number);
		printf(" host=%s peer=%s peer_host=%s transport=%s reason=%s", e->host, e->peer,
		       e->peer_host, e->transport, e->reason);
		if (e->lost)
			printf(" count=%lu", e->lost);
		putchar('\n');
	}
	if (fflush(stdout))
		fail("standard output", errno);
	printed += !e->lost;
	if (wanted && printed == wanted)
		exit(0);
}

/* An event that the rank itself cannot tell. */
static void print_own(const struct job *job, unsigned int rank, const char *name,
		      const char *severity, const char *reason, unsigned long lost)
{
	struct event e = { .peer = "-", .peer_host = "-", .transport = "-", .lost = lost };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	e.time = now.tv_sec;
	e.ms = now.tv_nsec / 1000000;
	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.severity, sizeof(e.severity), "%s", severity);
	snprintf(e.reason, sizeof(e.reason), "%s", reason);
	if (job->ranks[rank].host)
		snprintf(e.host, sizeof(e.host), "%s", job->ranks[rank].host);
	else if (gethostname(e.host, sizeof(e.host) - 1))
		strcpy(e.host, "-");
	print(job, rank, &e);
}

/* ---- subscriptions ---- */

static bool is_wanted(const struct gate *g)
{
	return !wanted_job || !strcmp(wanted_job, g->job);
}

static struct job *job_of(const struct gate *g)
{
	struct job *job;

	for (job = jobs; job; job = job->next)
		if (!strcmp(job->name, g->job))
			return job;
	job = calloc(1, sizeof(*job));
	if (job)
		job->ranks = calloc(g->size, sizeof(*job->ranks));
	if (!job || !job->ranks)
		fail("job", ENOMEM);
	strcpy(job->name, g->job);
	job->size = g->size;
	job->late = g->number > first_gates;
	job->next = jobs;
	jobs = job;
	return job;
}

/* False: there is no room for it now. */
static bool tell(struct gate *g, unsigned int rank, const char *verb, const char *argument)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "1 %u %s%s%s\n", rank, verb, *argument ? " " : "",
			      argument);

	return send(g->fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length;
}

/* From the first event that has not come. */
static void ask(struct job *job, unsigned int rank, struct gate *via)
{
	struct rank *r = &job->ranks[rank];
	char first[24] = "";

	if (r->last)
		snprintf(first, sizeof(first), "%lu", r->last + 1);
	else if (past || job->late)
		strcpy(first, "0");
	r->told = r->last;
	r->via = tell(via, rank, "subscribe", first) ? via : NULL;
}

static void subscribe(struct job *job, unsigned int rank, struct gate *via)
{
	struct rank *r = &job->ranks[rank];

	/* It has begun to listen to us later than those that could tell of it. */
	if (r->via && !tell(r->via, rank, "unsubscribe", ""))
		return;
	ask(job, rank, via);
}

/* A process of this guest that will greet, perhaps: then it tells itself. */
static bool is_expected(const struct gate *of, unsigned int rank)
{
	const char *name;
	int i;

	for (i = 0; i < gate_count; i++) {
		if (gates[i].fd < 0 || gates[i].greeted || !same_job(&gates[i], of))
			continue;
		name = strrchr(gates[i].path, '.');
		if (name && strtoul(name + 1, NULL, 10) == rank)
			return true;
	}
	return false;
}

static void subscribe_all(void)
{
	struct job *job;
	struct gate *g;
	unsigned int i;

	for (g = gates; g < gates + gate_count; g++) {
		if (g->fd < 0 || !g->greeted || !is_wanted(g))
			continue;
		job = job_of(g);
		if (g->rank < job->size && job->ranks[g->rank].via != g && in_list(ranks, g->rank) > 0)
			subscribe(job, g->rank, g);
	}
	for (g = gates; g < gates + gate_count; g++) {
		if (g->fd < 0 || !g->greeted || g->bye || !is_wanted(g))
			continue;
		job = job_of(g);
		for (i = 0; i < job->size; i++)
			if (!job->ranks[i].via && !job->ranks[i].ended && in_list(ranks, i) > 0 &&
			    !is_expected(g, i))
				subscribe(job, i, g);
	}
}

/* The connection to a rank of this guest has closed. */
static void ended(struct gate *g)
{
	const char *name = strrchr(g->path, '.');
	struct job *job = NULL;
	struct gate *other;
	unsigned int i, rank = g->rank;

	/* Of one that has never greeted its neighbours know the job. */
	for (other = gates; !g->greeted && other < gates + gate_count; other++)
		if (other->greeted && same_job(other, g)) {
			strcpy(g->job, other->job);
			g->size = other->size;
			g->greeted = true;
			rank = name ? (unsigned int)strtoul(name + 1, NULL, 10) : other->size;
		}
	if (g->greeted && is_wanted(g))
		job = job_of(g);
	close_gate(g);
	if (!job || rank >= job->size)
		return;
	for (i = 0; i < job->size; i++)
		if (job->ranks[i].via == g)
			job->ranks[i].via = NULL;
	if (!g->bye && !job->ranks[rank].ended && in_list(ranks, rank) > 0)
		print_own(job, rank, "MPI_RANK_DEAD", "error", "socket-closed", 0);
	job->ranks[rank].ended = true;
}

/* NUMBER TIME NAME SEVERITY KEY=VALUE... */
static void came(struct job *job, unsigned int rank, struct gate *g, const char *text)
{
	struct rank *r = &job->ranks[rank];
	struct event e = { .lost = 0 };
	long long time;
	char number[24];

	if (sscanf(text, "%lu %lld.%ld %63s %15s host=%255s peer=%63s peer_host=%255s "
		   "transport=%15s reason=%255s", &e.number, &time, &e.ms, e.name, e.severity, e.host,
		   e.peer, e.peer_host, e.transport, e.reason) != 10 || e.number <= r->last)
		return;
	/* Lost on the way to us, as a connection has broken: from where they are missing. */
	if (r->last && e.number != r->last + 1) {
		if (!r->asked && r->via == g) {
			r->asked = true;
			ask(job, rank, g);
		}
		return;
	}
	r->asked = false;
	e.time = (time_t)time;
	if (!r->host)
		r->host = strdup(e.host);
	r->last = e.number;
	r->ended = r->ended || !strcmp(e.name, "MPI_FINALIZE");
	print(job, rank, &e);
	/* Only what has been printed has been read. */
	if (r->last >= r->told + AHEAD) {
		snprintf(number, sizeof(number), "%lu", r->last);
		if (tell(g, rank, "acknowledge", number))
			r->told = r->last;
	}
}

/* The rank has forgotten events that we had not read. */
static void lost(struct job *job, unsigned int rank, unsigned long count)
{
	print_own(job, rank, "XS_EVENTS_LOST", "warning", "too-slow", count);
	if (job->ranks[rank].last)
		job->ranks[rank].last += count;
}

static void heard(struct gate *g, const char *line)
{
	unsigned int rank;
	struct job *job;
	char state[16];
	int length = 0;

	if (!strcmp(line, "xs-btlctl bye")) {
		g->bye = true;
		return;
	}
	if (sscanf(line, "1 %u %15s %n", &rank, state, &length) != 2 || rank >= g->size || !length)
		return;
	job = job_of(g);
	if (rank >= job->size)
		return;
	/* Once it is heard through another, that one tells the same again, from where it was. */
	if (job->ranks[rank].via != g)
		return;
	if (!strcmp(state, "event"))
		came(job, rank, g, line + length);
	else if (!strcmp(state, "done") && !job->ranks[rank].last)
		job->ranks[rank].last = job->ranks[rank].told = strtoul(line + length, NULL, 10);
	else if (!strcmp(state, "again"))
		ask(job, rank, g);
	else if (!strcmp(state, "lost"))
		lost(job, rank, strtoul(line + length, NULL, 10));
	else if (!strcmp(state, "bad"))
		say("rank %u: %s", rank, line + length);
}

static void readable(struct gate *g)
{
	bool there = gate_fill(g);
	char *line;

	if (!g->greeted)
		gate_greeted(g);
	while (g->fd >= 0 && g->greeted && (line = gate_line(g))) {
		heard(g, line);
		free(line);
	}
	if (!there && g->fd >= 0)
		ended(g);
}

/* Those that we listen to, or may. */
static int open_count(void)
{
	int i, n = 0;

	for (i = 0; i < gate_count; i++)
		n += gates[i].fd >= 0 && (!gates[i].greeted || is_wanted(&gates[i]));
	return n;
}

static void wait_once(long long end)
{
	static struct pollfd pfds[GATES];
	long long left = wait_for_jobs ? RESCAN_MS : -1;
	int i, count = gate_count;

	if (end >= 0 && (left < 0 || left > end - now_ms()))
		left = end > now_ms() ? end - now_ms() : 0;
	for (i = 0; i < count; i++) {
		pfds[i].fd = gates[i].fd;
		pfds[i].events = POLLIN;
		pfds[i].revents = 0;
	}
	if (poll(pfds, (nfds_t)count, (int)left) < 0 && errno != EINTR)
		fail("poll", errno);
	for (i = 0; i < count; i++)
		if (pfds[i].fd >= 0 && pfds[i].revents)
			readable(&gates[i]);
}

static int show(long timeout)
{
	long long end = timeout < 0 ? -1 : now_ms() + 1000LL * timeout, scanned = now_ms();

	open_gates();
	first_gates = gates_opened;
	while ((wait_for_jobs || open_count()) && (end < 0 || now_ms() < end)) {
		subscribe_all();
		wait_once(end);
		if (wait_for_jobs && now_ms() - scanned >= RESCAN_MS) {
			scanned = now_ms();
			open_gates();
		}
	}
	if (wanted && end >= 0 && now_ms() >= end)
		return EXIT_TIMEOUT;
	if (jobs || wait_for_jobs || open_count())
		return 0;
	return no_gate(wanted_job);
}

/* ---- throwing ---- */

static int throw(const char *name, const char *peers, const char *host, long timeout)
{
	struct command command = { .job = wanted_job, .ranks = ranks, .verb = "throw",
				   .patience = timeout };
	bool iface = !strcmp(name, "IFACE_DEAD") || !strcmp(name, "IFACE_RESTORED");
	char argument[4096];

	if ((*peers && !iface) || (*host && strcmp(name, "NODE_MIGRATE")) || strchr(host, ' ')) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!iface && strcmp(name, "NODE_MIGRATE") && strcmp(name, "JOB_ABORT") &&
	    strcmp(name, "JOB_RESUME")) {
		say("nobody catches '%s'", name);
		return EXIT_USAGE;
	}
	if (snprintf(argument, sizeof(argument), "%s%s%s%s", name, *peers || *host ? " " : "",
		     peers, host) >= (int)sizeof(argument)) {
		say("a list is too long");
		return EXIT_USAGE;
	}
	command.argument = argument;
	command.slow = !strcmp(name, "IFACE_DEAD") || !strcmp(name, "NODE_MIGRATE");
	command.fatal = !strcmp(name, "JOB_ABORT");
	return do_command(&command);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "job", required_argument, NULL, 'j' },
		{ "ranks", required_argument, NULL, 'r' },
		{ "events", required_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'J' },
		{ "all", no_argument, NULL, 'a' },
		{ "wait", no_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },
		{ "timeout", required_argument, NULL, 't' },
		{ "throw", required_argument, NULL, 'T' },
		{ "peers", required_argument, NULL, 'p' },
		{ "host", required_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *thrown = NULL, *peers = "", *host = "";
	long timeout = -1;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "j:r:e:Jawc:t:T:p:H:hV", options, NULL)) != -1)
		switch (c) {
		case 'j':
			wanted_job = optarg;
			break;
		case 'r':
			ranks = list(optarg);
			break;
		case 'e':
			names = optarg;
			break;
		case 'J':
			json = true;
			break;
		case 'a':
			past = true;
			break;
		case 'w':
			wait_for_jobs = true;
			break;
		case 'c':
			wanted = strtoul(optarg, &end, 10);
			if (*end || !wanted) {
				say("'%s' is no number of events", optarg);
				return EXIT_USAGE;
			}
			break;
		case 't':
			timeout = seconds(optarg);
			break;
		case 'T':
			thrown = optarg;
			break;
		case 'p':
			peers = list(optarg);
			break;
		case 'H':
			host = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("xs-events (libxensocket) " XSOCK_LIB_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	if (optind != argc || (!thrown && (*peers || *host)) ||
	    (thrown && (names || json || past || wait_for_jobs || wanted))) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return thrown ? throw(thrown, peers, host, timeout) : show(timeout);
}
