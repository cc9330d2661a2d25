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
#include "btl_xs_events.h"
#include "btl_xs_host.h"

/* Longest word that a gate may use for a request. */
#define MCA_BTL_XS_COMMAND_ID 32

/* Longest list of ranks, as longest line of a gate's. */
#define MCA_BTL_XS_COMMAND_RANKS 4096

/* How often somebody who waits is looked after. */
#define MCA_BTL_XS_COMMAND_WAIT_US 5000

/* How long an aborting process still has for those that it has told of it. */
#define MCA_BTL_XS_COMMAND_ABORT_US 200000

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

struct mca_btl_xs_command_verb_t {
    const char *name;
    void (*run)(const mca_btl_xs_command_t *asked, char *arguments);
};
typedef struct mca_btl_xs_command_verb_t mca_btl_xs_command_verb_t;

static struct {
    bool opened;
    opal_list_t waiting;
    bool quiescing; /* XS_QUIESCED is still to be thrown */
    opal_event_t timer;
    opal_event_t abortion;
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

    /* Not before: each look is a file to be read. */
    if (0 == rings) {
        rings = mca_btl_xs_control_lingering();
    }
    if (0 != rings && 0 != strcmp(mca_btl_xs_control_holders(holders), "no")) {
        opal_event_evtimer_add(&command.timer, &later);
        return;
    }
    if (command.quiescing) {
        command.quiescing = false;
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_QUIESCED, NULL, "xs", NULL);
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

    if (NULL == waiting) {
        mca_btl_xs_command_answer(asked, "bad no memory");
        return;
    }
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
    command.quiescing = command.quiescing || !mca_btl_xs_component.quiesced;
    mca_btl_xs_control_quiesce(true);
    mca_btl_xs_command_wait(asked);
}

/* Who waits for XS_QUIESCED is to learn that it will not come. */
static void mca_btl_xs_command_resume(const mca_btl_xs_command_t *asked, char *arguments)
{
    if (mca_btl_xs_component.quiesced) {
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_RESUMED, NULL, "xs",
                                command.quiescing ? "unfinished" : NULL);
    }
    command.quiescing = false;
    mca_btl_xs_control_quiesce(false);
    mca_btl_xs_command_done(asked);
}

static void mca_btl_xs_command_subscribe(const mca_btl_xs_command_t *asked, char *arguments)
{
    uint64_t last;
    const char *refused = mca_btl_xs_events_subscribe(asked->gate, asked->id, arguments, &last);

    if (NULL == refused) {
        mca_btl_xs_command_answer(asked, "done %lu", (unsigned long) last);
    } else {
        mca_btl_xs_command_answer(asked, "bad %s", refused);
    }
}

static void mca_btl_xs_command_unsubscribe(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_events_unsubscribe(asked->gate, asked->id);
}

static void mca_btl_xs_command_acknowledge(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_events_acknowledge(asked->gate, asked->id, arguments);
}

/* With a host's name: only its processes. */
static void mca_btl_xs_command_migrate(const mca_btl_xs_command_t *asked, char *arguments)
{
    if ('\0' != arguments[0] && 0 != strcmp(arguments, opal_process_info.nodename)) {
        mca_btl_xs_command_done(asked);
    } else {
        mca_btl_xs_events_throw(MCA_BTL_XS_CAUGHT_NODE_MIGRATE, NULL, NULL, NULL);
        mca_btl_xs_command_quiesce(asked, arguments);
    }
}

static void mca_btl_xs_command_iface_dead(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_events_throw(MCA_BTL_XS_CAUGHT_IFACE_DEAD, NULL, "xs", NULL);
    mca_btl_xs_command_hold(asked, arguments);
}

static void mca_btl_xs_command_iface_restored(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_events_throw(MCA_BTL_XS_CAUGHT_IFACE_RESTORED, NULL, "xs", NULL);
    mca_btl_xs_command_release(asked, arguments);
}

static void mca_btl_xs_command_job_resume(const mca_btl_xs_command_t *asked, char *arguments)
{
    mca_btl_xs_events_throw(MCA_BTL_XS_CAUGHT_JOB_RESUME, NULL, NULL, NULL);
    mca_btl_xs_command_resume(asked, arguments);
}

