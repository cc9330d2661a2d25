/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libxenvchan.h>

#include "vchan.h"

/* A guest may write below "data" of its own only, so the server's domain has it. */
#define XS_PATH "/local/domain/%u/data/vchan-bench"

static char *path_of(unsigned int domain, char path[64])
{
	snprintf(path, 64, XS_PATH, domain);
	return path;
}

static struct libxenvchan *opened(struct libxenvchan *vchan)
{
	if (!vchan)
		fprintf(stderr, "transports: no libxenvchan: %s\n", strerror(errno));
	return vchan;
}

static void __attribute__((noreturn)) broken(void)
{
	fprintf(stderr, "transports: libxenvchan: the other end has gone, or worse\n");
	exit(1);
}

struct libxenvchan *vchan_offer(unsigned int own, unsigned int peer, size_t ring)
{
	char path[64];

	return opened(libxenvchan_server_init(NULL, (int)peer, path_of(own, path), ring, ring));
}

struct libxenvchan *vchan_connect(unsigned int peer)
{
	char path[64];

	return opened(libxenvchan_client_init(NULL, (int)peer, path_of(peer, path)));
}

size_t vchan_write(struct libxenvchan *vchan, const void *from, size_t n, bool sleep)
{
	int done;

	vchan->blocking = sleep;
	done = libxenvchan_write(vchan, from, n);
	if (done < 0)
		broken();
	return (size_t)done;
}

size_t vchan_read(struct libxenvchan *vchan, void *to, size_t n, bool sleep)
{
	int done;

	vchan->blocking = sleep;
	done = libxenvchan_read(vchan, to, n);
	if (done < 0)
		broken();
	return (size_t)done;
}

void vchan_sleep(struct libxenvchan *vchan)
{
	if (libxenvchan_wait(vchan) < 0)
		broken();
}

void vchan_close(struct libxenvchan *vchan)
{
	libxenvchan_close(vchan);
}
