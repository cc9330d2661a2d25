/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btl_xs_bus.h"
#include "btl_xs_control.h"
#include "btl_xs_counters.h"
#include "btl_xs_endpoint.h"
#include "btl_xs_host.h"

/* Longest word that a gate may use for a request. */
#define MCA_BTL_XS_COMMAND_ID 32

/* How often somebody who waits is looked after. */
#define MCA_BTL_XS_COMMAND_WAIT_US 5000

/**
 * One who asks, and perhaps waits until there are no rings any more.
 */
struct mca_btl_xs_command_t {
    opal_list_item_t super;
    uint32_t gate;
    char id[MCA_BTL_XS_COMMAND_ID];
};
typedef struct mca_btl_xs_command_t mca_btl_xs_command_t;
OBJ_CLASS_DECLARATION(mca_btl_xs_command_t);
OBJ_CLASS_INSTANCE(mca_btl_xs_command_t, opal_list_item_t, NULL, NULL);

static struct {
    bool opened;
    opal_list_t waiting;
    opal_event_t timer;
    void (*answered)(uint32_t rank, const char *id, const char *text);
} command;

static void mca_btl_xs_command_answer(const mca_btl_xs_command_t *asked, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void mca_btl_xs_command_answer(const mca_btl_xs_command_t *asked, const char *format, ...)
{
    char *text = NULL;
    size_t size = 0;
    va_list args;
    FILE *out = open_memstream(&text, &size);

    if (NULL == out) {
        return;
    }
    fprintf(out, "%s ", asked->id);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fclose(out);
    if (NULL != text) {
        mca_btl_xs_bus_say(MCA_BTL_XS_ANSWER, asked->gate, text);
        free(text);
    }
}

/* Is @rank in a list like "*" or "0,3-5"? -1: that is no list. */
static int mca_btl_xs_command_in(const char *list, uint32_t rank)
{
    unsigned long first, last;
    bool found = false;
    char *end;

    if (0 == strcmp(list, "*")) {
        return 1;
    }
    do {
        first = last = strtoul(list, &end, 10);
        if (end != list && '-' == *end) {
            list = end + 1;
            last = strtoul(list, &end, 10);
        }
        if (end == list || (',' != *end && '\0' != *end) || last < first) {
            return -1;
        }
        found = found || (first <= rank && rank <= last);
        list = end + 1;
    } while ('\0' != *end);
    return found;
}

/* All peers of this job, by rank, as "tcp,xs,-": "-" is without xs, "+" behind it is held. */
static char *mca_btl_xs_command_paths(void)
{
    uint32_t count = mca_btl_xs_compat_job_size();
    size_t size = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    if (NULL == out) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        opal_process_name_t name = {.jobid = OPAL_PROC_MY_NAME.jobid, .vpid = i};
        mca_btl_xs_endpoint_t *endpoint = mca_btl_xs_endpoint_known(name);

        fprintf(out, "%s%s%s", 0 == i ? "" : ",",
                NULL == endpoint ? "-" : mca_btl_xs_path_name(endpoint->tx_path),
                NULL != endpoint && endpoint->held ? "+" : "");
    }
    fclose(out);
    return text;
}

static void mca_btl_xs_command_status(const mca_btl_xs_command_t *asked, char *arguments)
{
    char *paths = mca_btl_xs_command_paths(), holders[32], domain[8] = "-";

    if (mca_btl_xs_host.available) {
        snprintf(domain, sizeof(domain), "%u", mca_btl_xs_host.domid);
    }
    mca_btl_xs_command_answer(asked, "done host=%s pid=%d domain=%s held=%s rings=%u paths=%s",
                              opal_process_info.nodename, (int) getpid(), domain,
                              mca_btl_xs_control_holders(holders),
                              mca_btl_xs_control_rings(false), NULL == paths ? "" : paths);
    free(paths);
}

/* With the argument "peers" also for each peer. */
static void mca_btl_xs_command_counters(const mca_btl_xs_command_t *asked, char *arguments)
{
    uint32_t count = 0 == strcmp(arguments, "peers") ? mca_btl_xs_compat_job_size() : 0;
    char text[MCA_BTL_XS_COUNTERS_TEXT];

    for (uint32_t i = 0; i < count; i++) {
        opal_process_name_t name = {.jobid = OPAL_PROC_MY_NAME.jobid, .vpid = i};
        mca_btl_xs_endpoint_t *endpoint = mca_btl_xs_endpoint_known(name);

        if (NULL != endpoint) {
            mca_btl_xs_counters_text(&endpoint->counters, text);
            mca_btl_xs_command_answer(asked, "more peer=%u path=%s%s", i,
                                      mca_btl_xs_path_name(endpoint->tx_path), text);
        }
    }
    mca_btl_xs_counters_text(NULL, text);
    mca_btl_xs_command_answer(asked, "done%s", text);
}

static void mca_btl_xs_command_look(int fd, short flags, void *context)
{
    const struct timeval later = {0, MCA_BTL_XS_COMMAND_WAIT_US};
    unsigned int rings = mca_btl_xs_control_rings(true);
    mca_btl_xs_command_t *asked;
    char holders[32];

    if (0 != rings && 0 != strcmp(mca_btl_xs_control_holders(holders), "no")) {
        opal_event_evtimer_add(&command.timer, &later);
        return;
    }
    while (NULL
           != (asked = (mca_btl_xs_command_t *) opal_list_remove_first(&command.waiting))) {
        mca_btl_xs_command_answer(asked, "%s held=%s rings=%u", 0 == rings ? "done" : "undone",
                                  mca_btl_xs_control_holders(holders),
                                  mca_btl_xs_control_rings(false));
        OBJ_RELEASE(asked);
    }
}

