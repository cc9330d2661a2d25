// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xensocket: status, epoch, quiesce, release. Reading is open to whom the
 * permissions of the device file admit; quiesce and release need a descriptor that
 * is open for writing.
 *
 * Users and the host (host.c) may each want the module quiesced; it runs when neither
 * does.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "xsock.h"

/* How long quiesce waits for peers that do not let go of revoked rings. */
#define XSOCK_QUIESCE_MS	2000

static DEFINE_MUTEX(control_lock);
static DECLARE_WAIT_QUEUE_HEAD(control_wait);
/* All under control_lock; read without it where a stale value does no harm. */
static u32 control_state = XSOCK_CTL_RUNNING;
static u32 holders;	/* XSOCK_HELD_BY_* */
static uuid_t host;	/* all zero: not known */
static u64 epoch = 1;
static u64 sequence;	/* rises with each change of what poll() is for */
static bool registered;	/* the device is there */
static u64 quiesces;	/* how often one has begun */

static void xsock_quiesce_work(struct work_struct *work);
static DECLARE_WORK(quiesce, xsock_quiesce_work);
static struct miscdevice xsock_control_device;

/**
 * struct xsock_reader - an open descriptor of the device
 * @seen: sequence at the last read
 */
struct xsock_reader {
	u64 seen;
};

u32 xsock_control_state(void)
{
	return READ_ONCE(control_state);
}

bool xsock_quiesced(void)
{
	return xsock_control_state() != XSOCK_CTL_RUNNING;
}

/* How many quiesces have begun. A ring that is attached after one is not meant by it. */
u64 xsock_quiesces(void)
{
	return READ_ONCE(quiesces);
}

static void xsock_changed(void)
{
	WRITE_ONCE(sequence, sequence + 1);
	wake_up_interruptible_all(&control_wait);
	if (registered)
		sysfs_notify(&xsock_control_device.this_device->kobj, NULL, "state");
	xsock_host_kick();
}

/* What dom0 has said; all zero if it has not. A new host is no new epoch: arriving is. */
void xsock_set_host(const uuid_t *uuid)
{
	mutex_lock(&control_lock);
	if (!uuid_equal(&host, uuid)) {
		uuid_copy(&host, uuid);
		xsock_changed();
	}
	mutex_unlock(&control_lock);
}

/* The domain has been suspended and runs again, on the host with this identity. */
void xsock_epoch_raise(const uuid_t *uuid)
{
	mutex_lock(&control_lock);
	uuid_copy(&host, uuid);
	epoch++;
	xsock_changed();
	mutex_unlock(&control_lock);
}

/* A peer has let go of a ring: who has quiesced may be waiting for that. */
void xsock_linger_over(void)
{
	mutex_lock(&control_lock);
	if (control_state == XSOCK_CTL_QUIESCED)
		xsock_changed();
	mutex_unlock(&control_lock);
}

static void xsock_quiesce_work(struct work_struct *work)
{
	u64 number;

	mutex_lock(&control_lock);
	number = quiesces;
	mutex_unlock(&control_lock);
	xsock_detach_all(XSOCK_REASON_QUIESCE, number);
	xsock_linger_flush(XSOCK_QUIESCE_MS);
	mutex_lock(&control_lock);
	/* Released meanwhile, perhaps; and begun anew, for which we run once more. */
	if (control_state == XSOCK_CTL_QUIESCING && quiesces == number) {
		WRITE_ONCE(control_state, XSOCK_CTL_QUIESCED);
		xsock_changed();
	}
	mutex_unlock(&control_lock);
}

/* Quiesces for @who, XSOCK_HELD_BY_*; returns at once. Idempotent. */
void xsock_hold(u32 who)
{
	mutex_lock(&control_lock);
	if (control_state == XSOCK_CTL_RUNNING) {
		WRITE_ONCE(control_state, XSOCK_CTL_QUIESCING);
		epoch++;
		WRITE_ONCE(quiesces, quiesces + 1);
		holders = who;
		xsock_changed();
		queue_work(xsock_wq, &quiesce);
	} else if (!(holders & who)) {
		holders |= who;
		xsock_changed();
	}
	mutex_unlock(&control_lock);
}

