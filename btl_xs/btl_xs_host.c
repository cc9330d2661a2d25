/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "opal/util/show_help.h"

#include "btl_xs_endpoint.h"
#include "btl_xs_events.h"

mca_btl_xs_host_t mca_btl_xs_host;

static struct {
    int control;            /* /dev/xensocket, or -1 */
    opal_event_t changed;
    int state;              /* the module's state in sysfs while it is quiesced, or -1 */
    int poller;             /* epoll: waits for a change of it */
    opal_event_t released;
    int notify;             /* inotify: /dev while there is no module, or the device */
    opal_event_t noticed;
} host = {.control = -1, .state = -1, .poller = -1, .notify = -1};

/* Dom0 counts: it cannot use xensockets either without the module. */
static bool mca_btl_xs_host_is_xen(void)
{
    int fd = open("/sys/hypervisor/type", O_RDONLY | O_CLOEXEC);
    char type[4] = "";

    if (-1 == fd) {
        return false;
    }
    (void) !read(fd, type, sizeof(type) - 1);
    close(fd);
    return 0 == strcmp(type, "xen");
}

/* Each once in a process; Open MPI makes one of those of many processes. */
static void mca_btl_xs_host_warn(bool *said, const char *topic, int rc)
{
    if (*said || !mca_btl_xs_component.warn) {
        return;
    }
    *said = true;
    opal_show_help("help-mpi-btl-xs.txt", topic, true, opal_process_info.nodename,
                   xsock_strerror(rc));
}

void mca_btl_xs_host_complain(int rc)
{
    static bool module, permission, version, resources;

    switch (-rc) {
    case EACCES:
    case EPERM:
        mca_btl_xs_host_warn(&permission, "no permission", rc);
        break;
    case XSOCK_EVERSION:
        mca_btl_xs_host_warn(&version, "module version", rc);
        break;
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
        mca_btl_xs_host_warn(&resources, "no resources", rc);
        break;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        /* Who has not asked for us and is in no Xen guest need not know. */
        if (mca_btl_xs_component_wanted() && mca_btl_xs_host_is_xen()) {
            mca_btl_xs_host_warn(&module, "no module", rc);
        }
        break;
    }
}

static void mca_btl_xs_host_close(void)
{
    if (-1 != host.control) {
        opal_event_del(&host.changed);
        close(host.control);
        host.control = -1;
    }
}

static void mca_btl_xs_host_changed(int fd, short flags, void *context);

double mca_btl_xs_host_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

double mca_btl_xs_host_passed(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void mca_btl_xs_host_unwatch(void)
{
    if (-1 != host.poller) {
        opal_event_del(&host.released);
        close(host.poller);
        host.poller = -1;
    }
    if (-1 != host.state) {
        close(host.state);
        host.state = -1;
    }
}

/*
 * Waits for the end of a quiesce, without keeping the module. Returns true if it has come
 * meanwhile. Where there is no such file, we learn it from who opens the device.
 */
static bool mca_btl_xs_host_watch(void)
{
    static const char running[] = "running\n";
    struct epoll_event event = {.events = EPOLLPRI};
    char text[sizeof(running)];

    host.state = open(XSOCK_SYSFS_STATE, O_RDONLY | O_CLOEXEC);
    if (-1 == host.state) {
        return false;
    }
    /* Reading makes poll() wait for what comes after it. */
    if (read(host.state, text, sizeof(text)) == sizeof(running) - 1
        && 0 == memcmp(text, running, sizeof(running) - 1)) {
        mca_btl_xs_host_unwatch();
        return true;
    }
    host.poller = epoll_create1(EPOLL_CLOEXEC);
    if (-1 != host.poller) {
        /* libevent cannot wait for POLLPRI, but for this. */
        (void) epoll_ctl(host.poller, EPOLL_CTL_ADD, host.state, &event);
        opal_event_set(opal_sync_event_base, &host.released, host.poller,
                       OPAL_EV_READ | OPAL_EV_PERSIST, mca_btl_xs_host_changed, NULL);
        opal_event_add(&host.released, NULL);
    }
    return false;
}

/*
 * Opens the device, which says what there is to know. It stays open, and so keeps the
 * module, only while there is use for that: after a quiesce the module may be replaced.
 */
static int mca_btl_xs_host_open(struct xsock_status *status)
{
    int rc;

    if (-1 == host.control) {
        rc = xsock_ctl_open(false);
        if (rc < 0) {
            return rc;
        }
        host.control = rc;
        opal_event_set(opal_sync_event_base, &host.changed, host.control,
                       OPAL_EV_READ | OPAL_EV_PERSIST, mca_btl_xs_host_changed, NULL);
        opal_event_add(&host.changed, NULL);
    }
    rc = xsock_ctl_read(host.control, status);
    if (0 != rc) {
        mca_btl_xs_host_close();
    }
    return rc;
}

/*
 * Has the domain been suspended? It has another number where it arrives, except after a
 * checkpoint or a migration that failed. There the module's epoch tells, if it was not quiesced:
 * a suspend raises it by one, a quiesce and its end by two.
 */
static bool mca_btl_xs_host_arrived(const mca_btl_xs_host_t *before, uint64_t epochs)
{
    return 0 != before->epoch
           && (before->domid != mca_btl_xs_host.domid
               || (before->available && mca_btl_xs_host.available && 1 == epochs));
}

/* The guest is not where it was, or was not there for a while. */
static void mca_btl_xs_host_tell(uint16_t before)
{
    char domains[40];

    if (mca_btl_xs_host.arrived) {
        snprintf(domains, sizeof(domains), "domain-%u-now-%u", before, mca_btl_xs_host.domid);
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_NODE_MIGRATE_DONE, NULL, NULL, domains);
    }
}

