// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Open MPI component against processes that send it anything: frames over TCP, and on a
 * ring; and lines of a tool at its gate. It is compiled as for Open MPI, but what it has below
 * it: tcp takes each frame, now or later, and throws it away; its connections break; rings are
 * streams of the fuzzer's. One peer has checksums.
 */
#include "btl_xs_tcp.c"

#include <sys/socket.h>
#include <unistd.h>

#include "btl_xs_bus.h"
#include "btl_xs_failover.h"
#include "btl_xs_gate.c"
#include "btl_xs_host.h"
#include "btl_xs_control.h"
#include "btl_xs_send.h"

#include "input.h"

#define JOB 7
#define SIZE 4 /* of the job */
#define PEERS 3 /* two of the own job and one of another */

/* Frames that tcp keeps at most, and fragments of which one knows that it had them. */
#define QUEUE 16
#define GIVEN 512

/* A tag that somebody has registered for, as the layer above does. */
#define TAG 0x41

int __wrap_mca_btl_xs_ring_offer(uint16_t peer, size_t size, uint8_t offer[XSOCK_OFFER_SIZE],
                                 mca_btl_xs_ring_t **ring);
int __wrap_mca_btl_xs_ring_connect(const uint8_t offer[XSOCK_OFFER_SIZE], uint16_t peer,
                                   mca_btl_xs_ring_t **ring);
void __wrap_mca_btl_xs_host_complain(int rc);

/* An endpoint of tcp's. */
struct connection {
    int fd, other; /* a pair of sockets; -1: there is no connection */
    opal_event_t readable, accept;
    bool begun;  /* something has been sent */
    bool failed; /* it has broken */
    mca_btl_base_descriptor_t *queue[QUEUE];
    unsigned int queued;
    bool given[GIVEN];
};

static mca_btl_base_module_t below;
static mca_btl_base_module_t *modules[] = {&below};
static mca_btl_xs_endpoint_t *peers[PEERS];
static int feed = -1, tool = -1, listener = -1;
static unsigned long inputs, delivered, mended, corrupt;
static bool arriving;

/* ---- what lies below and above ---- */

/* So that a sanitizer finds what is not ours. */
static void touch(const void *data, size_t size)
{
    const volatile unsigned char *at = data;

    for (size_t i = 0; i < size; i++) {
        (void) at[i];
    }
}

static mca_btl_base_descriptor_t *below_alloc(mca_btl_base_module_t *btl,
                                              mca_btl_xs_endpoint_t *endpoint, uint8_t order,
                                              size_t size, uint32_t flags)
{
    mca_btl_base_descriptor_t *des = calloc(1, sizeof(*des) + 2 * sizeof(*des->des_segments));

    must(des);
    des->des_segments = (mca_btl_base_segment_t *) (des + 1);
    return des;
}

static int below_free(mca_btl_base_module_t *btl, mca_btl_base_descriptor_t *des)
{
    free(des);
    return OPAL_SUCCESS;
}

static mca_btl_base_descriptor_t *unqueue(struct connection *connection)
{
    mca_btl_base_descriptor_t *des = connection->queue[0];

    if (0 == connection->queued) {
        return NULL;
    }
    connection->queued--;
    memmove(connection->queue, connection->queue + 1,
            connection->queued * sizeof(connection->queue[0]));
    return des;
}

/* The kernel takes what was queued. */
static void flush(struct connection *connection)
{
    mca_btl_base_descriptor_t *des;

    while (NULL != (des = unqueue(connection))) {
        for (size_t i = 0; i < des->des_segment_count; i++) {
            touch(des->des_segments[i].seg_addr.pval, des->des_segments[i].seg_len);
        }
        des->des_cbfunc(&below, (mca_btl_xs_endpoint_t *) connection, des, OPAL_SUCCESS);
        free(des);
    }
}

/* Open MPI 4.1 forgets a descriptor that it says has failed. */
static void fails(struct connection *connection, mca_btl_base_descriptor_t *des)
{
    des->des_cbfunc(&below, (mca_btl_xs_endpoint_t *) connection, des, OPAL_ERR_UNREACH);
#if OPAL_MAJOR_VERSION >= 5
    free(des);
#endif
}

