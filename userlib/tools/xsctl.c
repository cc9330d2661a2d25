/* SPDX-License-Identifier: BSD-3-Clause */
/* xsctl: look at the xensocket module, quiesce it, let it go on. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

/* Exit codes, as the manual has them. */
#define EXIT_USAGE	2
#define EXIT_NO_MODULE	3
#define EXIT_TIMEOUT	4

#define SOCKETS		"/proc/net/xensocket"

static void usage(FILE *to)
{
	fputs("Usage: xsctl status | list | quiesce [--wait SECONDS] | release | watch\n"
	      "\n"
	      "  status   state of the module, a name and a value a line\n"
	      "  list     sockets: peers, offsets, counters\n"
	      "  quiesce  cut off all sockets and refuse new ones; with --wait, until no\n"
	      "           memory is shared with any domain\n"
	      "  release  admit new sockets again\n"
	      "  watch    a line now, and whenever the epoch or the state changes\n"
	      "\n"
	      "  -w, --wait SECONDS  for quiesce\n"
	      "  -h, --help          this text\n"
	      "  -V, --version       version\n"
	      "\n"
	      "Exit status: 0 done; 1 another error; 2 wrong usage; 3 the module is not\n"
	      "loaded; 4 not quiesced in time.\n", to);
}

static void __attribute__((noreturn)) fail(const char *what, int err)
{
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV) {
		fputs("xsctl: the xensocket module is not loaded\n", stderr);
		exit(EXIT_NO_MODULE);
	}
	fprintf(stderr, "xsctl: %s: %s%s\n", what, xsock_strerror(err),
		err == -EACCES ? " (root may, and the group xensocket)" : "");
	exit(EXIT_FAILURE);
}

static int control(bool writable)
{
	int ctl = xsock_ctl_open(writable);

	if (ctl < 0)
		fail(XSOCK_DEVICE, ctl);
	return ctl;
}

static void read_status(int ctl, struct xsock_status *status)
{
	int err = xsock_ctl_read(ctl, status);

	if (err)
		fail(XSOCK_DEVICE, err);
}

static const char *state_name(const struct xsock_status *status)
{
	static const char * const names[] = { "running", "quiescing", "quiesced" };

	return status->state < 3 ? names[status->state] : "unknown";
}

/* By the bits of XSOCK_HELD_BY_*. */
static const char * const holder_names[] = { "nobody", "user", "host", "user,host" };

