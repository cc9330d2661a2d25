#!/bin/bash
# Proves: whatever is found in a peer's page, at each load anew, either side of the ring keeps its rules.
# Lab: none
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

check "random peers of a transmitter and of a receiver, under sanitizers" \
	lab chroot make -s -C tests/fuzz OUT=/src/build/fuzz check