/* At its end tcp says what it had, or not. */
static void closes(struct connection *connection)
{
    bool forgets = take(1) % 2;
    mca_btl_base_descriptor_t *des;

    opal_event_del(&connection->readable);
    close(connection->fd);
    close(connection->other);
    connection->fd = connection->other = -1;
    connection->failed = true;
    while (NULL != (des = unqueue(connection))) {
        if (!forgets) {
            fails(connection, des);
        }
    }
}

static void at_end(int fd, short flags, void *context)
{
    char byte;

    if (0 == recv(fd, &byte, sizeof(byte), MSG_DONTWAIT)) {
        closes(context);
    }
}

static void connects(struct connection *connection)
{
    int fds[2];

    if (-1 != connection->fd) {
        return;
    }
    must(0 == socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
    connection->fd = fds[0];
    connection->other = fds[1];
    connection->failed = false;
    opal_event_set(opal_sync_event_base, &connection->readable, connection->fd,
                   OPAL_EV_READ | OPAL_EV_PERSIST, at_end, connection);
    opal_event_add(&connection->readable, NULL);
}

static void accepts(int fd, short flags, void *context)
{
    connects(context);
}

static int below_add_procs(mca_btl_base_module_t *btl, size_t count, opal_proc_t **procs,
                           mca_btl_xs_endpoint_t **endpoints, opal_bitmap_t *reachable)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    must(connection);
    connection->fd = connection->other = -1;
    opal_event_evtimer_set(opal_sync_event_base, &connection->accept, accepts, connection);
    endpoints[0] = (mca_btl_xs_endpoint_t *) connection;
    return OPAL_SUCCESS;
}

static int below_del_procs(mca_btl_base_module_t *btl, size_t count, opal_proc_t **procs,
                           mca_btl_xs_endpoint_t **endpoints)
{
    struct connection *connection = (struct connection *) endpoints[0];

    /* Libevent would call it in spite of that. */
    must(!event_pending(&connection->accept, EV_TIMEOUT, NULL));
    if (-1 != connection->fd) {
        closes(connection);
    }
    free(connection);
    return OPAL_SUCCESS;
}

static struct connection *connection_of(const mca_btl_xs_endpoint_t *peer)
{
    return (struct connection *) peer->links->endpoint;
}

static void below_look(const struct connection *connection, const mca_btl_xs_frag_t *frag,
                       const mca_btl_base_descriptor_t *des)
{
    const mca_btl_xs_check_t *check = des->des_segments[0].seg_addr.pval;
    const bool checked = frag->endpoint->checksum;
    const mca_btl_xs_tcp_hdr_t *frame = (const void *) (checked ? check + 1 : check);
    size_t size = 0;

    for (size_t i = 0; i < des->des_segment_count; i++) {
        touch(des->des_segments[i].seg_addr.pval, des->des_segments[i].seg_len);
        size += des->des_segments[i].seg_len;
    }
    if (checked) {
        size -= sizeof(*check);
        must(check->head == mca_btl_xs_crc(0, frame, sizeof(*frame)));
        must(check->all == mca_btl_xs_frag_crc(frag, check->head));
    }
    must(size == sizeof(*frame) + frame->hdr.size);
    must(JOB == frame->jobid && 0 == frame->vpid);
    must(MCA_BTL_XS_DATA <= frame->hdr.kind && MCA_BTL_XS_BEGUN >= frame->hdr.kind);
    /* Each connection begins with BEGIN, and has no fragment before it is good. */
    must(connection->begun || MCA_BTL_XS_BEGIN == frame->hdr.kind);
    must(MCA_BTL_XS_DATA != frame->hdr.kind || MCA_BTL_XS_TCP_UP == frag->endpoint->tcp_state);
    for (unsigned int i = 0; i < connection->queued; i++) {
        must(frag != connection->queue[i]->des_cbdata);
    }
}

static int below_send(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                      mca_btl_base_descriptor_t *des, mca_btl_base_tag_t tag)
{
    struct connection *connection = (struct connection *) endpoint;
    const mca_btl_xs_frag_t *frag = des->des_cbdata;

    must((frag->endpoint->checksum ? MCA_BTL_XS_TCP_CHECKED_TAG : MCA_BTL_XS_TCP_TAG) == tag);
    below_look(connection, frag, des);
    connection->begun = true;
    if (frag->endpoint->tcp_known) {
        switch (connection->failed ? 0 : take(1) % 32) {
        case 0:
            return OPAL_ERR_UNREACH;
        case 1:
            fails(connection, des);
            return OPAL_ERR_UNREACH;
        }
    }
    connects(connection);
    if (MCA_BTL_XS_DATA == frag->frame.hdr.kind) {
        connection->given[frag->frame.hdr.number % GIVEN] = true;
    }
    if (QUEUE > connection->queued && (0 != connection->queued || 0 == take(1) % 4)) {
        connection->queue[connection->queued++] = des;
        return 0;
    }
    free(des);
    return 1;
}

