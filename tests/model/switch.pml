/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of a connection between two processes: fragments change between TCP and
 * rings, and any ring may be revoked at any moment, by either kernel. Names are those of
 * btl_xs/: btl_xs_path.h (states, events), btl_xs_wire.h (frames).
 *
 * Proved, for all interleavings within the bounds below: each fragment is delivered, once,
 * in order, with its own content; each descriptor is completed, once, and not before it
 * is on a ring or covered; nothing waits for ever. Also if the sender does nothing more
 * once its descriptors are completed, and if the receiver leaves once it has everything.
 *
 * -DREADS: the receiver cannot map, so what it has read is consumed before its turn.
 * -DPATIENT: a sender gives no ring up that has not come to its end.
 *
 * Mistakes, which have to be found:
 * -DBLIND: the sender does not look at the ring again after it has written.
 * -DSILENT: the receiver leaves without a word.
 * -DENDFIRST: the receiver looks for the ring's end, and then for the frame's mark.
 * -DSWALLOWS: when a ring has come to its end the receiver consumes what has no mark.
 */
#ifndef N
#define N	4	/* fragments */
#endif
#ifndef CAP
#define CAP	2	/* frames that a ring holds */
#endif
#ifndef RINGS
#define RINGS	2	/* rings that are offered */
#endif

#define BIT(n)		(1 << (n))

mtype = { DATA, COVER, OFFER, ACCEPT, REFUSE, BYE };
mtype = { TCP, OFFERED, XS, RESYNC };

/* TCP: control frames and small fragments take link 0; large ones also link 1. */
chan link0 = [N + N + RINGS] of { mtype, byte, bit };
chan link1 = [N + N] of { mtype, byte, bit };
/* From the receiver; a COVER may also be a part of any other frame. */
chan back = [3] of { mtype, byte };

/* A ring as its pages are: what the transmitter owns and both see. */
typedef ring_t {
	byte slot[CAP];
	byte prod;
	byte marked;		/* frames that have got their mark, which come one step later */
	byte cons;
	bit tx_revoked;		/* closed, or the transmitter's kernel has revoked it */
	bit rx_leaving;		/* the receiver's kernel is about to take the last index */
	bit rx_revoked;		/* ... and has done so: revoked, or closed */
	/* the receiver's private copy, from its revocation on */
	byte copy[CAP];
	byte copy_prod;		/* taken first */
	byte copy_marked;	/* with the pages: a frame that came after copy_prod may have its mark */
};
ring_t ring[RINGS];

/* Sender. */
mtype tx_path = TCP;
byte tx_next, tx_ring, tx_rings, tx_covered, tx_resync_end;
int tx_retained, completed;
bit tx_stops;		/* will call MPI's progress no more as soon as it need not */
bit left;		/* the receiver has said BYE */

/* Receiver. */
byte rx_next;
int rx_early;
bit rx_attached;
byte rx_ring, rx_cons, rx_said, rx_waited;
#ifdef READS
chan rx_buffer = [CAP] of { byte };
#define BUFFERED	len(rx_buffer)
#else
#define BUFFERED	0
#endif

inline complete(n)
{
	assert(!(completed & BIT(n)));
	completed = completed | BIT(n)
}

/* @waiting: MCA_BTL_XS_FLAG_WAITING */
inline send_tcp(n, waiting)
{
	assert(!left);
	if
	:: link0!DATA(n, waiting)
	:: link1!DATA(n, waiting)
	fi
}

/* mca_btl_xs_send_resync(): what the receiver may not have consumed goes over TCP. */
inline resync()
{
	tx_path = RESYNC;
	i = ring[tx_ring].cons;
	tx_resync_end = 0;
	do
	:: i < ring[tx_ring].prod ->
		n = ring[tx_ring].slot[i % CAP];
		if
		:: n < tx_covered
		:: else ->
			/* A copy: its descriptor has been completed. */
			tx_retained = tx_retained | BIT(n);
			tx_resync_end = n + 1;
			/* The last one asks for an answer, or nobody might ever say that it has come. */
			send_tcp(n, (i + 1 == ring[tx_ring].prod))
		fi;
		i++
	:: else -> break
	od;
	ring[tx_ring].tx_revoked = 1;
	if
	:: tx_resync_end == 0 -> tx_path = TCP	/* COVERED: nothing was left */
	:: else
	fi
}

/* mca_btl_xs_send_covered() */
inline covered(c)
{
	if
	:: c > tx_covered -> tx_covered = c
	:: else
	fi;
	i = 0;
	do
	:: i < c ->
		if
		:: (tx_retained & BIT(i)) && !(completed & BIT(i)) -> complete(i)
		:: else
		fi;
		tx_retained = tx_retained & ~BIT(i);
		i++
	:: else -> break
	od;
	if
	:: tx_path == RESYNC && c >= tx_resync_end -> tx_path = TCP
	:: else
	fi
}

