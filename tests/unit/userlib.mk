# SPDX-License-Identifier: BSD-3-Clause
# Host unit tests of the library, plain and under sanitizers: make -f userlib.mk check

TOP := ../..
OUT ?= $(TOP)/build/unit
NAMES := gates offer upgrade
LIB := $(TOP)/userlib
SOURCES := $(wildcard $(LIB)/src/*.c) $(LIB)/job/gates.c
HEADERS := tap.h $(LIB)/job/job.h $(wildcard $(LIB)/src/*.h $(LIB)/include/*.h $(LIB)/include/xensocket/*.h) \
	$(TOP)/kmod/ring.h $(TOP)/kmod/uapi/xensocket.h
WARN := -Wall -Wextra -Werror -Wshadow -std=gnu11 -D_GNU_SOURCE
PROGRAMS = $(foreach kind,$(KINDS),$(NAMES:%=$(OUT)/lib_%.$(kind)))

include check.mk

# The library's sources, not the archive: they are to be sanitized, too.
$(OUT)/lib_%.plain: lib_%.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(CFLAGS) $(WARN) -I$(LIB)/include -o $@ $< $(SOURCES) -lpthread

$(OUT)/lib_%.san: lib_%.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(CFLAGS) $(WARN) $(SAN) -I$(LIB)/include -o $@ $< $(SOURCES) -lpthread

check: headers
headers:
	@$(MAKE) -s -C $(LIB) check-headers

.PHONY: headers
