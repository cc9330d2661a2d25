/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_gate.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "btl_xs.h"
#include "btl_xs_command.h"

#define MCA_BTL_XS_GATE_VERSION 1

/* What the name of the socket begins with; the rank follows. */
#define MCA_BTL_XS_GATE_NAME "btl-xs."

#define MCA_BTL_XS_GATE_TOOLS 8
#define MCA_BTL_XS_GATE_LINE 4096

/* A tool that reads no more is cut off when so much waits for it. */
#define MCA_BTL_XS_GATE_MOST (4 << 20)

/**
 * A tool that has connected.
 */
struct mca_btl_xs_gate_tool_t {
    opal_list_item_t super;
    unsigned int number; /* ours, for ids */
    int fd;
    opal_event_t readable;
    opal_event_t writable;
    bool full; /* writable has been added */
    bool subscribed; /* processes may have events for it */
    unsigned long subscription; /* its id for them */
    char line[MCA_BTL_XS_GATE_LINE];
    size_t length;
    char *out;
    size_t out_length;
};
typedef struct mca_btl_xs_gate_tool_t mca_btl_xs_gate_tool_t;
OBJ_CLASS_DECLARATION(mca_btl_xs_gate_tool_t);
OBJ_CLASS_INSTANCE(mca_btl_xs_gate_tool_t, opal_list_item_t, NULL, NULL);

