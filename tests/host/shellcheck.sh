#!/bin/bash
# Proves: every script of the project passes shellcheck.
# Lab: none
# Limit: 120
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

cd "$TOP" || exit
# Scripts by their first line; parts that are sourced name their shell there.
mapfile -t scripts < <(find . \( -path ./.git -o -path ./build \) -prune -o -type f -print0 |
	xargs -0 awk 'FNR == 1 && /^#!.*(\/|\/busybox )(sh|bash)$|^# shellcheck shell=/ { print FILENAME } FNR > 1 { nextfile }' | sort)
[ "${#scripts[@]}" -ge 10 ] || fail "only ${#scripts[@]} scripts found"
check "${#scripts[@]} scripts are clean" shellcheck -x -P SCRIPTDIR "${scripts[@]}"
