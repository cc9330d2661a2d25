# shellcheck shell=bash
# Tables and plots out of files with lines "TRANSPORT,TEST,BYTES,RUN,N,VALUE".
# SPDX-License-Identifier: BSD-3-Clause

# table CSV TEST TITLE TRANSPORT...: a line for each size, medians over the runs, and the
# least and the greatest in brackets.
table()
{
	local csv=$1 test=$2 title=$3
	shift 3
	printf '\n%s\n%9s' "$title" bytes
	printf ' %26s' "$@"
	echo
	grep "^[^,]*,$test," "$csv" | sort -t, -k1,1 -k3,3n -k6,6n | awk -F, -v names="$(printf '%s\n' "$@")" '
		{ n[$1, $3]++; value[$1, $3, n[$1, $3]] = $6; sizes[$3] }
		function cell(name, size,   k) {
			k = n[name, size]
			return !k ? "-" : sprintf("%.1f (%.1f-%.1f)", value[name, size, int((k + 1) / 2)],
				value[name, size, 1], value[name, size, k])
		}
		END {
			columns = split(names, name, "\n")
			for (size in sizes) {
				line = sprintf("%9d", size)
				for (i = 1; i <= columns; i++)
					line = line sprintf(" %26s", cell(name[i], size))
				print line
			}
		}' | sort -n
}

# plot CSV TEST TITLE FILE TRANSPORT...: FILE.svg and FILE.png, if there is gnuplot.
plot()
{
	local csv=$1 test=$2 title=$3 file=$4 name data terminal lines=
	shift 4
	command -v gnuplot > /dev/null || { echo "gnuplot is not installed: no plot of $test" >&2; return; }
	data=$(mktemp -d)
	for name in "$@"; do
		table "$csv" "$test" "" "$name" | awk '$1 + 0 > 0 { gsub(/[(]/, ""); print $1, $2 }' > "$data/$name"
		lines="$lines${lines:+, }'$data/$name' with linespoints title '$name'"
	done
	for terminal in svg png; do
		gnuplot <<-PLOT
			set terminal $terminal size 800,500
			set output "$file.$terminal"
			set logscale xy
			set grid
			set key left top
			set xlabel "bytes"
			set ylabel "$title"
			plot $lines
		PLOT
	done
	rm -r "$data"
}