static struct {
    int fd;
    char path[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
    opal_event_t connected;
    opal_list_t tools;
    unsigned int numbers;
    bool closing;
} gate = {.fd = -1};

static void mca_btl_xs_gate_drop(mca_btl_xs_gate_tool_t *tool)
{
    opal_list_remove_item(&gate.tools, &tool->super);
    opal_event_del(&tool->readable);
    if (tool->full) {
        opal_event_del(&tool->writable);
    }
    if (tool->subscribed && !gate.closing) {
        char id[32];

        snprintf(id, sizeof(id), "%u.0", tool->number);
        mca_btl_xs_command_ask(id, "* unsubscribe");
    }
    close(tool->fd);
    free(tool->out);
    OBJ_RELEASE(tool);
}

/* Writes what there is. */
static void mca_btl_xs_gate_flush(mca_btl_xs_gate_tool_t *tool)
{
    ssize_t written = 1;

    while (tool->out_length > 0 && written > 0) {
        written = send(tool->fd, tool->out, tool->out_length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (written > 0) {
            tool->out_length -= written;
            memmove(tool->out, tool->out + written, tool->out_length);
        }
    }
    /* If it has gone, that is also found by reading. */
    if (tool->out_length > 0 && !tool->full && EAGAIN == errno) {
        tool->full = true;
        opal_event_add(&tool->writable, NULL);
    }
}

static void mca_btl_xs_gate_writable(int fd, short flags, void *context)
{
    mca_btl_xs_gate_tool_t *tool = context;

    tool->full = false;
    mca_btl_xs_gate_flush(tool);
}

static void mca_btl_xs_gate_tell(mca_btl_xs_gate_tool_t *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void mca_btl_xs_gate_tell(mca_btl_xs_gate_tool_t *tool, const char *format, ...)
{
    char *text = NULL, *out;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        return;
    }
    if (tool->out_length + length > MCA_BTL_XS_GATE_MOST) {
        /* Which is found by reading, too. */
        shutdown(tool->fd, SHUT_RDWR);
        free(text);
        return;
    }
    out = realloc(tool->out, tool->out_length + length);
    if (NULL != out) {
        tool->out = out;
        memcpy(out + tool->out_length, text, length);
        tool->out_length += length;
    }
    free(text);
    mca_btl_xs_gate_flush(tool);
}

/* Is it one line, and nothing but text? */
static bool mca_btl_xs_gate_plain(const char *line)
{
    while (isprint((unsigned char) *line)) {
        line++;
    }
    return '\0' == *line;
}

/*
 * A process has answered: to whom? The id is NUMBER.ID. What it says must not pass for
 * another one's answer.
 */
static void mca_btl_xs_gate_answered(uint32_t rank, const char *id, const char *text)
{
    mca_btl_xs_gate_tool_t *tool, *next;
    unsigned int number;
    unsigned long tools_id;

    if (2 != sscanf(id, "%u.%lu", &number, &tools_id) || !mca_btl_xs_gate_plain(text)) {
        return;
    }
    OPAL_LIST_FOREACH_SAFE (tool, next, &gate.tools, mca_btl_xs_gate_tool_t) {
        if (tool->number == number) {
            mca_btl_xs_gate_tell(tool, "%lu %u %s\n", tools_id, rank, text);
        }
    }
}

/* ID RANKS VERB [ARGUMENT...] */
static void mca_btl_xs_gate_line(mca_btl_xs_gate_tool_t *tool, const char *line)
{
    unsigned long tools_id;
    int length = 0;
    char id[32];

    if (mca_btl_xs_gate_plain(line) && 1 == sscanf(line, "%lu %n", &tools_id, &length)
        && 0 != length) {
        snprintf(id, sizeof(id), "%u.%lu", tool->number, tools_id);
        if (NULL != strstr(line, " subscribe")) {
            tool->subscribed = true;
            tool->subscription = tools_id;
        }
        mca_btl_xs_command_ask(id, line + length);
    }
}

void mca_btl_xs_gate_mended(uint32_t rank)
{
    mca_btl_xs_gate_tool_t *tool;

    OPAL_LIST_FOREACH (tool, &gate.tools, mca_btl_xs_gate_tool_t) {
        if (tool->subscribed) {
            mca_btl_xs_gate_tell(tool, "%lu %u again\n", tool->subscription, rank);
        }
    }
}

static void mca_btl_xs_gate_readable(int fd, short flags, void *context)
{
    mca_btl_xs_gate_tool_t *tool = context;
    ssize_t got;
    char *end;

    got = recv(fd, tool->line + tool->length, sizeof(tool->line) - tool->length, MSG_DONTWAIT);
    if (got < 0 && (EAGAIN == errno || EINTR == errno)) {
        return;
    }
    if (got <= 0) {
        mca_btl_xs_gate_drop(tool);
        return;
    }
    tool->length += got;
    while (NULL != (end = memchr(tool->line, '\n', tool->length))) {
        *end = '\0';
        mca_btl_xs_gate_line(tool, tool->line);
        tool->length -= end + 1 - tool->line;
        memmove(tool->line, end + 1, tool->length);
    }
    if (sizeof(tool->line) == tool->length) {
        mca_btl_xs_gate_drop(tool);
    }
}

/* The file's mode keeps others out; this does so where somebody has changed it. */
static bool mca_btl_xs_gate_permitted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    return 0 == getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)
           && (0 == peer.uid || geteuid() == peer.uid);
}

/* False: nobody has connected. */
static bool mca_btl_xs_gate_accept(int fd)
{
    const char *refused = NULL;
    mca_btl_xs_gate_tool_t *tool;
    const char *job = mca_btl_xs_compat_job_name();
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (-1 == peer) {
        return false;
    }
    if (!mca_btl_xs_gate_permitted(peer)) {
        refused = "xs-btlctl refused\n";
    } else if (MCA_BTL_XS_GATE_TOOLS <= opal_list_get_size(&gate.tools)
               || NULL == (tool = OBJ_NEW(mca_btl_xs_gate_tool_t))) {
        refused = "xs-btlctl busy\n";
    }
    if (NULL != refused) {
        (void) send(peer, refused, strlen(refused), MSG_DONTWAIT | MSG_NOSIGNAL);
        close(peer);
        return true;
    }
    tool->number = ++gate.numbers;
    tool->fd = peer;
    tool->full = tool->subscribed = false;
    tool->length = tool->out_length = 0;
    tool->out = NULL;
    opal_list_append(&gate.tools, &tool->super);
    opal_event_set(opal_sync_event_base, &tool->readable, peer, OPAL_EV_READ | OPAL_EV_PERSIST,
                   mca_btl_xs_gate_readable, tool);
    opal_event_set(opal_sync_event_base, &tool->writable, peer, OPAL_EV_WRITE,
                   mca_btl_xs_gate_writable, tool);
    opal_event_add(&tool->readable, NULL);
    mca_btl_xs_gate_tell(tool, "xs-btlctl %d %u %u %d %s\n", MCA_BTL_XS_GATE_VERSION,
                         OPAL_PROC_MY_NAME.vpid, mca_btl_xs_compat_job_size(), (int) getpid(),
                         NULL == job ? "-" : job);
    return true;
}

