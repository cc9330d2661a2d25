#!/bin/bash
# Proves: ring arithmetic, offers and the handshake hold, also against hostile input.
# Lab: none
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

check "the ring, plain and under sanitizers" \
	lab chroot make -s -C tests/unit OUT=/src/build/unit check
check "the library, plain and under sanitizers" \
	lab chroot make -s -C tests/unit -f userlib.mk OUT=/src/build/unit check
