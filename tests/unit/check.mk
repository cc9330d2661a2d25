# SPDX-License-Identifier: BSD-3-Clause
# What both Makefiles here share: each of $(PROGRAMS) prints TAP; it is built plain and with
# sanitizers. (ThreadSanitizer does not know fences, which the ring is made of: not used.)

CFLAGS ?= -O2 -g
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all
KINDS := plain san

all: $(PROGRAMS)

check: all
	@for program in $(PROGRAMS); do \
		timeout 300 $$program > $$program.tap && ! grep -q '^not ok' $$program.tap && \
		grep -q '^1\.\.[1-9]' $$program.tap || \
		{ cat $$program.tap; echo "FAILED: $$program"; exit 1; }; \
		echo "passed: $$(basename $$program): $$(grep -c '^ok' $$program.tap)"; \
	done

.PHONY: all check