static int mca_btl_xs_host_update(void)
{
    struct xsock_status status = {.version = 0};
    mca_btl_xs_host_t before = mca_btl_xs_host;
    static uint64_t module_epoch;
    int rc;

    mca_btl_xs_host_unwatch();
    do {
        rc = mca_btl_xs_host_open(&status);
        mca_btl_xs_host.available = 0 == rc && XSOCK_CTL_RUNNING == status.state;
        if (!mca_btl_xs_host.available) {
            mca_btl_xs_host_close();
        }
    } while (0 == rc && !mca_btl_xs_host.available && mca_btl_xs_host_watch());
    if (0 == rc) {
        mca_btl_xs_host.domid = status.domid;
        memcpy(mca_btl_xs_host.id, status.host, sizeof(mca_btl_xs_host.id));
    }
    /* Who comes while we are at it learns from the first contact. */
    if (mca_btl_xs_host.available != before.available || status.epoch != module_epoch
        || mca_btl_xs_host.domid != before.domid) {
        mca_btl_xs_host.arrived = mca_btl_xs_host_arrived(&before, status.epoch - module_epoch);
        module_epoch = status.epoch;
        mca_btl_xs_host.epoch++;
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH,
                           "xensockets are %savailable; domain %u, epoch %lu, %.3f",
                           mca_btl_xs_host.available ? "" : "not ", mca_btl_xs_host.domid,
                           (unsigned long) mca_btl_xs_host.epoch, mca_btl_xs_host_now());
        mca_btl_xs_host_tell(before.domid);
        mca_btl_xs_component_for_all(mca_btl_xs_path_host_changed);
    } else if (0 != memcmp(mca_btl_xs_host.id, before.id, sizeof(before.id))) {
        mca_btl_xs_component_for_all(mca_btl_xs_path_host_named);
    }
    return rc;
}

static void mca_btl_xs_host_changed(int fd, short flags, void *context)
{
    (void) mca_btl_xs_host_update();
}

/* Somebody has closed the device that he had open for writing, or it has appeared. */
static void mca_btl_xs_host_noticed(int fd, short flags, void *context)
{
    char events[4096] __attribute__((aligned(8)));

    while (read(fd, events, sizeof(events)) > 0) {
        continue;
    }
    (void) inotify_add_watch(host.notify, XSOCK_DEVICE, IN_CLOSE_WRITE | IN_ATTRIB);
    (void) mca_btl_xs_host_update();
}

void mca_btl_xs_host_init(void)
{
    if (!mca_btl_xs_component.enable) {
        return;
    }
    host.notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (-1 != host.notify) {
        (void) inotify_add_watch(host.notify, "/dev", IN_CREATE);
        (void) inotify_add_watch(host.notify, XSOCK_DEVICE, IN_CLOSE_WRITE | IN_ATTRIB);
        opal_event_set(opal_sync_event_base, &host.noticed, host.notify,
                       OPAL_EV_READ | OPAL_EV_PERSIST, mca_btl_xs_host_noticed, NULL);
        opal_event_add(&host.noticed, NULL);
    }
    mca_btl_xs_host_complain(mca_btl_xs_host_update());
    if (0 == mca_btl_xs_host.epoch) {
        mca_btl_xs_host.epoch = 1;
    }
}

void mca_btl_xs_host_fini(void)
{
    mca_btl_xs_host_close();
    mca_btl_xs_host_unwatch();
    if (-1 != host.notify) {
        opal_event_del(&host.noticed);
        close(host.notify);
        host.notify = -1;
    }
    memset(&mca_btl_xs_host, 0, sizeof(mca_btl_xs_host));
}