/* mca_btl_xs_send_commit(): the frame on the ring is sent. */
inline commit()
{
	complete(tx_next);
	tx_next++;
#ifndef BLIND
	if
	:: ring[tx_ring].tx_revoked || ring[tx_ring].rx_leaving -> resync()
	:: else
	fi
#endif
}

proctype sender()
{
	byte i, n, c;

end:	do
	/* A fragment over TCP: in any state, as the wire is chosen for each. */
	:: atomic { tx_next < N && nfull(link0) && nfull(link1) ->
		tx_retained = tx_retained | BIT(tx_next);
		send_tcp(tx_next, 1);
		tx_next++ }
	/* Over the ring, which may have been revoked without our knowing. */
	:: atomic { tx_next < N && tx_path == XS && ring[tx_ring].prod - ring[tx_ring].cons < CAP ->
		ring[tx_ring].slot[ring[tx_ring].prod % CAP] = tx_next;
		ring[tx_ring].prod++ };
		ring[tx_ring].marked = ring[tx_ring].prod;
		/* Somebody else may have done something between the two. */
		atomic { commit() }
	/* REVOKED: it has ended, or we have had enough of it. */
	:: atomic { tx_path == XS && (ring[tx_ring].tx_revoked || ring[tx_ring].rx_revoked) ->
		resync() }
#ifndef PATIENT
	:: atomic { tx_path == XS -> resync() }
#endif
	:: atomic { tx_path == OFFERED && ring[tx_ring].tx_revoked -> tx_path = TCP }
	/* mca_btl_xs_path_consider() */
	:: atomic { tx_path == TCP && !left && tx_rings < RINGS && nfull(link0) ->
		tx_ring = tx_rings;
		tx_rings++;
		tx_path = OFFERED;
		link0!OFFER(tx_ring, 0) }
	:: atomic { back?COVER(c) -> covered(c) }
	:: atomic { back?ACCEPT(c) ->
		if
		:: c == tx_ring && tx_path == OFFERED -> tx_path = XS
		:: else
		fi }
	:: atomic { back?REFUSE(c) ->
		if
		:: c == tx_ring && tx_path == OFFERED -> tx_path = TCP; ring[c].tx_revoked = 1
		:: else
		fi }
	/* mca_btl_xs_path_left() */
	:: atomic { back?BYE(_) ->
		left = 1;
		if
		:: tx_path == XS || tx_path == OFFERED -> ring[tx_ring].tx_revoked = 1; tx_path = TCP
		:: else
		fi;
		covered(tx_next) }
	/* All that has been promised is done: nothing need be done any more. */
	:: tx_stops && completed == BIT(N) - 1 -> break
	od
}

inline deliver(n)
{
	assert(n == rx_next && n < N);
	rx_next++
}

/* The ring as the receiver sees it: nothing while its kernel puts the copy in its place. */
#define THERE	(rx_attached && (ring[rx_ring].rx_revoked || !ring[rx_ring].rx_leaving))
#define ENDED	(ring[rx_ring].rx_revoked || ring[rx_ring].tx_revoked)
#define PROD	(ring[rx_ring].rx_revoked -> ring[rx_ring].copy_prod : ring[rx_ring].prod)
#define MARKED	(ring[rx_ring].rx_revoked -> ring[rx_ring].copy_marked : ring[rx_ring].marked)
/* A receiver that reads goes by the index, and one that maps by marks. */
#ifdef READS
#define MORE	(rx_cons < PROD)
#else
#define MORE	(rx_cons < MARKED && rx_cons < PROD)
#endif

inline seen(to, at)
{
	if
	:: ring[rx_ring].rx_revoked -> to = ring[rx_ring].copy[(at) % CAP]
	:: else -> to = ring[rx_ring].slot[(at) % CAP]
	fi
}

/* After its revocation the transmitter does not see what is consumed. */
inline consume()
{
	rx_cons++;
	if
	:: ring[rx_ring].rx_revoked
	:: else -> ring[rx_ring].cons = rx_cons
	fi
}

/* The next frame of a ring that is mapped. */
inline take()
{
	seen(n, rx_cons);
	/* Of one that came too late for the copy only the beginning may be there. */
	assert(!ring[rx_ring].rx_revoked || rx_cons < ring[rx_ring].copy_prod);
	if
	:: n < rx_next -> consume()
	:: n == rx_next -> deliver(n); consume()
	:: n > rx_next -> n = 0
	fi
}

/* mca_btl_xs_receive_forget() */
inline forget()
{
#ifdef READS
	do
	:: rx_buffer?n ->
		if
		:: n >= rx_next -> rx_early = rx_early | BIT(n)
		:: else
		fi
	:: empty(rx_buffer) -> break
	od;
#endif
	if
	:: rx_attached ->
		if
		:: ring[rx_ring].rx_revoked
		:: else -> revoke_rx(rx_ring)
		fi
	:: else
	fi;
	let_go()
}

