/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C (Castagnoli), as iSCSI and ext4 have it: the processor's instruction where there is one.
 */
#ifndef MCA_BTL_XS_CRC_H
#define MCA_BTL_XS_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Continues with @crc, what has been returned for the bytes before; 0 at the beginning. */
uint32_t mca_btl_xs_crc(uint32_t crc, const void *data, size_t size);

/* The two ways to compute it; the second is NULL where the processor cannot. */
typedef uint32_t (*mca_btl_xs_crc_fn_t)(uint32_t crc, const void *data, size_t size);
mca_btl_xs_crc_fn_t mca_btl_xs_crc_by_table(void);
mca_btl_xs_crc_fn_t mca_btl_xs_crc_by_processor(void);

#endif /* MCA_BTL_XS_CRC_H */
