/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What two components say to each other; Documentation/btl.md explains it.
 * Integers are little-endian, as everywhere in xensocket.
 */
#ifndef MCA_BTL_XS_WIRE_H
#define MCA_BTL_XS_WIRE_H

#include <stdint.h>

#include <xensocket.h>

#define MCA_BTL_XS_WIRE_VERSION 6

/* Tag of all that xs sends through the wrapped tcp component; used by nobody else. */
#define MCA_BTL_XS_TCP_TAG (MCA_BTL_TAG_BTL + 0x1c)

/* ... and, between two that both have btl_xs_checksum, of frames behind an mca_btl_xs_check_t. */
#define MCA_BTL_XS_TCP_CHECKED_TAG (MCA_BTL_XS_TCP_TAG | 1)

/*
 * Kinds of frames. A DATA frame is numbered and goes over either wire. The others are
 * not numbered, go over TCP only, and do no harm if they come late or twice.
 */
enum mca_btl_xs_kind_t {
    MCA_BTL_XS_DATA = 1, /* a fragment of the layer above */
    MCA_BTL_XS_COVER,    /* nothing but mca_btl_xs_hdr_t.covered */
    MCA_BTL_XS_HELLO,    /* where the sender is: mca_btl_xs_hello_t */
    MCA_BTL_XS_OFFER,    /* a ring that the sender will write: mca_btl_xs_offer_t */
    MCA_BTL_XS_ACCEPT,   /* the offer has been taken up: mca_btl_xs_answer_t */
    MCA_BTL_XS_REFUSE,   /* it has not: mca_btl_xs_answer_t */
    MCA_BTL_XS_BYE,      /* the sender leaves: it has all that it will ever want */
    MCA_BTL_XS_BYE_TOO,  /* answer to BYE: the sender sends nothing more */
    MCA_BTL_XS_REQUEST,  /* a command of the user's: text (btl_xs_command.h) */
    MCA_BTL_XS_ANSWER,   /* ... and what has become of it */
    MCA_BTL_XS_BEGIN,    /* each end's first on a connection: mca_btl_xs_begin_t */
    MCA_BTL_XS_BEGUN,    /* answer to BEGIN, unless its generation is 0: likewise */
    /* On a ring: DATA with mca_btl_xs_ring_hdr_t.check. */
    MCA_BTL_XS_CHECKED = 0xfe,
};

/* Flag of a DATA frame: the sender waits for this fragment to be covered. */
#define MCA_BTL_XS_FLAG_WAITING 0x1

/*
 * Flag of any frame on a ring, set last: it is there as a whole. Who can look at the ring without a
 * system call waits for this, not for the ring's index: so a frame, if it is small, and the news of
 * it are one cache line. The flags where the next frame will begin are 0 until then.
 */
#define MCA_BTL_XS_FLAG_READY 0x8000

/**
 * Head of a frame.
 */
struct mca_btl_xs_hdr_t {
    uint64_t number;  /**< DATA: number of the fragment, from 0, by sender and receiver */
    uint64_t covered; /**< all fragments with lower numbers have arrived at the sender */
    uint32_t size;    /**< bytes that follow */
    uint8_t kind;     /**< mca_btl_xs_kind_t */
    uint8_t tag;      /**< DATA: tag of the layer above */
    uint16_t flags;   /**< MCA_BTL_XS_FLAG_* */
};
typedef struct mca_btl_xs_hdr_t mca_btl_xs_hdr_t;

/**
 * Head of a frame on TCP, whose receive callback does not name the sender.
 */
struct mca_btl_xs_tcp_hdr_t {
    uint32_t jobid; /**< sender */
    uint32_t vpid;
    mca_btl_xs_hdr_t hdr;
};
typedef struct mca_btl_xs_tcp_hdr_t mca_btl_xs_tcp_hdr_t;

/**
 * CRC32C of a frame; on TCP it precedes the frame. The head alone says how much there is to look at,
 * and on TCP who has sent it.
 */
struct mca_btl_xs_check_t {
    uint32_t head; /**< of mca_btl_xs_tcp_hdr_t, on a ring of mca_btl_xs_hdr_t */
    uint32_t all;  /**< ... and of the data */
};
typedef struct mca_btl_xs_check_t mca_btl_xs_check_t;

/* Where frames begin on a ring: a small one is one cache line. */
#define MCA_BTL_XS_RING_ALIGN 64

/**
 * Head of a frame on a ring. Heads of Open MPI's that follow have 16 or 32 bytes, so what the
 * user sends lies on a boundary of 16 bytes, in frames of a large message on one of 64: copying
 * to or from user memory that is aligned, too, is faster.
 */
struct mca_btl_xs_ring_hdr_t {
    mca_btl_xs_hdr_t hdr;
    mca_btl_xs_check_t check; /**< of a CHECKED frame; of others anything */
};
typedef struct mca_btl_xs_ring_hdr_t mca_btl_xs_ring_hdr_t;

struct mca_btl_xs_hello_t {
    uint64_t epoch;     /**< changes whenever what has been said before is void */
    uint16_t domid;     /**< own domain */
    uint16_t available; /**< 1: xensockets can be made here now */
    uint32_t reserved;
    uint8_t host[16];   /**< identity of the host, as dom0 says; all zero if it does not */
};
typedef struct mca_btl_xs_hello_t mca_btl_xs_hello_t;

struct mca_btl_xs_offer_t {
    uint32_t generation; /**< counts the sender's offers to this peer */
    uint32_t reserved;
    uint8_t offer[XSOCK_OFFER_SIZE];
};
typedef struct mca_btl_xs_offer_t mca_btl_xs_offer_t;

struct mca_btl_xs_answer_t {
    uint32_t generation; /**< of the offer */
    int32_t reason;      /**< REFUSE: code of xsock_strerror() */
};
typedef struct mca_btl_xs_answer_t mca_btl_xs_answer_t;

struct mca_btl_xs_begin_t {
    uint32_t generation; /**< how often the sender of BEGIN has thrown its connections away */
    uint32_t reserved;
};
typedef struct mca_btl_xs_begin_t mca_btl_xs_begin_t;

#endif /* MCA_BTL_XS_WIRE_H */