int __wrap_mca_btl_xs_ring_offer(uint16_t peer, size_t size, uint8_t offer[XSOCK_OFFER_SIZE],
                                 mca_btl_xs_ring_t **ring)
{
    return -ENETDOWN;
}

/* What comes over the ring is in feed; how it is read is the component's. */
int __wrap_mca_btl_xs_ring_connect(const uint8_t offer[XSOCK_OFFER_SIZE], uint16_t peer,
                                   mca_btl_xs_ring_t **result)
{
    mca_btl_xs_ring_t *ring;
    struct xsock_offer decoded;
    int fds[2], rc = xsock_offer_decode(offer, XSOCK_OFFER_SIZE, &decoded);

    if (0 != rc && 0 != offer[0] % 2) {
        return rc;
    }
    must(0 == socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
    if (-1 != feed) {
        close(feed);
    }
    feed = fds[0];
    ring = calloc(1, sizeof(*ring));
    must(ring);
    ring->fd = fds[1];
    ring->size = 4096;
    /* Exactly so many: one beyond them is found by the sanitizer. */
    ring->bytes = malloc(ring->size);
    must(ring->bytes);
    *result = ring;
    return 0;
}

void __wrap_mca_btl_xs_host_complain(int rc)
{
    (void) rc;
}

static MCA_BTL_XS_RECEIVE_CALLBACK(above, received)
{
    must(1 == received->des_segment_count);
    touch(received->des_segments->seg_addr.pval, received->des_segments->seg_len);
    delivered++;
}

static void sent(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                 mca_btl_base_descriptor_t *des, int status)
{
    must(OPAL_SUCCESS == status);
}

/* Frames over TCP come from tcp only, not out of other frames. */
static MCA_BTL_XS_RECEIVE_CALLBACK(from_tcp, received)
{
    must(arriving);
    arriving = false;
    MCA_BTL_XS_TCP_HAND_ON(mca_btl_xs_tcp_arrived);
}

static MCA_BTL_XS_RECEIVE_CALLBACK(from_tcp_checked, received)
{
    must(arriving);
    arriving = false;
    MCA_BTL_XS_TCP_HAND_ON(mca_btl_xs_tcp_arrived_checked);
}

/* ---- a process of a job ---- */

static void talk_one(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->due) {
        endpoint->due = false;
        mca_btl_xs_path_talk(endpoint);
    }
}

static void talk(int fd, short flags, void *context)
{
    mca_btl_xs_component_for_all(talk_one);
}

static void listen_for_tools(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A name that the kernel chooses. */
    must(0 == bind(listener, (struct sockaddr *) &address, sizeof(address.sun_family)));
    must(0 == listen(listener, 8));
}

/* The layer above makes processes: only those that can be there are to be asked for. */
static opal_proc_t *proc_for_name(opal_process_name_t name)
{
#if OPAL_MAJOR_VERSION >= 5
    must(JOB == name.jobid && 0 != name.vpid && SIZE > name.vpid);
#endif
    return NULL;
}

