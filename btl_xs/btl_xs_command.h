/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands to the processes of a job, from outside: what xs-btlctl(1) wants.
 *
 * It talks to a socket of any process (btl_xs_gate.c), which passes the request on to all
 * by the bus, and their answers back.
 *
 *	request		ID RANKS VERB [ARGUMENT...]
 *	answer		ID STATE TEXT
 *
 * ID is the gate's, a word; RANKS is "*" or like "0,3-5". STATE is "done" with what was asked for,
 * after any "more"; or "bad", and why. "taken": it is begun, and "done" follows, or "undone", as
 * somebody else has ended it.
 *
 * To "subscribe [FIRST]" there are more answers than one, for as long as the tool is there:
 * "done LAST", "event NUMBER TIME NAME SEVERITY KEY=VALUE...", and "lost COUNT". FIRST is the
 * number of the event to begin with, by rank; 0: all that are kept; without: those to come; LAST
 * that of the one before. Who asks again begins there. "acknowledge NUMBER" says that all up to
 * this one have been read (btl_xs_events.h), and has no answer.
 */
#ifndef MCA_BTL_XS_COMMAND_H
#define MCA_BTL_XS_COMMAND_H

#include "btl_xs.h"

BEGIN_C_DECLS

/* Begins to listen to commands. @answered: a process of this job has answered to us. */
void mca_btl_xs_command_open(void (*answered)(uint32_t rank, const char *id, const char *text));
void mca_btl_xs_command_close(void);

/* Sends a command to all processes of the job. */
void mca_btl_xs_command_ask(const char *id, const char *request);

END_C_DECLS

#endif /* MCA_BTL_XS_COMMAND_H */
