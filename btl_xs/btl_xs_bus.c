/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_bus.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "btl_xs_endpoint.h"

static struct {
    pthread_mutex_t lock; /* guards the first two: texts may come in a thread of tcp's */
    bool open;
    mca_btl_xs_bus_text_t *first, **last;
    int wake; /* eventfd */
    opal_event_t woken;
    void (*heard)(mca_btl_xs_bus_text_t *item);
} bus = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1};

void mca_btl_xs_bus_came(int kind, opal_process_name_t from, const void *text, size_t size)
{
    mca_btl_xs_bus_text_t *item = malloc(sizeof(*item) + size + 1);
    uint64_t one = 1;

    if (NULL == item) {
        return;
    }
    item->next = NULL;
    item->kind = kind;
    item->from = from;
    memcpy(item->text, text, size);
    item->text[size] = '\0';
    pthread_mutex_lock(&bus.lock);
    if (bus.open && from.jobid == OPAL_PROC_MY_NAME.jobid) {
        *bus.last = item;
        bus.last = &item->next;
        (void) !write(bus.wake, &one, sizeof(one));
        item = NULL;
    }
    pthread_mutex_unlock(&bus.lock);
    free(item);
}

static void mca_btl_xs_bus_woken(int fd, short flags, void *context)
{
    mca_btl_xs_bus_text_t *item, *next;
    uint64_t count;

    pthread_mutex_lock(&bus.lock);
    (void) !read(bus.wake, &count, sizeof(count));
    item = bus.first;
    bus.first = NULL;
    bus.last = &bus.first;
    pthread_mutex_unlock(&bus.lock);
    for (; NULL != item; item = next) {
        next = item->next;
        bus.heard(item);
        free(item);
    }
}

void mca_btl_xs_bus_say(int kind, uint32_t rank, const char *text)
{
    opal_process_name_t name = {.jobid = OPAL_PROC_MY_NAME.jobid, .vpid = rank};
    mca_btl_xs_endpoint_t *endpoint;
    size_t size = strlen(text), most = mca_btl_xs_tcp_limit();

    if (OPAL_PROC_MY_NAME.vpid == rank) {
        mca_btl_xs_bus_came(kind, name, text, size);
        return;
    }
    /* Perhaps there was no other reason yet to connect to it. */
    endpoint = mca_btl_xs_endpoint_find(name);
    if (NULL != endpoint) {
        most = most < mca_btl_xs.super.btl_max_send_size ? most
                                                        : mca_btl_xs.super.btl_max_send_size;
        mca_btl_xs_tcp_tell(endpoint, kind, text, size < most ? size : most);
    }
}

void mca_btl_xs_bus_open(void (*heard)(mca_btl_xs_bus_text_t *item))
{
    bus.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (-1 == bus.wake) {
        return;
    }
    bus.heard = heard;
    bus.first = NULL;
    bus.last = &bus.first;
    opal_event_set(opal_sync_event_base, &bus.woken, bus.wake, OPAL_EV_READ | OPAL_EV_PERSIST,
                   mca_btl_xs_bus_woken, NULL);
    opal_event_add(&bus.woken, NULL);
    bus.open = true;
}

void mca_btl_xs_bus_close(void)
{
    mca_btl_xs_bus_text_t *item;

    if (!bus.open) {
        return;
    }
    pthread_mutex_lock(&bus.lock);
    bus.open = false;
    pthread_mutex_unlock(&bus.lock);
    opal_event_del(&bus.woken);
    close(bus.wake);
    while (NULL != (item = bus.first)) {
        bus.first = item->next;
        free(item);
    }
}