/* Once. */
static void prepare(void)
{
    opal_process_name_t *name = (opal_process_name_t *) &OPAL_PROC_MY_NAME;

    name->jobid = JOB;
    name->vpid = 0;
#if OPAL_MAJOR_VERSION >= 5
    opal_process_info.num_procs = SIZE;
    /* Of jobs none is known to it. */
    opal_pmix_setup_nspace_tracker();
    /* Or it would not connect any more. */
    opal_initialized = 1;
#endif
    opal_process_info.nodename = (char *) "here";
    opal_proc_for_name = proc_for_name;
    opal_btl_base_framework.framework_output = -1;
    opal_sync_event_base = event_base_new();
    must(opal_sync_event_base);
    below.btl_eager_limit = below.btl_max_send_size = 128 * 1024;
    below.btl_alloc = below_alloc;
    below.btl_send = below_send;
    below.btl_free = below_free;
    below.btl_add_procs = below_add_procs;
    below.btl_del_procs = below_del_procs;
    tcp.modules = modules;
    tcp.count = 1;
    mca_btl_base_active_message_trigger[TAG].cbfunc = above;
    mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_TAG].cbfunc = from_tcp;
    mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_CHECKED_TAG].cbfunc = from_tcp_checked;

    mca_btl_xs.super.btl_eager_limit = 16 * 1024;
    mca_btl_xs.super.btl_max_send_size = 64 * 1024;
    mca_btl_xs_component.free_list_num = 8;
    mca_btl_xs_component.free_list_max = -1;
    mca_btl_xs_component.free_list_inc = 32;
    mca_btl_xs_component.window = 16 * 1024;
    mca_btl_xs_component.ring_size = 4096;
    mca_btl_xs_component.enable = true;
    mca_btl_xs_component.failover = 60;
    mca_btl_xs_component.checksum = true;
    mca_btl_xs_component.progress = MCA_BTL_XS_PROGRESS_AUTO;
    OBJ_CONSTRUCT(&mca_btl_xs_component.lock, opal_mutex_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.endpoints, opal_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.by_name, opal_hash_table_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_small, opal_free_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_eager, opal_free_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_max, opal_free_list_t);
    must(OPAL_SUCCESS == opal_hash_table_init(&mca_btl_xs_component.by_name, 64));
    must(OPAL_SUCCESS == mca_btl_xs_frag_init());
    opal_event_evtimer_set(opal_sync_event_base, &mca_btl_xs_component.talk, talk, NULL);
    mca_btl_xs_host.available = true;
    mca_btl_xs_host.domid = 1;
    mca_btl_xs_host.epoch = 1;
    mca_btl_xs_control_open();
    must(OPAL_SUCCESS == mca_btl_xs_watch_open());
    listen_for_tools();
}

static uint64_t key(opal_process_name_t name)
{
    return (uint64_t) name.jobid << 32 | name.vpid;
}

static void make_peer(int i)
{
    opal_process_name_t name = {.jobid = PEERS - 1 == i ? JOB + 1 : JOB, .vpid = i + 1};
    mca_btl_xs_endpoint_t *peer = OBJ_NEW(mca_btl_xs_endpoint_t);

    must(peer);
    peer->proc = OBJ_NEW(opal_proc_t);
    peer->proc->proc_name = name;
    /* One that cannot connect again. */
    peer->tcp_mend = PEERS - 1 != i;
    peer->checksum = peer->tx_special = 1 == i;
    must(1 == mca_btl_xs_tcp_add_proc(peer));
    mca_btl_xs_failover_init(peer);
    mca_btl_xs_send_init(peer);
    opal_list_append(&mca_btl_xs_component.endpoints, &peer->super);
    must(OPAL_SUCCESS
         == opal_hash_table_set_value_uint64(&mca_btl_xs_component.by_name, key(name), peer));
    peers[i] = peer;
}

static void events(void)
{
    event_base_loop(opal_sync_event_base, EVLOOP_NONBLOCK);
}

static void begin(void)
{
    OBJ_CONSTRUCT(&gate.tools, opal_list_t);
    gate.numbers = 0;
    for (int i = 0; i < PEERS; i++) {
        make_peer(i);
    }
    mca_btl_xs_command_open(mca_btl_xs_gate_answered);
}

static void end(void)
{
    mca_btl_xs_control_hold(false);
    mca_btl_xs_control_quiesce(false);
    events();
    mca_btl_xs_command_close();
    while (!opal_list_is_empty(&gate.tools)) {
        mca_btl_xs_gate_drop((mca_btl_xs_gate_tool_t *) opal_list_get_first(&gate.tools));
    }
    OBJ_DESTRUCT(&gate.tools);
    opal_event_del(&mca_btl_xs_component.talk);
    for (int i = 0; i < PEERS; i++) {
        opal_proc_t *proc = peers[i]->proc;

        mended += peers[i]->counters.reconnects;
        corrupt += peers[i]->counters.corrupt;
        peers[i]->quiet = true;
        while (mca_btl_xs_tcp_accepting(peers[i])) {
            events();
        }
        mca_btl_xs_progress_remove(peers[i]);
        opal_list_remove_item(&mca_btl_xs_component.endpoints, &peers[i]->super);
        (void) opal_hash_table_remove_value_uint64(&mca_btl_xs_component.by_name,
                                                   key(proc->proc_name));
        mca_btl_xs_tcp_del_proc(peers[i]);
        mca_btl_xs_failover_fini(peers[i]);
        mca_btl_xs_send_fini(peers[i]);
        OBJ_RELEASE(peers[i]);
        OBJ_RELEASE(proc);
    }
    mca_btl_xs_progress_end();
    if (-1 != feed) {
        close(feed);
    }
    if (-1 != tool) {
        close(tool);
    }
    feed = tool = -1;
}

