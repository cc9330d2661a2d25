/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What PMIx tells a job of its own events: rank 1 prints them, as "PMIX CODE rank=N TEXT", while
 * all exchange messages. Speaks like "suite" does.
 *
 *	listen --until FILE
 */
#include <mpi.h>
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As btl_xs_pmix.h has them, which only a component can include. */
#define MCA_BTL_XS_PMIX_CODE -22600
#define MCA_BTL_XS_PMIX_CODES 16

static void heard(size_t id, pmix_status_t status, const pmix_proc_t *source, pmix_info_t *info,
		  size_t n, pmix_info_t *results, size_t n_results,
		  pmix_event_notification_cbfunc_fn_t done, void *context)
{
	const char *text = "-";
	size_t i;

	(void)id;
	(void)results;
	(void)n_results;
	for (i = 0; i < n; i++)
		if (PMIX_CHECK_KEY(&info[i], PMIX_EVENT_TEXT_MESSAGE))
			text = info[i].value.data.string;
	printf("PMIX %d rank=%u %s\n", MCA_BTL_XS_PMIX_CODE - status, source->rank, text);
	fflush(stdout);
	if (done)
		done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, context);
}

int main(int argc, char **argv)
{
	pmix_status_t codes[MCA_BTL_XS_PMIX_CODES];
	int rank, size, more, round, i, *out, *in;

	if (argc != 3 || strcmp(argv[1], "--until"))
		return 2;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	for (i = 0; i < MCA_BTL_XS_PMIX_CODES; i++)
		codes[i] = MCA_BTL_XS_PMIX_CODE - i;
	if (rank == 1 && PMIx_Register_event_handler(codes, MCA_BTL_XS_PMIX_CODES, NULL, 0, heard,
						     NULL, NULL) < 0)
		MPI_Abort(MPI_COMM_WORLD, 1);
	out = calloc(2 * (size_t)size, sizeof(*out));
	if (!out)
		MPI_Abort(MPI_COMM_WORLD, 1);
	in = out + size;
	for (round = more = 1; more; round++) {
		for (i = 0; i < size; i++)
			out[i] = round * 256 + rank * 16 + i;
		MPI_Alltoall(out, 1, MPI_INT, in, 1, MPI_INT, MPI_COMM_WORLD);
		for (i = 0; i < size; i++)
			if (in[i] != round * 256 + i * 16 + rank) {
				printf("SUITE BAD round %d: %d from %d\n", round, in[i], i);
				MPI_Abort(MPI_COMM_WORLD, 1);
			}
		if (!rank && round % 1000 == 1) {
			puts("SUITE ok listen");
			fflush(stdout);
		}
		more = round % 100 || access(argv[2], F_OK);
		MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
	}
	if (!rank)
		puts("SUITE done 1");
	free(out);
	MPI_Finalize();
	return 0;
}
