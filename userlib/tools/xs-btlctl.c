/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xs-btlctl: look at the paths of running Open MPI jobs that use the BTL xs, hold them on
 * TCP and release them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xensocket.h>

#include "../job/job.h"

static struct command command = { .ranks = "*", .patience = -1 };
static const char *peers = "";
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
	      "            lies below; hold and release do not change that; without --ranks\n"
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

static void print_head(const struct gate *g)
{
	printf("job %s, %u ranks\n%4s  %-12s  %-7s  %-6s  %-12s  %-5s  %s\n", g->job, g->size,
	       "rank", "host", "pid", "domain", "held", "rings", "paths");
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

static int do_verb(const char *verb, const char *argument)
{
	command.verb = verb;
	command.argument = argument;
	command.slow = !strcmp(verb, "hold") || !strcmp(verb, "quiesce");
	if (!strcmp(verb, "status") || !strcmp(verb, "counters")) {
		command.many = true;
		command.print = print;
		command.head = !strcmp(verb, "status") ? print_head : NULL;
	}
	return do_command(&command);
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
			command.job = optarg;
			break;
		case 'r':
			command.ranks = list(optarg);
			break;
		case 'p':
			peers = list(optarg);
			break;
		case 'e':
			each_peer = true;
			break;
		case 'w':
			command.patience = seconds(optarg);
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
	if ((!strcmp(verb, "quiesce") || !strcmp(verb, "resume")) && strcmp(command.ranks, "*")) {
		say("%s is for all ranks of a job: without --ranks", verb);
		return EXIT_USAGE;
	}
	if (*peers && strcmp(verb, "hold") && strcmp(verb, "release")) {
		say("--peers is for hold and release");
		return EXIT_USAGE;
	}
	if (each_peer && strcmp(verb, "counters")) {
		say("--each-peer is for counters");
		return EXIT_USAGE;
	}
	if (!strcmp(verb, "hold") || !strcmp(verb, "release"))
		status = do_verb(verb, peers);
	else if (!strcmp(verb, "counters"))
		status = do_verb(verb, each_peer ? "peers" : "");
	else if (!strcmp(verb, "list"))
		status = do_verb("status", "");
	else if (!strcmp(verb, "quiesce") || !strcmp(verb, "resume"))
		status = do_verb(verb, "");
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