/* ---- what the fuzzer does ---- */

static uint32_t some_size(uint32_t right)
{
    switch (take(1) % 8) {
    case 0:
        return take(1);
    case 1:
        return take(4);
    case 2:
        return right + take(1) % 17 - 8;
    default:
        return right;
    }
}

static uint64_t some_number(uint64_t right)
{
    switch (take(1) % 6) {
    case 0:
        return take(8);
    case 1:
        return right + take(1);
    case 2:
        return right - take(1);
    default:
        return right;
    }
}

static const char *const words[] = {"1", "0", "*", "0-3", "hold", "release", "quiesce", "resume",
                                    "status", "counters", "peers", "2", "1.1", "done", "%s", " "};

static size_t some_text(unsigned char *to, size_t most)
{
    size_t length = 0;

    for (int n = take(1) % 6; n > 0; n--) {
        const char *word = words[take(1) % (sizeof(words) / sizeof(words[0]))];
        size_t size = strlen(word);

        if (length + size + 1 < most) {
            memcpy(to + length, word, size);
            length += size;
            to[length++] = 0 == take(1) % 8 ? take(1) : ' ';
        }
    }
    return length;
}

static uint8_t some_tag(void)
{
    switch (take(1) % 8) {
    case 0:
        return MCA_BTL_XS_TCP_TAG;
    case 1:
        return take(1);
    default:
        return TAG;
    }
}

/* A head that makes sense for this peer, or not. */
static mca_btl_xs_hdr_t some_head(const mca_btl_xs_endpoint_t *peer, uint8_t kind, uint32_t size)
{
    mca_btl_xs_hdr_t hdr = {.number = some_number(peer->rx_next),
                            .covered = some_number(peer->tx_next),
                            .size = size,
                            .kind = kind,
                            .tag = some_tag(),
                            .flags = take(1) % 4};

    return hdr;
}

static size_t some_body(uint8_t kind, unsigned char *body, size_t most)
{
    static const size_t sizes[] = {[MCA_BTL_XS_HELLO] = sizeof(mca_btl_xs_hello_t),
                                   [MCA_BTL_XS_OFFER] = sizeof(mca_btl_xs_offer_t),
                                   [MCA_BTL_XS_ACCEPT] = sizeof(mca_btl_xs_answer_t),
                                   [MCA_BTL_XS_REFUSE] = sizeof(mca_btl_xs_answer_t),
                                   [MCA_BTL_XS_BEGIN] = sizeof(mca_btl_xs_begin_t),
                                   [MCA_BTL_XS_BEGUN] = sizeof(mca_btl_xs_begin_t)};
    size_t size;

    if (MCA_BTL_XS_REQUEST == kind || MCA_BTL_XS_ANSWER == kind) {
        return some_text(body, most);
    }
    size = kind <= MCA_BTL_XS_BEGUN && MCA_BTL_XS_DATA != kind ? sizes[kind] : take(1);
    if (0 == take(1) % 16) {
        size = take(1) % (size + 1);
    }
    for (size_t i = 0; i < size && i < 40; i++) {
        body[i] = take(1);
    }
    return size;
}

/* A checksum, nearly always the right one. */
static mca_btl_xs_check_t some_check(const void *head, size_t head_size, const void *data,
                                     size_t size)
{
    mca_btl_xs_check_t check;

    check.head = mca_btl_xs_crc(0, head, head_size) ^ (0 == take(1) % 32);
    check.all = mca_btl_xs_crc(check.head, data, size) ^ (0 == take(1) % 32);
    return check;
}

