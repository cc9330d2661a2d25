#!/bin/bash
# Proves: whatever is in a peer's page, at each load anew, in an offer, or in a frame or an answer of an MPI job, who reads it keeps its rules.
# Lab: none
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

check "random peers of a transmitter, a receiver and the component, and random offers, under sanitizers" \
	lab chroot make -s -C tests/fuzz OUT=/src/build/fuzz check
