// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host says, through xenstore. Below data/xensocket of this domain dom0 writes
 *
 *	host		identity of the host, a UUID, when the domain starts or arrives
 *	request		"quiesce ID SECONDS" before it suspends the domain, "release ID"
 *			if it did not come to that; ID is a number of its choice
 *
 * and is answered by
 *
 *	version		XSOCK_VERSION; not there without the module
 *	answer		"ID running", "ID quiesced"; "invalid" if the request is none
 *
 * A quiesce that nobody releases ends after SECONDS, and with the arrival on another
 * host, where there is no request. Xenstore fires watches when they are set, and sets
 * them again after a resume: so what was missed is looked at then.
 *
 * dom0 is trusted, but the domain's own processes with access to xenstore can write here
 * as well, so what is read is checked as if by a stranger.
 */
#include <linux/slab.h>
#include <xen/xenbus.h>

#include "xsock.h"

#define XSOCK_HOST_DIR		"data/xensocket"
/* A migration that takes longer goes on without. */
#define XSOCK_LEASE_MAX		86400
#define XSOCK_NO_LEASE		U64_MAX

static void xsock_host_work(struct work_struct *work);
static void xsock_lease_over(struct work_struct *work);
static void xsock_host_fired(struct xenbus_watch *watch, const char *path, const char *token);

static DECLARE_WORK(host_work, xsock_host_work);
static DECLARE_DELAYED_WORK(lease, xsock_lease_over);
static DEFINE_SPINLOCK(open_lock);
static DEFINE_MUTEX(identity_lock);	/* who reads the host's identity last, sets it last */
static bool host_open;		/* under open_lock: host_work may be queued */
/* host_work only: the quiesce that the lease belongs to; any u32 is one */
static u64 lease_id = XSOCK_NO_LEASE;
static struct xenbus_watch watches[] = {
	{ .node = XSOCK_HOST_DIR "/host", .callback = xsock_host_fired },
	{ .node = XSOCK_HOST_DIR "/request", .callback = xsock_host_fired },
};

/* Has xenstore looked at, and told. Any context that may not sleep, too. */
void xsock_host_kick(void)
{
	unsigned long flags;

	spin_lock_irqsave(&open_lock, flags);
	if (host_open)
		queue_work(xsock_wq, &host_work);
	spin_unlock_irqrestore(&open_lock, flags);
}

static void xsock_host_fired(struct xenbus_watch *watch, const char *path, const char *token)
{
	xsock_host_kick();
}

static void xsock_lease_over(struct work_struct *work)
{
	xsock_unhold(XSOCK_HELD_BY_HOST);
}

/* The text of a node, to be freed; NULL if there is none. Other errors as ERR_PTR(). */
static char *xsock_host_read(const char *node)
{
	char *text = xenbus_read(XBT_NIL, XSOCK_HOST_DIR, node, NULL);

	return IS_ERR(text) && PTR_ERR(text) == -ENOENT ? NULL : text;
}

/* What dom0 has written, all zero if it is no UUID; an error if xenstore does not say. */
static int xsock_host_identity(uuid_t *host)
{
	char *text = xsock_host_read("host");

	uuid_copy(host, &uuid_null);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (text && (strlen(text) != UUID_STRING_LEN || uuid_parse(text, host)))
		uuid_copy(host, &uuid_null);
	kfree(text);
	return 0;
}

static void xsock_host_look(void)
{
	uuid_t host;

	mutex_lock(&identity_lock);
	if (!xsock_host_identity(&host))
		xsock_set_host(&host);
	mutex_unlock(&identity_lock);
}

/*
 * The domain runs again, perhaps elsewhere. Nobody sees the new epoch with the host from
 * before, or with none where dom0 has told it: who tries to reach others at each new epoch
 * would try those of another host, too. Xenstore answers here: it has been resumed before.
 */
void xsock_host_resumed(void)
{
	uuid_t host;

	mutex_lock(&identity_lock);
	xsock_host_identity(&host);
	xsock_epoch_raise(&host);
	mutex_unlock(&identity_lock);
}

/* Does what is asked for; returns false if it is nothing that can be asked for. */
static bool xsock_host_obey(const char *text, u32 *id)
{
	unsigned int seconds;
	int end = 0;

	if (sscanf(text, "quiesce %u %u%n", id, &seconds, &end) == 2 && !text[end] &&
	    seconds && seconds <= XSOCK_LEASE_MAX) {
		/* Looked at twice it is still one request. */
		if (lease_id == *id)
			return true;
		lease_id = *id;
		/* That of an earlier one, which may run already, must not end this one. */
		cancel_delayed_work_sync(&lease);
		xsock_hold(XSOCK_HELD_BY_HOST);
		mod_delayed_work(xsock_wq, &lease, seconds * HZ);
		return true;
	}
	end = 0;
	if (sscanf(text, "release %u%n", id, &end) == 1 && end && !text[end]) {
		lease_id = XSOCK_NO_LEASE;
		cancel_delayed_work(&lease);
		xsock_unhold(XSOCK_HELD_BY_HOST);
		return true;
	}
	return false;
}

static void xsock_host_work(struct work_struct *work)
{
	char *text;
	u32 id = 0;

	xsock_host_look();
	text = xsock_host_read("request");
	if (IS_ERR(text))
		return;
	xenbus_printf(XBT_NIL, XSOCK_HOST_DIR, "version", "%u", XSOCK_VERSION);
	if (!text) {
		lease_id = XSOCK_NO_LEASE;
		cancel_delayed_work(&lease);
		xsock_unhold(XSOCK_HELD_BY_HOST);
	} else if (!xsock_host_obey(text, &id)) {
		xenbus_write(XBT_NIL, XSOCK_HOST_DIR, "answer", "invalid");
	} else {
		switch (xsock_control_state()) {
		case XSOCK_CTL_RUNNING:
			xenbus_printf(XBT_NIL, XSOCK_HOST_DIR, "answer", "%u running", id);
			break;
		case XSOCK_CTL_QUIESCED:
			xenbus_printf(XBT_NIL, XSOCK_HOST_DIR, "answer", "%u quiesced", id);
			break;
		default:
			/* We are kicked when it is. */
			break;
		}
	}
	kfree(text);
}

/* No work of this file runs or will run any more. */
static void xsock_host_stop(void)
{
	spin_lock_irq(&open_lock);
	host_open = false;
	spin_unlock_irq(&open_lock);
	cancel_work_sync(&host_work);
	cancel_delayed_work_sync(&lease);
}

int xsock_host_init(void)
{
	unsigned int i;
	int err;

	host_open = true;
	/* What dom0 asked of a module that was here before, it does not ask of this one. */
	xenbus_rm(XBT_NIL, XSOCK_HOST_DIR, "request");
	for (i = 0; i < ARRAY_SIZE(watches); i++) {
		err = register_xenbus_watch(&watches[i]);
		if (err)
			goto fail;
	}
	return 0;

fail:
	while (i--)
		unregister_xenbus_watch(&watches[i]);
	xsock_host_stop();
	return err;
}

void xsock_host_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(watches); i++)
		unregister_xenbus_watch(&watches[i]);
	xsock_host_stop();
	xenbus_rm(XBT_NIL, XSOCK_HOST_DIR, "answer");
	xenbus_rm(XBT_NIL, XSOCK_HOST_DIR, "version");
}