/* A frame over TCP, in memory of just its length. */
static void arrives(void)
{
    mca_btl_xs_endpoint_t *peer = peers[take(1) % PEERS];
    mca_btl_base_segment_t segment;
    mca_btl_xs_tcp_hdr_t frame;
    unsigned char body[300] = {0};
    uint8_t kind = 0 == take(1) % 16 ? take(1) : 1 + take(1) % MCA_BTL_XS_BEGUN;
    size_t size = some_body(kind, body, sizeof(body)), length = sizeof(frame) + size;
    const size_t before = peer->checksum ? sizeof(mca_btl_xs_check_t) : 0;
    const uint64_t found = peer->counters.corrupt;
    bool damaged = false, own = peer->met;
    mca_btl_xs_check_t check;
    unsigned char *memory;

    if (MCA_BTL_XS_BEGUN == kind && sizeof(mca_btl_xs_begin_t) == size) {
        uint32_t generation = some_number(peer->tcp_generation);

        memcpy(body, &generation, sizeof(generation));
    }
    connects(connection_of(peer));
    frame.jobid = peer->proc->proc_name.jobid;
    frame.vpid = peer->proc->proc_name.vpid;
    frame.hdr = some_head(peer, kind, some_size(size));
    switch (take(1) % 32) {
    case 0:
        frame.vpid = take(4);
        own = false;
        break;
    case 1:
        frame.jobid = take(4);
        own = false;
        break;
    case 2:
        length = take(1) % sizeof(frame);
        break;
    }
    memory = malloc(before + length);
    must(NULL != memory || 0 == before + length);
    memcpy(memory + before, &frame, length < sizeof(frame) ? length : sizeof(frame));
    if (length > sizeof(frame)) {
        memcpy(memory + before + sizeof(frame), body, length - sizeof(frame));
    }
    if (0 != before) {
        check = some_check(&frame, sizeof(frame), body, size);
        memcpy(memory, &check, sizeof(check));
        damaged = length < sizeof(frame) || frame.hdr.size != size
                  || check.head != mca_btl_xs_crc(0, &frame, sizeof(frame))
                  || check.all != mca_btl_xs_crc(check.head, body, size);
    }
    segment.seg_addr.pval = memory;
    segment.seg_len = before + length;
    arriving = true;
    mca_btl_xs_compat_deliver(&below, NULL,
                              0 == before ? MCA_BTL_XS_TCP_TAG : MCA_BTL_XS_TCP_CHECKED_TAG,
                              &segment);
    free(memory);
    /* None is dropped without a word. */
    must(!damaged || !own || found < peer->counters.corrupt);
}

/* Something comes over the newest ring; part of a frame, at times. */
static void comes_by_ring(void)
{
    mca_btl_xs_endpoint_t *peer = peers[take(1) % PEERS];
    unsigned char bytes[sizeof(mca_btl_xs_ring_hdr_t) + 304] __attribute__((aligned(8))) = {0};
    mca_btl_xs_ring_hdr_t *frame = (mca_btl_xs_ring_hdr_t *) bytes;
    uint32_t size = take(1);
    uint8_t kind = peer->checksum ? MCA_BTL_XS_CHECKED : MCA_BTL_XS_DATA;
    size_t need = mca_btl_xs_ring_need(size);

    if (-1 == feed) {
        return;
    }
    frame->hdr = some_head(peer, 0 == take(1) % 16 ? take(1) : kind, some_size(size));
    if (peer->checksum) {
        frame->check = some_check(&frame->hdr, sizeof(frame->hdr), frame + 1, size);
    }
    if (0 == take(1) % 8) {
        need = take(1) % (need + 1);
    }
    (void) !send(feed, bytes, need, MSG_NOSIGNAL);
    if (0 == take(1) % 32) {
        close(feed);
        feed = -1;
    }
}

/* The layer above sends something. */
static void sends(void)
{
    mca_btl_xs_endpoint_t *peer = peers[take(1) % PEERS];
    mca_btl_xs_frag_t *frag = mca_btl_xs_frag_alloc(take(2) % 4096,
                                                    MCA_BTL_DES_FLAGS_BTL_OWNERSHIP);

    must(frag);
    memset(mca_btl_xs_frag_data(frag), 0, mca_btl_xs_frag_size(frag));
    frag->base.des_cbfunc = sent;
    frag->frame.hdr.tag = TAG;
    (void) mca_btl_xs_send_frag(peer, frag);
}

