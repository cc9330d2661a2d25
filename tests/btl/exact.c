// SPDX-License-Identifier: BSD-3-Clause
/*
 * What has come over TCP, in memory of just its length, for as long as it is valid: so that a
 * sanitizer finds who reads beyond its end, or later. Open MPI's tcp has it in a buffer that is
 * longer. Linked into the test build of the component that tests/btl/hostile attacks.
 */
#include "btl_xs_path.h"
#include "btl_xs_receive.h"

void __real_mca_btl_xs_path_told(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				 const void *body);
void __wrap_mca_btl_xs_path_told(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				 const void *body);
void __real_mca_btl_xs_receive_tcp(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				   void *data);
void __wrap_mca_btl_xs_receive_tcp(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				   void *data);

static mca_btl_xs_hdr_t *copy_of(const mca_btl_xs_hdr_t *hdr, const void *data)
{
	mca_btl_xs_hdr_t *copy = malloc(sizeof(*copy) + hdr->size);

	if (!copy)
		abort();
	*copy = *hdr;
	memcpy(copy + 1, data, hdr->size);
	return copy;
}

void __wrap_mca_btl_xs_path_told(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				 const void *body)
{
	mca_btl_xs_hdr_t *copy = copy_of(hdr, body);

	__real_mca_btl_xs_path_told(endpoint, copy, copy + 1);
	free(copy);
}

void __wrap_mca_btl_xs_receive_tcp(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
				   void *data)
{
	mca_btl_xs_hdr_t *copy = copy_of(hdr, data);

	__real_mca_btl_xs_receive_tcp(endpoint, copy, copy + 1);
	free(copy);
}