static void mca_btl_xs_gate_connected(int fd, short flags, void *context)
{
    while (mca_btl_xs_gate_accept(fd)) {
        continue;
    }
}

/* The job's, of this guest, where nobody else can write; NULL: there is no such place. */
static const char *mca_btl_xs_gate_directory(void)
{
    const char *directory = opal_process_info.job_session_dir;
    struct stat stat;

    return NULL != directory && 0 == lstat(directory, &stat) && S_ISDIR(stat.st_mode)
                   && geteuid() == stat.st_uid && 0 == (stat.st_mode & (S_IWGRP | S_IWOTH))
               ? directory
               : NULL;
}

static int mca_btl_xs_gate_listen(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *directory = mca_btl_xs_gate_directory();
    int fd;

    if (NULL == directory
        || (int) sizeof(gate.path) <= snprintf(gate.path, sizeof(gate.path), "%s/%s%u", directory,
                                               MCA_BTL_XS_GATE_NAME, OPAL_PROC_MY_NAME.vpid)) {
        return -1;
    }
    strcpy(address.sun_path, gate.path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode first: the file is made with it. */
    if (-1 != fd
        && (0 != fchmod(fd, S_IRUSR | S_IWUSR)
            || 0 != bind(fd, (struct sockaddr *) &address, sizeof(address))
            || 0 != listen(fd, MCA_BTL_XS_GATE_TOOLS))) {
        close(fd);
        return -1;
    }
    return fd;
}

void mca_btl_xs_gate_open(void)
{
    OBJ_CONSTRUCT(&gate.tools, opal_list_t);
    gate.closing = false;
    gate.fd = mca_btl_xs_gate_listen();
    if (-1 == gate.fd) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "no socket for commands in %s",
                           NULL == opal_process_info.job_session_dir
                               ? "a session directory"
                               : opal_process_info.job_session_dir);
    } else {
        opal_event_set(opal_sync_event_base, &gate.connected, gate.fd,
                       OPAL_EV_READ | OPAL_EV_PERSIST, mca_btl_xs_gate_connected, NULL);
        opal_event_add(&gate.connected, NULL);
    }
    mca_btl_xs_command_open(mca_btl_xs_gate_answered);
}

void mca_btl_xs_gate_close(void)
{
    mca_btl_xs_gate_tool_t *tool;

    mca_btl_xs_command_close();
    if (-1 == gate.fd) {
        return;
    }
    gate.closing = true;
    /* Who has just connected is to learn, too, that this is no death. */
    mca_btl_xs_gate_connected(gate.fd, 0, NULL);
    while (!opal_list_is_empty(&gate.tools)) {
        tool = (mca_btl_xs_gate_tool_t *) opal_list_get_first(&gate.tools);
        mca_btl_xs_gate_tell(tool, "xs-btlctl bye\n");
        mca_btl_xs_gate_drop(tool);
    }
    opal_event_del(&gate.connected);
    close(gate.fd);
    gate.fd = -1;
    unlink(gate.path);
}