/* A connection breaks, or takes what it was given, or the peer makes one. */
static void connection_changes(void)
{
    mca_btl_xs_endpoint_t *peer = peers[take(1) % PEERS];
    struct connection *connection = connection_of(peer);

    switch (take(1) % 4) {
    case 0:
        flush(connection);
        break;
    case 1:
        if (-1 == connection->fd) {
            const struct timeval now = {0, 0};

            opal_event_evtimer_add(&connection->accept, &now);
        }
        break;
    default:
        /* Before it is known tcp says so, and the job ends. */
        if (peer->tcp_known && -1 != connection->fd) {
            shutdown(connection->other, SHUT_RDWR);
        }
        break;
    }
}

static void tool_comes(void)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);

    must(0 == getsockname(listener, (struct sockaddr *) &address, &length));
    if (-1 != tool) {
        close(tool);
    }
    tool = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(0 == connect(tool, (struct sockaddr *) &address, length));
    mca_btl_xs_gate_connected(listener, 0, NULL);
}

/* Each line that a tool gets is one: nothing that a rank says makes two of it. */
static void tool_reads(void)
{
    char text[65536];
    ssize_t size = recv(tool, text, sizeof(text), MSG_DONTWAIT);

    must(size <= 0 || '\n' == text[size - 1] || (ssize_t) sizeof(text) == size);
    for (ssize_t i = 0; i < size; i++) {
        must('\n' == text[i] || isprint((unsigned char) text[i]));
        must(0 == i || '\n' != text[i - 1] || isdigit((unsigned char) text[i]));
    }
}

static void tool_asks(void)
{
    unsigned char text[200];
    size_t size = some_text(text, sizeof(text) - 1);

    if (-1 == tool) {
        tool_comes();
    }
    text[size++] = 0 == take(1) % 4 ? 'x' : '\n';
    (void) !send(tool, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    events();
    tool_reads();
}

/* What has not arrived has gone by the connection that there is, or will. */
static void look_at_retained(const mca_btl_xs_endpoint_t *peer)
{
    const struct connection *connection = connection_of(peer);
    unsigned int flying = 0;
    uint64_t last = peer->tx_covered;
    mca_btl_xs_frag_t *frag;

    OPAL_LIST_FOREACH (frag, &peer->tx_retained, mca_btl_xs_frag_t) {
        must(frag->frame.hdr.number >= last && frag->frame.hdr.number < peer->tx_next);
        last = frag->frame.hdr.number + 1;
        must(peer->quiet || peer->tx_again || connection->given[frag->frame.hdr.number % GIVEN]);
    }
    must(peer->quiet || peer->tx_again || MCA_BTL_XS_TCP_UP == peer->tcp_state);
    for (frag = peer->tx_flying; NULL != frag; frag = frag->fly_next) {
        must(NULL != frag->des && *frag->fly_at == frag);
        flying++;
    }
    must(flying == peer->links->flying && flying >= connection->queued);
}

/* What holds after each step. */
static void look(void)
{
    for (int i = 0; i < PEERS; i++) {
        const mca_btl_xs_endpoint_t *peer = peers[i];
        uint64_t last = peer->rx_next;
        mca_btl_xs_early_t *early;

        must(peer->tx_covered <= peer->tx_next);
        must(!peer->tx_busy && !peer->rx_busy && !peer->lost);
        OPAL_LIST_FOREACH (early, &peer->rx_early, mca_btl_xs_early_t) {
            must(early->hdr.number >= last);
            last = early->hdr.number + 1;
            touch(early + 1, early->hdr.size);
        }
        look_at_retained(peer);
    }
}

/* Has it got anywhere? */
static void __attribute__((destructor)) look_back(void)
{
    must(1000 > inputs
         || (inputs / 10 < delivered && inputs / 100 < mended && inputs / 100 < corrupt));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bool prepared;

    if (!prepared) {
        prepare();
        prepared = true;
    }
    inputs++;
    input = data;
    input_left = len;
    begin();
    while (input_left) {
        switch (take(1) % 10) {
        case 0:
            comes_by_ring();
            events();
            break;
        case 1:
            comes_by_ring();
            (void) mca_btl_xs_progress();
            break;
        case 2:
            sends();
            break;
        case 3:
            tool_asks();
            break;
        case 4:
            events();
            break;
        case 5:
            connection_changes();
            break;
        default:
            arrives();
            break;
        }
        look();
    }
    end();
    return 0;
}
