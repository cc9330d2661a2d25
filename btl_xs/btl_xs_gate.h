/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket by which commands come in: one for each process, in the session directory of
 * its job, for its user and root only. Lines of text:
 *
 *	gate	xs-btlctl 1 RANK SIZE PID JOB		when somebody has connected; or, and that is all,
 *	gate	xs-btlctl refused			to another user, and
 *	gate	xs-btlctl busy				where as many tools are as there may be
 *	tool	ID RANKS VERB [ARGUMENT...]		ID is a number
 *	gate	ID RANK STATE TEXT			answers (btl_xs_command.h), as they come
 *	gate	ID RANK again				what it was told, or has said, may be lost: to who
 *						has subscribed to its events
 *	gate	xs-btlctl bye				the process is in MPI_Finalize
 *
 * A gate is open while its process is inside MPI, and so are the answers; a tool that gets
 * no greeting tries another one.
 */
#ifndef MCA_BTL_XS_GATE_H
#define MCA_BTL_XS_GATE_H

#include <stdint.h>

/* Nobody need know if it cannot be opened, except at verbose level 10. */
void mca_btl_xs_gate_open(void);
void mca_btl_xs_gate_close(void);

/* The TCP connection to a process of this job had broken and is there again. By libevent only. */
void mca_btl_xs_gate_mended(uint32_t rank);

#endif /* MCA_BTL_XS_GATE_H */
