/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As a tool may: a handle of the component's variable that has a value for each rank is made
 * before MPI_Init. Each rank prints "EARLY values=N written=N": how many it was told that there
 * are, and how many were written when it was read after MPI_Init.
 */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	enum { MOST = 64 };
	int provided, index, count = -1, written, values[MOST];
	MPI_T_pvar_session session;
	MPI_T_pvar_handle handle;

	MPI_T_init_thread(MPI_THREAD_SINGLE, &provided);
	if (MPI_T_pvar_session_create(&session) != MPI_SUCCESS ||
	    MPI_T_pvar_get_index("btl_xs_peer_path", MPI_T_PVAR_CLASS_STATE, &index) !=
		    MPI_SUCCESS ||
	    MPI_T_pvar_handle_alloc(session, index, NULL, &handle, &count) != MPI_SUCCESS) {
		puts("EARLY BAD no handle");
		return 1;
	}
	MPI_Init(NULL, NULL);
	MPI_Barrier(MPI_COMM_WORLD);
	memset(values, 0x55, sizeof(values));
	if (MPI_T_pvar_read(session, handle, values) != MPI_SUCCESS)
		puts("EARLY BAD it cannot be read");
	for (written = 0; written < MOST && values[written] != 0x55555555; written++)
		;
	printf("EARLY values=%d written=%d\n", count, written);
	MPI_Finalize();
	return 0;
}
