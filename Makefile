# SPDX-License-Identifier: BSD-3-Clause
# "make" alone lists what there is.

SUITE ?= trixie
export SUITE
LAB = tests/lab/lab

.DEFAULT_GOAL := help
.PHONY: help all deps demo check check-full check-debug check-races check-host check-model check-migration check-lab soak coverage fuzz bench bench-counts bench-migration btl install install-dom0 uninstall uninstall-dom0 clean distclean deb dist

help:
	@echo 'make demo        MPI over TCP and xensockets between two Xen guests, and a live migration'
	@echo 'make check       the tests, in a short selection (TESTS=PATTERN selects, SUITES="trixie bookworm")'
	@echo 'make check-full  all tests, for hours (PART=1/8 to 8/8: in parts)'
	@echo 'make check-debug the module in guests with a debug kernel (KASAN, lockdep, kmemleak)'
	@echo 'make check-races the module in guests with a kernel that finds data races (KCSAN)'
	@echo 'make check-host  the tests that need no Xen'
	@echo 'make check-model the model of the switch between TCP and rings, larger than in check'
	@echo 'make check-migration MPI jobs through migration, save, reload, all variants'
	@echo 'make check-lab   the tests on Xen'
	@echo 'make soak        random migration, save, quiesce, kill, reload, calls, for HOURS=1; SEED= repeats'
	@echo 'make coverage    which lines the tests without Xen run, and make check-debug of the module'
	@echo 'make fuzz        ring, head page and offers under libFuzzer (clang), SECONDS=300 for each target'
	@echo 'make all         compile everything, in the root file system of SUITE ($(SUITE))'
	@echo 'make btl         the Open MPI component alone, for the Open MPI of this machine'
	@echo 'make deps        install the Debian packages that all of this needs'
	@echo 'make bench       MPI over TCP, xs, shared memory; TCP, xensockets, rings; into build/bench/'
	@echo 'make bench-counts instructions and system calls of a message over xs, and over shared memory'
	@echo 'make bench-migration how long a job stands still when a guest migrates (ROUNDS=3)'
	@echo 'make install     library, tools and Open MPI component (DESTDIR=, PREFIX=), built here'
	@echo 'make install-dom0 commands and hotplug script for dom0 (DESTDIR=, PREFIX=)'
	@echo 'make uninstall   take away what install has put there'
	@echo 'make uninstall-dom0 what install-dom0 has'
	@echo 'make deb         Debian packages for SUITE, below build/SUITE/deb/'
	@echo 'make dist        the sources of the last commit as build/xensocket-VERSION.tar.gz'
	@echo 'make clean       remove what was built; the image cache stays'
	@echo 'make distclean   end this checkout'"'"'s labs and remove the image cache too'

deps:
	@$(LAB) deps

all: deps
	@$(LAB) chroot make -s in-root

# What "all" makes, as seen from inside the build root.
BUILD = $(CURDIR)/build/$(SUITE)
.PHONY: in-root
in-root:
	@$(MAKE) -s -C kmod OUT=$(BUILD)/kmod$(KERNEL:%=-%) $(KERNEL:%=GCOV_PROFILE=y)
	@$(MAKE) -s -C tests/mpi OUT=$(BUILD)/mpi
	@$(MAKE) -s -C tests/xen OUT=$(BUILD)/xen
	@$(MAKE) -s -C tests/xen -f userlib.mk OUT=$(BUILD)/xen
	@$(MAKE) -s -C userlib OUT=$(BUILD)/userlib
	@$(MAKE) -s -C btl_xs OUT=$(BUILD)/btl
	@$(MAKE) -s -C tests/bench OUT=$(BUILD)/bench

demo:
	@tests/demo

bench:
	@tests/bench/here
	@tests/bench/mpi
	@tests/bench/raw

bench-counts: deps
	@tests/bench/counts

bench-migration:
	@tests/bench/migration

check: deps
	@tests/run

check-full: deps
	@FULL=1 tests/run

