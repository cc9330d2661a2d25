/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_crc.h"

#include <string.h>

#define MCA_BTL_XS_CRC_POLYNOMIAL 0x82f63b78u

static uint32_t mca_btl_xs_crc_table[8][256];

/* Eight bytes at a time: each table has the remainder of a byte that so many others follow. */
static uint32_t mca_btl_xs_crc_table_run(uint32_t crc, const void *data, size_t size)
{
    const uint32_t(*table)[256] = mca_btl_xs_crc_table;
    const unsigned char *at = data;

    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        crc ^= at[0] | at[1] << 8 | at[2] << 16 | (uint32_t) at[3] << 24;
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff]
              ^ table[4][crc >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]]
              ^ table[0][at[7]];
    }
    for (; 0 != size; size--) {
        crc = table[0][(crc ^ *at++) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}

mca_btl_xs_crc_fn_t mca_btl_xs_crc_by_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? MCA_BTL_XS_CRC_POLYNOMIAL : 0);
        }
        mca_btl_xs_crc_table[0][i] = crc;
    }
    for (int row = 1; row < 8; row++) {
        for (int i = 0; i < 256; i++) {
            uint32_t crc = mca_btl_xs_crc_table[row - 1][i];

            mca_btl_xs_crc_table[row][i] = crc >> 8 ^ mca_btl_xs_crc_table[0][crc & 0xff];
        }
    }
    return mca_btl_xs_crc_table_run;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t
mca_btl_xs_crc_processor_run(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t word, sum = (uint32_t) ~crc;

    for (; size >= 8; size -= 8, at += 8) {
        memcpy(&word, at, sizeof(word));
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; 0 != size; size--) {
        sum = __builtin_ia32_crc32qi((uint32_t) sum, *at++);
    }
    return ~(uint32_t) sum;
}
#endif

mca_btl_xs_crc_fn_t mca_btl_xs_crc_by_processor(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return mca_btl_xs_crc_processor_run;
    }
#endif
    return NULL;
}

uint32_t mca_btl_xs_crc(uint32_t crc, const void *data, size_t size)
{
    static mca_btl_xs_crc_fn_t run;
    mca_btl_xs_crc_fn_t chosen = run;

    /* Two threads may both choose: the same. */
    if (NULL == chosen) {
        chosen = mca_btl_xs_crc_by_processor();
        run = chosen = NULL == chosen ? mca_btl_xs_crc_by_table() : chosen;
    }
    return chosen(crc, data, size);
}