/* @who lets go. Idempotent. */
void xsock_unhold(u32 who)
{
	mutex_lock(&control_lock);
	if (holders & who) {
		holders &= ~who;
		if (!holders) {
			WRITE_ONCE(control_state, XSOCK_CTL_RUNNING);
			epoch++;
		}
		xsock_changed();
	}
	mutex_unlock(&control_lock);
}

/* Fills @status; returns the sequence it belongs to. */
static u64 xsock_get_status(struct xsock_status *status)
{
	struct xsock_ring *ring;
	u64 seen;

	memset(status, 0, sizeof(*status));
	status->version = XSOCK_VERSION;
	status->domid = xsock_own_domid();
	mutex_lock(&control_lock);
	status->state = control_state;
	status->holders = holders;
	export_uuid(status->host, &host);
	status->epoch = epoch;
	seen = sequence;
	mutex_unlock(&control_lock);

	mutex_lock(&xsock_rings_lock);
	list_for_each_entry(ring, &xsock_rings, node) {
		status->sockets += !!READ_ONCE(ring->sk);
		status->attached += READ_ONCE(ring->attached);
		status->lingering += READ_ONCE(ring->lingering);
		status->pages += ring->charged;
	}
	mutex_unlock(&xsock_rings_lock);
	return seen;
}

static int xsock_control_open(struct inode *inode, struct file *file)
{
	struct xsock_reader *reader = kmalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);

	if (!reader)
		return -ENOMEM;
	mutex_lock(&control_lock);
	reader->seen = sequence;
	mutex_unlock(&control_lock);
	file->private_data = reader;
	return stream_open(inode, file);
}

static int xsock_control_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t xsock_control_read(struct file *file, char __user *buffer, size_t len,
				  loff_t *offset)
{
	struct xsock_reader *reader = file->private_data;
	struct xsock_status status;
	u64 seen;

	if (len < sizeof(status))
		return -EINVAL;
	seen = xsock_get_status(&status);
	if (copy_to_user(buffer, &status, sizeof(status)))
		return -EFAULT;
	WRITE_ONCE(reader->seen, seen);
	return sizeof(status);
}

static __poll_t xsock_control_poll(struct file *file, poll_table *wait)
{
	struct xsock_reader *reader = file->private_data;

	poll_wait(file, &control_wait, wait);
	return READ_ONCE(reader->seen) != READ_ONCE(sequence) ? EPOLLIN | EPOLLRDNORM : 0;
}

static long xsock_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct xsock_status status;

	switch (cmd) {
	case XSOCK_CTL_STATUS:
		xsock_get_status(&status);
		if (copy_to_user((void __user *)arg, &status, sizeof(status)))
			return -EFAULT;
		return 0;
	case XSOCK_CTL_QUIESCE:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		xsock_hold(XSOCK_HELD_BY_USER);
		return 0;
	case XSOCK_CTL_RELEASE:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		xsock_unhold(XSOCK_HELD_BY_USER);
		return 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations xsock_control_fops = {
	.owner		= THIS_MODULE,
	.open		= xsock_control_open,
	.release	= xsock_control_release,
	.read		= xsock_control_read,
	.poll		= xsock_control_poll,
	.unlocked_ioctl	= xsock_control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = { "running", "quiescing", "quiesced" };

	return sysfs_emit(buf, "%s\n", names[xsock_control_state()]);
}

/*
 * poll() for POLLPRI on this file waits for changes without holding the module, as an
 * open device does.
 */
static DEVICE_ATTR_RO(state);

static struct attribute *xsock_control_attrs[] = {
	&dev_attr_state.attr,
	NULL
};
ATTRIBUTE_GROUPS(xsock_control);

static struct miscdevice xsock_control_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "xensocket",
	.fops	= &xsock_control_fops,
	.groups	= xsock_control_groups,
	.mode	= 0644,
};

int xsock_control_init(void)
{
	int err = misc_register(&xsock_control_device);

	if (err)
		return err;
	mutex_lock(&control_lock);
	registered = true;
	mutex_unlock(&control_lock);
	return 0;
}

void xsock_control_exit(void)
{
	mutex_lock(&control_lock);
	registered = false;
	mutex_unlock(&control_lock);
	misc_deregister(&xsock_control_device);
	cancel_work_sync(&quiesce);
}
