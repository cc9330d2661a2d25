# SPDX-License-Identifier: BSD-3-Clause
# Host unit tests of the library, plain and under sanitizers: make -f userlib.mk check

TOP := ../..
OUT ?= $(TOP)/build/unit
NAMES := offer upgrade
LIB := $(TOP)/userlib
SOURCES := $(wildcard $(LIB)/src/*.c)
HEADERS := tap.h $(wildcard $(LIB)/src/*.h $(LIB)/include/*.h $(LIB)/include/xensocket/*.h) \
	$(TOP)/kmod/ring.h $(TOP)/kmod/uapi/xensocket.h
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -std=gnu11 -D_GNU_SOURCE
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

KINDS := plain san
PROGRAMS := $(foreach kind,$(KINDS),$(NAMES:%=$(OUT)/lib_%.$(kind)))

all: $(PROGRAMS)

# The library's sources, not the archive: they are to be sanitized, too.
$(OUT)/lib_%.plain: lib_%.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(CFLAGS) $(WARN) -I$(LIB)/include -o $@ $< $(SOURCES) -lpthread

$(OUT)/lib_%.san: lib_%.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(CFLAGS) $(WARN) $(SAN) -I$(LIB)/include -o $@ $< $(SOURCES) -lpthread

check: all
	@$(MAKE) -s -C $(LIB) check-headers
	@for program in $(PROGRAMS); do \
		timeout 300 $$program > $$program.tap && ! grep -q '^not ok' $$program.tap && \
		grep -q '^1\.\.[1-9]' $$program.tap || \
		{ cat $$program.tap; echo "FAILED: $$program"; exit 1; }; \
		echo "passed: $$(basename $$program): $$(grep -c '^ok' $$program.tap)"; \
	done

.PHONY: all check
