# SPDX-License-Identifier: BSD-3-Clause
# The library's test program for guests: make -f userlib.mk, in the suite's build root.

TOP := ../..
OUT ?= $(TOP)/build/xen
LIB := $(TOP)/userlib
SOURCES := $(wildcard $(LIB)/src/*.c)
HEADERS := $(wildcard $(LIB)/src/*.h $(LIB)/include/*.h $(LIB)/include/xensocket/*.h) \
	$(TOP)/kmod/ring.h $(TOP)/kmod/uapi/xensocket.h
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -std=gnu11 -D_GNU_SOURCE

all: $(OUT)/libtest

$(OUT)/libtest: libtest.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(CFLAGS) $(WARN) -I$(LIB)/include -o $@ $< $(SOURCES) -lpthread

.PHONY: all
