// SPDX-License-Identifier: BSD-3-Clause
/* The protocol by hand, see rogue.h. */
#include "rogue.h"

typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

#define SOURCE_IS_GRANT 1	/* GNTCOPY_source_gref */

static int device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(99);
	}
	return fd;
}

int rogue_gntalloc(void)
{
	return device("/dev/xen/gntalloc");
}

void *rogue_grant(int fd, int domid, int writable, unsigned int n, uint32_t *refs,
		  uint64_t *index)
{
	struct ioctl_gntalloc_alloc_gref *op = calloc(1, sizeof(*op) + n * sizeof(uint32_t));
	void *pages;

	op->domid = domid;
	op->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = n;
	check(!ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, op));
	/* More than one: the member is declared with one element. */
	memcpy(refs, (uint8_t *)op + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids),
	       n * sizeof(*refs));
	*index = op->index;
	pages = mmap(NULL, n * XSOCK_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, op->index);
	check(pages != MAP_FAILED);
	free(op);
	return pages;
}

void rogue_ungrant(int fd, uint64_t index, unsigned int n)
{
	struct ioctl_gntalloc_dealloc_gref op = { .index = index, .count = n };

	check(!ioctl(fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op));
}

int rogue_read(int domid, uint32_t ref, void *copy)
{
	struct gntdev_grant_copy_segment segment = {
		.source.foreign = { .ref = ref, .domid = domid },
		.dest.virt = copy,
		.len = XSOCK_PAGE_SIZE,
		.flags = SOURCE_IS_GRANT,
	};
	struct ioctl_gntdev_grant_copy op = { .count = 1, .segments = &segment };
	int fd = device("/dev/xen/gntdev"), status;

	status = ioctl(fd, IOCTL_GNTDEV_GRANT_COPY, &op);
	close(fd);
	return status ? status : segment.status;
}

void *rogue_map(int fd, int domid, const uint32_t *refs, unsigned int n, int writable)
{
	struct ioctl_gntdev_map_grant_ref *op;
	struct ioctl_gntdev_grant_ref *list;
	void *pages;

	op = calloc(1, sizeof(*op) + n * sizeof(*list));
	list = (void *)((uint8_t *)op + offsetof(struct ioctl_gntdev_map_grant_ref, refs));
	op->count = n;
	for (unsigned int k = 0; k < n; k++) {
		list[k].domid = domid;
		list[k].ref = refs[k];
	}
	check(!ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, op));
	pages = mmap(NULL, n * XSOCK_PAGE_SIZE, PROT_READ | (writable ? PROT_WRITE : 0),
		     MAP_SHARED, fd, op->index);
	check(pages != MAP_FAILED);
	free(op);
	return pages;
}

static unsigned int event_call(int fd, unsigned long request, void *op)
{
	int port = ioctl(fd, request, op);

	check(port > 0);
	return port;
}

void rogue_notify(int events, unsigned int port)
{
	struct ioctl_evtchn_notify op = { .port = port };

	ioctl(events, IOCTL_EVTCHN_NOTIFY, &op);
}

void prey_take(struct prey *p, const struct sockaddr_xen *addr, enum stage stage)
{
	struct ioctl_evtchn_bind_interdomain bind_op = {
		.remote_domain = addr->sxen_domid,
		.remote_port = addr->sxen_port,
	};

	memset(p, 0, sizeof(*p));
	p->addr = *addr;
	p->grants = device("/dev/xen/gntdev");
	p->events = device("/dev/xen/evtchn");
	check(!rogue_read(addr->sxen_domid, addr->sxen_gref, &p->head));
	check(p->head.magic == XSOCK_HEAD_MAGIC);
	check(!memcmp(p->head.cookie, addr->sxen_cookie, XSOCK_COOKIE_SIZE));
	p->size = (uint64_t)p->head.data_pages * XSOCK_PAGE_SIZE;
	if (stage < STAGE_BOUND)
		return;
	p->port = event_call(p->events, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind_op);
	if (stage < STAGE_MAPPED)
		return;
	p->tx = rogue_map(p->grants, addr->sxen_domid, &p->head.tx_ref, 1, 0);
	p->rx = rogue_map(p->grants, addr->sxen_domid, &p->head.rx_ref, 1, 1);
	p->data = rogue_map(p->grants, addr->sxen_domid, p->head.refs, p->head.data_pages, 0);
	p->regions = rogue_map(p->grants, addr->sxen_domid, &p->head.regions_ref, 1, 1);
	if (stage < STAGE_CONNECTED)
		return;
	xsock_store_release(&p->rx->state, XSOCK_RX_CONNECTED);
	rogue_notify(p->events, p->port);
}

void prey_drop(struct prey *p)
{
	if (p->tx) {
		check(!munmap(p->tx, XSOCK_PAGE_SIZE));
		check(!munmap(p->rx, XSOCK_PAGE_SIZE));
		check(!munmap(p->data, p->size));
		check(!munmap(p->regions, XSOCK_PAGE_SIZE));
	}
	/* The event comes after the unmapping, as from an honest peer. */
	close(p->grants);
	if (p->port)
		rogue_notify(p->events, p->port);
	close(p->events);
}

void bait_make(struct bait *b)
{
	struct ioctl_evtchn_bind_unbound_port port = { .remote_domain = peer_domid };
	uint64_t index;

	memset(b, 0, sizeof(*b));
	b->grants = rogue_gntalloc();
	b->events = device("/dev/xen/evtchn");
	b->size = BAIT_PAGES * XSOCK_PAGE_SIZE;
	b->head = rogue_grant(b->grants, peer_domid, 1, 1, &b->head_ref, &index);
	b->tx = rogue_grant(b->grants, peer_domid, 0, 1, &b->refs[0], &index);
	b->rx = rogue_grant(b->grants, peer_domid, 1, 1, &b->refs[1], &index);
	b->data = rogue_grant(b->grants, peer_domid, 0, BAIT_PAGES, &b->refs[2], &index);
	b->regions = rogue_grant(b->grants, peer_domid, 1, 1, &b->refs[2 + BAIT_PAGES], &index);
	b->port = event_call(b->events, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &port);
	b->tx->version = XSOCK_VERSION;
	b->tx->data_pages = BAIT_PAGES;

	b->addr.sxen_family = af;
	b->addr.sxen_domid = own_domid;
	b->addr.sxen_gref = b->head_ref;
	b->addr.sxen_port = b->port;
	b->addr.sxen_version = XSOCK_VERSION;
	memset(b->addr.sxen_cookie, 0xc0, XSOCK_COOKIE_SIZE);
	b->head->magic = XSOCK_HEAD_MAGIC;
	b->head->version = XSOCK_VERSION;
	b->head->port = b->port;
	b->head->data_pages = BAIT_PAGES;
	memcpy(b->head->cookie, b->addr.sxen_cookie, XSOCK_COOKIE_SIZE);
	b->head->tx_ref = b->refs[0];
	b->head->rx_ref = b->refs[1];
	b->head->regions_ref = b->refs[2 + BAIT_PAGES];
	memcpy(b->head->refs, &b->refs[2], BAIT_PAGES * sizeof(uint32_t));
}

void bait_drop(struct bait *b)
{
	check(!munmap(b->head, XSOCK_PAGE_SIZE));
	check(!munmap(b->tx, XSOCK_PAGE_SIZE));
	check(!munmap(b->rx, XSOCK_PAGE_SIZE));
	check(!munmap(b->data, b->size));
	check(!munmap(b->regions, XSOCK_PAGE_SIZE));
	close(b->grants);
	close(b->events);
}