/* What nobody looks at any more is no difference between states. */
inline let_go()
{
	rx_attached = 0;
	ring[rx_ring].copy_prod = 0;
	ring[rx_ring].copy_marked = 0;
	j = 0;
	do
	:: j < CAP -> ring[rx_ring].copy[j] = 0; j++
	:: else -> break
	od;
	j = 0
}

inline revoke_rx(r)
{
	ring[r].rx_leaving = 1;
	ring[r].copy_prod = ring[r].prod;
	copy_rx(r)
}

inline copy_rx(r)
{
	ring[r].copy_marked = ring[r].marked;
	j = 0;
	do
	:: j < CAP -> ring[r].copy[j] = ring[r].slot[j]; j++
	:: else -> break
	od;
	j = 0;
	ring[r].rx_revoked = 1
}

inline arrived(n)
{
	if
	:: waiting && rx_waited <= n -> rx_waited = n + 1
	:: else
	fi;
	if
	:: n < rx_next ->		/* a duplicate: who waits has not heard */
		if
		:: waiting -> rx_said = 0
		:: else
		fi
	:: n == rx_next -> deliver(n)
	:: n > rx_next -> rx_early = rx_early | BIT(n)
	fi
}

proctype receiver()
{
	byte n, g, j;
	bit waiting, ended;

end:	do
	:: atomic { link0?DATA(n, waiting) -> arrived(n) }
	:: atomic { link1?DATA(n, waiting) -> arrived(n) }
	:: atomic { rx_early & BIT(rx_next) -> rx_early = rx_early & ~BIT(rx_next); deliver(rx_next) }
	:: atomic { nfull(back) && link0?[OFFER(g, _)] && (THERE || !rx_attached) ->
		link0?OFFER(g, _);
		/* The sender has given the ring before up, so it may be forgotten unread. */
		forget();
		if
		:: !ring[g].tx_revoked ->
			rx_ring = g;
			rx_cons = 0;
			rx_attached = 1;
			back!ACCEPT(g)
		:: back!REFUSE(g)
		fi }
#ifdef READS
	:: atomic { THERE && MORE && nfull(rx_buffer) ->
		seen(n, rx_cons);
		rx_buffer!n;
		consume() }
	:: atomic { rx_buffer?[n] -> rx_buffer?<n>;
		if
		:: n < rx_next -> rx_buffer?n
		:: n == rx_next -> rx_buffer?n; deliver(n)
		:: n > rx_next -> n = 0	/* looks again when TCP has brought more */
		fi }
#else
#ifdef ENDFIRST
	:: atomic { THERE -> ended = ENDED };
		if
		:: atomic { THERE && rx_cons < MARKED && (!ended || rx_cons < PROD) -> take() }
		:: atomic { THERE && !(rx_cons < MARKED && (!ended || rx_cons < PROD)) }
		fi
#else
	/* mca_btl_xs_ring_peek(): the mark, and then the end. */
	:: atomic { THERE && rx_cons < MARKED };
		if
		:: atomic { THERE && (!ENDED || rx_cons < PROD) -> take() }
		:: atomic { THERE && ENDED && rx_cons >= PROD }
		fi
#endif
#endif
	/* mca_btl_xs_receive_close(): the end, and all read. */
	:: atomic { THERE && BUFFERED == 0 && ENDED && !MORE ->
		if
		:: ring[rx_ring].rx_revoked
		:: else ->
#ifdef SWALLOWS
			ring[rx_ring].cons = ring[rx_ring].prod;
#endif
			revoke_rx(rx_ring)
		fi;
		let_go() }
	:: atomic { rx_said < rx_next && nfull(back) -> rx_said = rx_next; back!COVER(rx_next) }
	/* mca_btl_xs_endpoint_put(): it has everything. What still comes is thrown away. */
#ifdef SILENT
	:: atomic { rx_next == N && rx_said >= rx_waited -> break }
#else
	:: atomic { rx_next == N && rx_said >= rx_waited && nfull(back) -> back!BYE(0); break }
#endif
	od;
	do
	:: link0?_(_, _)
	:: link1?_(_, _)
	:: timeout -> break
	od
}

/* Either kernel, at any moment, any ring: suspend, migration, quiesce, close. */
proctype kernels()
{
	byte j, r;

end:	do
	/* The receiver's goes on in three steps, and what is published meanwhile may be lost. */
	:: atomic { rx_attached && !ring[rx_ring].rx_leaving -> r = rx_ring; ring[r].rx_leaving = 1 };
		ring[r].copy_prod = ring[r].prod;
		atomic { copy_rx(r) }
	:: atomic { tx_rings > 0 && !ring[tx_ring].tx_revoked -> ring[tx_ring].tx_revoked = 1 }
	:: break
	od
}

init {
	if
	:: tx_stops = 1
	:: tx_stops = 0
	fi;
	atomic { run sender(); run receiver(); run kernels() }
	/* Nobody can do anything any more. */
	timeout ->
	assert(rx_next == N);
	assert(tx_retained == 0 || tx_stops);
	assert(completed == BIT(N) - 1)
}