/* The answer and the event are to get out before. */
static void mca_btl_xs_command_job_abort(const mca_btl_xs_command_t *asked, char *arguments)
{
    const struct timeval later = {0, MCA_BTL_XS_COMMAND_ABORT_US};

    mca_btl_xs_events_throw(MCA_BTL_XS_CAUGHT_JOB_ABORT, NULL, NULL, NULL);
    mca_btl_xs_command_done(asked);
    opal_event_evtimer_add(&command.abortion, &later);
}

static void mca_btl_xs_command_abort(int fd, short flags, void *context)
{
    mca_btl_xs_compat_abort("JOB_ABORT has been thrown, for instance by xs-events");
}

/* What others have thrown, and what becomes of it here. */
static const mca_btl_xs_command_verb_t mca_btl_xs_command_catches[]
    = {{"NODE_MIGRATE", mca_btl_xs_command_migrate},
       {"IFACE_DEAD", mca_btl_xs_command_iface_dead},
       {"IFACE_RESTORED", mca_btl_xs_command_iface_restored},
       {"JOB_ABORT", mca_btl_xs_command_job_abort},
       {"JOB_RESUME", mca_btl_xs_command_job_resume},
       {NULL, NULL}};

/* False: there is none of this name. */
static bool mca_btl_xs_command_run(const mca_btl_xs_command_verb_t *verbs, const char *name,
                                   const mca_btl_xs_command_t *asked, char *arguments)
{
    static char nothing[] = "";

    for (; NULL != verbs->name; verbs++) {
        if (0 == strcmp(name, verbs->name)) {
            verbs->run(asked, NULL == arguments ? nothing : arguments);
            return true;
        }
    }
    return false;
}

/* EVENT [ARGUMENT] */
static void mca_btl_xs_command_throw(const mca_btl_xs_command_t *asked, char *arguments)
{
    char *name = strsep(&arguments, " ");

    if (!mca_btl_xs_command_run(mca_btl_xs_command_catches, name, asked, arguments)) {
        mca_btl_xs_command_answer(asked, "bad nobody catches '%s'", name);
    }
}

static const mca_btl_xs_command_verb_t mca_btl_xs_command_verbs[]
    = {{"status", mca_btl_xs_command_status},
       {"counters", mca_btl_xs_command_counters},
       {"hold", mca_btl_xs_command_hold},
       {"release", mca_btl_xs_command_release},
       {"quiesce", mca_btl_xs_command_quiesce},
       {"resume", mca_btl_xs_command_resume},
       {"subscribe", mca_btl_xs_command_subscribe},
       {"unsubscribe", mca_btl_xs_command_unsubscribe},
       {"acknowledge", mca_btl_xs_command_acknowledge},
       {"throw", mca_btl_xs_command_throw},
       {NULL, NULL}};

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
    if (!mca_btl_xs_command_run(mca_btl_xs_command_verbs, verb, &asked, text)) {
        mca_btl_xs_command_answer(&asked, "bad there is no command '%s'", verb);
    }
}

static void mca_btl_xs_command_heard(mca_btl_xs_bus_text_t *item)
{
    char *text = item->text;
    const char *id;

    if (MCA_BTL_XS_EVENTS_DUE == item->kind) {
        mca_btl_xs_events_due();
        return;
    }
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
    uint32_t count = mca_btl_xs_compat_job_size();
    char ranks[MCA_BTL_XS_COMMAND_RANKS], *text;

    if (1 != sscanf(request, "%4095s", ranks) || 0 > asprintf(&text, "%s %s", id, request)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* Where it is no list all say so. */
        if (0 != mca_btl_xs_command_in(ranks, i)) {
            mca_btl_xs_bus_say(MCA_BTL_XS_REQUEST, i, text);
        }
    }
    free(text);
}

void mca_btl_xs_command_open(void (*answered)(uint32_t rank, const char *id, const char *text))
{
    OBJ_CONSTRUCT(&command.waiting, opal_list_t);
    command.quiescing = false;
    opal_event_evtimer_set(opal_sync_event_base, &command.timer, mca_btl_xs_command_look, NULL);
    opal_event_evtimer_set(opal_sync_event_base, &command.abortion, mca_btl_xs_command_abort, NULL);
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
    opal_event_del(&command.abortion);
    OPAL_LIST_DESTRUCT(&command.waiting);
}