# The tests of the module; TESTS selects.
check-debug: deps
	@KERNEL=debug SUITES="$${SUITES:-trixie}" TESTS="$${TESTS:-kmod-* userlib-* host-kmod-*}" tests/run

# The same with another kernel.
check-races: deps
	@KERNEL=kcsan SUITES="$${SUITES:-trixie}" TESTS="$${TESTS:-kmod-* userlib-*}" tests/run

check-host: deps
	@tests/run host

check-model: deps
	@FULL=1 TESTS=host-model tests/run host

check-migration: deps
	@FULL=1 TESTS="$${TESTS:-btl-migrate-* btl-events-* btl-event-* btl-oneway-* btl-switch-* btl-save-* btl-cancel-* btl-three-* btl-stranger-* btl-reload-* btl-control-* dom0-*}" tests/run lab

check-lab: deps
	@tests/run lab

coverage: deps
	@tests/coverage

HOURS ?= 1
soak: deps
	@tests/soak $(HOURS)

btl:
	@$(MAKE) -C btl_xs

fuzz:
	@$(MAKE) -s -C tests/fuzz OUT=$(CURDIR)/build/fuzz fuzz

# Below this directory, not those where the parts are made.
STAGED = $(if $(DESTDIR),DESTDIR=$(abspath $(DESTDIR)))

install:
	@$(MAKE) -C userlib install $(STAGED)
	@if command -v ompi_info > /dev/null; then $(MAKE) -C btl_xs install $(STAGED); else \
		echo 'no Open MPI on this machine: btl_xs is not installed'; fi

uninstall:
	@$(MAKE) -C userlib uninstall $(STAGED)
	@if command -v ompi_info > /dev/null; then $(MAKE) -C btl_xs uninstall $(STAGED); \
	else \
		echo 'no Open MPI on this machine: if btl_xs was installed, its mca_btl_xs.so is there still'; \
		[ -n "$(DESTDIR)" ] || btl_xs/component-path restore; \
	fi

install-dom0:
	@$(MAKE) -C xen-scripts install $(STAGED)

uninstall-dom0:
	@$(MAKE) -C xen-scripts uninstall $(STAGED)

# The version of all parts stands in one place.
VERSION = $(shell sed -n 's/^.define XSOCK_RELEASE[^"]*"\(.*\)"/\1/p' kmod/uapi/xensocket.h)

dist:
	@mkdir -p build
	@git archive --prefix=xensocket-$(VERSION)/ -o build/xensocket-$(VERSION).tar.gz HEAD
	@echo build/xensocket-$(VERSION).tar.gz

# In the suite's build root, from a copy, with a version of the suite's own. What belongs to
# the sources git knows; an unpacked tarball is all sources.
DEB = build/$(SUITE)/deb
deb: deps
	@rm -rf $(DEB) && mkdir -p $(DEB)/xensocket
	@{ git ls-files -z --cached --others --exclude-standard 2> /dev/null | grep -z . || \
		find . -path ./build -prune -o ! -type d -print0; } | \
		tar -c --null -T - | tar -x -C $(DEB)/xensocket
	@$(LAB) chroot --tools make -s deb-in-root
	@ls $(DEB)/*.deb

.PHONY: deb-in-root
deb-in-root:
	@. /etc/os-release && cd $(DEB)/xensocket && \
	sed -i "1s/(\(.*\)) [a-z]*;/(\1~deb$${VERSION_ID}u1) $$VERSION_CODENAME;/" debian/changelog && \
	{ env -u MAKEFLAGS -u MAKELEVEL -u SUITE HOME=/tmp LC_ALL=C.UTF-8 dpkg-buildpackage --no-sign \
		--ignore-builtin-builddeps > ../log 2>&1 || \
		{ tail -n 30 ../log; exit 1; }; }
	@rm -rf $(DEB)/xensocket

clean:
	rm -rf build

distclean: clean
	@for suite in trixie bookworm; do for kernel in "" debug kcsan; do \
		SUITE=$$suite KERNEL=$$kernel $(LAB) down; done; done
	@$(LAB) forget