/* "taken" now, and "done" when there are no rings any more, or "undone" by a release. */
static void mca_btl_xs_command_wait(const mca_btl_xs_command_t *asked)
{
    mca_btl_xs_command_t *waiting = OBJ_NEW(mca_btl_xs_command_t);

    waiting->gate = asked->gate;
    memcpy(waiting->id, asked->id, sizeof(waiting->id));
    mca_btl_xs_command_answer(asked, "taken rings=%u", mca_btl_xs_control_rings(true));
    opal_list_append(&command.waiting, &waiting->super);
    mca_btl_xs_command_look(-1, 0, NULL);
}

/* The ranks in @list, but for this one. Answers itself, and returns false, if it is none. */
static bool mca_btl_xs_command_peers(const mca_btl_xs_command_t *asked, const char *list,
                                     bool hold)
{
    uint32_t count = mca_btl_xs_compat_job_size();

    if (0 > mca_btl_xs_command_in(list, 0)) {
        mca_btl_xs_command_answer(asked, "bad '%s' is no list of ranks", list);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i != OPAL_PROC_MY_NAME.vpid && mca_btl_xs_command_in(list, i)) {
            /* Who is not there need not be held. */
            (void) mca_btl_xs_control_hold_peer(i, hold);
        }
    }
    return true;
}

static void mca_btl_xs_command_hold(const mca_btl_xs_command_t *asked, char *arguments)
{
    if ('\0' == arguments[0]) {
        mca_btl_xs_control_hold(true);
    } else if (!mca_btl_xs_command_peers(asked, arguments, true)) {
        return;
    }
    mca_btl_xs_command_wait(asked);
}

static void mca_btl_xs_command_done(const mca_btl_xs_command_t *asked)
{
    char holders[32];

    mca_btl_xs_command_answer(asked, "done held=%s rings=%u",
                              mca_btl_xs_control_holders(holders),
                              mca_btl_xs_control_rings(false));
}

static void mca_btl_xs_command_release(const mca_btl_xs_command_t *asked, char *arguments)
{
    if ('\0' == arguments[0]) {
        mca_btl_xs_control_hold(false);
    } else if (!mca_btl_xs_command_peers(asked, arguments, false)) {
        return;
    }
    mca_btl_xs_command_done(asked);
}

static void mca_btl_xs_command_quiesce(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_control_quiesce(true);
    mca_btl_xs_command_wait(asked);
}

static void mca_btl_xs_command_resume(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_control_quiesce(false);
    mca_btl_xs_command_done(asked);
}

static const struct {
    const char *name;
    void (*run)(const mca_btl_xs_command_t *asked, char *arguments);
} mca_btl_xs_command_verbs[] = {{"status", mca_btl_xs_command_status},
                                {"counters", mca_btl_xs_command_counters},
                                {"hold", mca_btl_xs_command_hold},
                                {"release", mca_btl_xs_command_release},
                                {"quiesce", mca_btl_xs_command_quiesce},
                                {"resume", mca_btl_xs_command_resume}};
#define MCA_BTL_XS_COMMAND_VERBS \
    (sizeof(mca_btl_xs_command_verbs) / sizeof(mca_btl_xs_command_verbs[0]))

/* ID RANKS VERB [ARGUMENT...] */
static void mca_btl_xs_command_request(opal_process_name_t from, char *text)
{
    mca_btl_xs_command_t asked = {.gate = from.vpid};
    char *id = strsep(&text, " "), *ranks = strsep(&text, " "), *verb = strsep(&text, " ");

    if (NULL == verb || strlen(id) >= sizeof(asked.id)) {
        return;
    }
    strcpy(asked.id, id);
    switch (mca_btl_xs_command_in(ranks, OPAL_PROC_MY_NAME.vpid)) {
    case 0:
        return;
    case -1:
        mca_btl_xs_command_answer(&asked, "bad '%s' is no list of ranks", ranks);
        return;
    }
    for (size_t i = 0; i < MCA_BTL_XS_COMMAND_VERBS; i++) {
        if (0 == strcmp(verb, mca_btl_xs_command_verbs[i].name)) {
            mca_btl_xs_command_verbs[i].run(&asked, NULL == text ? "" : text);
            return;
        }
    }
    mca_btl_xs_command_answer(&asked, "bad there is no command '%s'", verb);
}

static void mca_btl_xs_command_heard(mca_btl_xs_bus_text_t *item)
{
    char *text = item->text;
    const char *id;

    if (MCA_BTL_XS_REQUEST == item->kind) {
        mca_btl_xs_command_request(item->from, text);
        return;
    }
    id = strsep(&text, " ");
    if (NULL != text) {
        command.answered(item->from.vpid, id, text);
    }
}

void mca_btl_xs_command_ask(const char *id, const char *request)
{
    char *text;

    if (0 < asprintf(&text, "%s %s", id, request)) {
        mca_btl_xs_bus_say_all(MCA_BTL_XS_REQUEST, text);
        free(text);
    }
}

void mca_btl_xs_command_open(void (*answered)(uint32_t rank, const char *id, const char *text))
{
    OBJ_CONSTRUCT(&command.waiting, opal_list_t);
    opal_event_evtimer_set(opal_sync_event_base, &command.timer, mca_btl_xs_command_look, NULL);
    command.answered = answered;
    command.opened = true;
    mca_btl_xs_bus_open(mca_btl_xs_command_heard);
}

void mca_btl_xs_command_close(void)
{
    if (!command.opened) {
        return;
    }
    command.opened = false;
    mca_btl_xs_bus_close();
    opal_event_del(&command.timer);
    OPAL_LIST_DESTRUCT(&command.waiting);
}