static void print_host(const struct xsock_status *status)
{
	static const __u8 unknown[sizeof(status->host)];
	unsigned int i;

	if (!memcmp(status->host, unknown, sizeof(unknown))) {
		puts("host unknown");
		return;
	}
	fputs("host ", stdout);
	for (i = 0; i < sizeof(status->host); i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", status->host[i]);
	putchar('\n');
}

static int do_status(void)
{
	struct xsock_status status;
	int family;

	read_status(control(false), &status);
	family = xsock_family();
	printf("state %s\nepoch %llu\n", state_name(&status),
	       (unsigned long long)status.epoch);
	if (status.domid == 0xffff)
		puts("domid unknown");
	else
		printf("domid %u\n", status.domid);
	if (family < 0)
		puts("family unknown");
	else
		printf("family %d\n", family);
	printf("holders %s\n", holder_names[status.holders & 3]);
	print_host(&status);
	printf("sockets %u\nattached %u\nlingering %u\npages %u\n", status.sockets,
	       status.attached, status.lingering, status.pages);
	return 0;
}

/*
 * The module's table with its columns aligned, whatever columns it has: to the right,
 * as most are numbers.
 */
static int do_list(void)
{
	enum { COLUMNS = 64 };
	size_t width[COLUMNS] = { 0 }, size = 0;
	char *line = NULL, *word, *save;
	FILE *in = fopen(SOCKETS, "re");
	int column, pass;

	if (!in && errno == ENOENT && xsock_family() >= 0) {
		fputs("xsctl: sockets are listed outside of containers only\n", stderr);
		return EXIT_FAILURE;
	}
	if (!in)
		fail(SOCKETS, -errno);
	for (pass = 0; pass < 2; pass++) {
		/* The table may have changed in between: then it is less neat. */
		rewind(in);
		while (getline(&line, &size, in) >= 0) {
			word = strtok_r(line, " \t\n", &save);
			for (column = 0; word && column < COLUMNS; column++) {
				size_t len = strlen(word);

				if (!pass && len > width[column])
					width[column] = len;
				if (pass)
					printf("%s%*s", column ? "  " : "",
					       (int)width[column], word);
				word = strtok_r(NULL, " \t\n", &save);
			}
			if (pass)
				putchar('\n');
		}
	}
	free(line);
	if (ferror(in))
		fail(SOCKETS, -EIO);
	fclose(in);
	return 0;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until something has changed since the last read; false when @timeout_ms are over. */
static bool wait_change(int ctl, long long timeout_ms)
{
	struct pollfd pfd = { .fd = ctl, .events = POLLIN };
	int n = poll(&pfd, 1, timeout_ms < 0 ? -1 : (int)timeout_ms);

	if (n < 0 && errno != EINTR)
		fail(XSOCK_DEVICE, -errno);
	return n != 0;
}

static int do_quiesce(long wait)
{
	struct xsock_status status;
	int ctl = control(true), err;
	long long end, left;

	err = xsock_ctl_quiesce(ctl);
	if (err)
		fail("quiesce", err);
	if (wait < 0)
		return 0;
	end = now_ms() + 1000LL * wait;
	for (;;) {
		read_status(ctl, &status);
		if (status.state == XSOCK_CTL_QUIESCED && !status.lingering)
			return 0;
		if (status.state == XSOCK_CTL_RUNNING) {
			fputs("xsctl: released by somebody else\n", stderr);
			return EXIT_FAILURE;
		}
		left = end - now_ms();
		if (left <= 0)
			break;
		wait_change(ctl, left);
	}
	fprintf(stderr, "xsctl: %s, %u still attached, %u lingering\n", state_name(&status),
		status.attached, status.lingering);
	return EXIT_TIMEOUT;
}

static int do_release(void)
{
	int err = xsock_ctl_release(control(true));

	if (err)
		fail("release", err);
	return 0;
}

static int do_watch(void)
{
	char line[128], said[sizeof(line)] = "";
	struct xsock_status status;
	int ctl = control(false), n;

	for (;;) {
		read_status(ctl, &status);
		n = snprintf(line, sizeof(line), "epoch %llu %s", (unsigned long long)status.epoch,
			     state_name(&status));
		if (status.state == XSOCK_CTL_QUIESCED && status.lingering)
			snprintf(line + n, sizeof(line) - n, " lingering %u", status.lingering);
		/* What has changed need not be what is said here. */
		if (strcmp(line, said)) {
			puts(line);
			strcpy(said, line);
			/* At once, also into a pipe; and not for a reader that has left. */
			if (fflush(stdout))
				fail("standard output", -errno);
		}
		while (!wait_change(ctl, -1))
			;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *command;
	int c, status = -1;
	long wait = -1;
	char *end;

	while ((c = getopt_long(argc, argv, "w:hV", options, NULL)) != -1)
		switch (c) {
		case 'w':
			wait = strtol(optarg, &end, 10);
			if (end == optarg || *end || wait < 0 || wait > 1000000) {
				fprintf(stderr, "xsctl: '%s' is no time in seconds\n", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("xsctl (libxensocket) " XSOCK_LIB_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	command = argc - optind == 1 ? argv[optind] : "";
	/* --wait means something for quiesce only. */
	if (!strcmp(command, "quiesce"))
		status = do_quiesce(wait);
	else if (wait < 0 && !strcmp(command, "status"))
		status = do_status();
	else if (wait < 0 && !strcmp(command, "list"))
		status = do_list();
	else if (wait < 0 && !strcmp(command, "release"))
		status = do_release();
	else if (wait < 0 && !strcmp(command, "watch"))
		status = do_watch();
	if (status < 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (fflush(stdout)) {
		perror("xsctl: standard output");
		return EXIT_FAILURE;
	}
	return status;
}
