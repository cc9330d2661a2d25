/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: /sys/kernel/tracing/events/xensocket/. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xensocket

#if !defined(_XSOCK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _XSOCK_TRACE_H

#include <linux/tracepoint.h>

#include "xsock.h"

/* Each change of a ring's state; states and reasons as in uapi/xensocket.h. */
TRACE_EVENT(xsock_state,
	TP_PROTO(const struct xsock_ring *ring, u32 state, u32 reason),
	TP_ARGS(ring, state, reason),
	TP_STRUCT__entry(
		__field(u32, role)
		__field(u32, peer)
		__field(u32, port)
		__field(u32, state)
		__field(u32, reason)
		__field(u64, prod)
		__field(u64, cons)
	),
	TP_fast_assign(
		__entry->role = ring->role;
		__entry->peer = ring->peer;
		__entry->port = ring->port;
		__entry->state = state;
		__entry->reason = reason;
		__entry->prod = ring->idx.prod;
		__entry->cons = ring->idx.cons;
	),
	TP_printk("%s peer %u port %u: %s, reason %u, prod %llu cons %llu",
		  __print_symbolic(__entry->role, { XSOCK_ROLE_TX, "tx" }, { XSOCK_ROLE_RX, "rx" }),
		  __entry->peer, __entry->port,
		  __print_symbolic(__entry->state, { XSOCK_STATE_OFFERED, "offered" },
				   { XSOCK_STATE_OPEN, "open" },
				   { XSOCK_STATE_DETACHED, "detached" }),
		  __entry->reason, __entry->prod, __entry->cons)
);

#endif /* _XSOCK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
