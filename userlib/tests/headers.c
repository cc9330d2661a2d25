/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled as C and as C++: the header needs nothing before it, and links. */
#include <xensocket.h>
#include <errno.h>

/* Never called: that the inline functions compile and link is enough. */
int touch(struct xsock_map *map)
{
	const void *from;
	void *to;

	if (xsock_map_reserve(map, 1, &to) > 0)
		xsock_map_commit(map, 1);
	if (xsock_map_peek(map, 1, &from) > 0)
		xsock_map_consume(map, 1);
	return xsock_map_wait(map, 1, 0);
}

int main(void)
{
	struct xsock_offer offer;

	return xsock_offer_parse("", &offer) == -EBADMSG && xsock_strerror(0) ? 0 : 1;
}
