# shellcheck shell=bash
# Tables and plots out of files with lines "TRANSPORT,TEST,BYTES,RUN,N,VALUE"; sourced after
# lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# medians CSV TEST: lines "TRANSPORT BYTES MEDIAN LEAST GREATEST".
medians()
{
	grep "^[^,]*,$2," "$1" | sort -t, -k1,1 -k3,3n -k6,6n | awk -F, '
		function flush() { if (n) print name, size, value[int((n + 1) / 2)], value[1], value[n] }
		$1 != name || $3 != size { flush(); name = $1; size = $3; n = 0 }
		{ value[++n] = $6 }
		END { flush() }'
}

# names_in CSV NAME...: those that the file has figures of.
names_in()
{
	local csv=$1 name
	shift
	for name in "$@"; do
		! grep -q "^$name," "$csv" || echo "$name"
	done
}

# table CSV TEST TITLE TRANSPORT...: a line for each size, medians over the runs, and the
# least and the greatest in brackets.
table()
{
	local csv=$1 test=$2 title=$3
	shift 3
	printf '\n%s\n%9s' "$title" bytes
	printf ' %26s' "$@"
	echo
	medians "$csv" "$test" | awk -v names="$(printf '%s\n' "$@")" '
		function text(value) { return sprintf(value < 10 ? "%.2f" : value < 100000 ? "%.1f" : "%.0f", value) }
		{ cell[$1, $2] = text($3) " (" text($4) "-" text($5) ")"; sizes[$2] }
		END {
			columns = split(names, name, "\n")
			for (size in sizes) {
				line = sprintf("%9d", size)
				for (i = 1; i <= columns; i++)
					line = line sprintf(" %26s", ((name[i], size) in cell) ? cell[name[i], size] : "-")
				print line
			}
		}' | sort -n
}

# ratios CSV TEST TITLE ONE TRANSPORT...: likewise, medians divided by those of ONE.
ratios()
{
	local csv=$1 test=$2 title=$3 one=$4
	shift 4
	printf '\n%s\n%9s' "$title" bytes
	printf ' %12s' "$@"
	echo
	medians "$csv" "$test" | awk -v one="$one" -v names="$(printf '%s\n' "$@")" '
		{ median[$1, $2] = $3; sizes[$2] }
		END {
			columns = split(names, name, "\n")
			for (size in sizes) {
				if (!median[one, size])
					continue
				line = sprintf("%9d", size)
				for (i = 1; i <= columns; i++) {
					value = "-"
					if ((name[i], size) in median)
						value = sprintf("%.2f", median[name[i], size] / median[one, size])
					line = line sprintf(" %12s", value)
				}
				print line
			}
		}' | sort -n
}

# plot CSV TEST TITLE NAME NOTE TRANSPORT...: prepares build/bench/NAME.svg and NAME.png, for
# draw. Bars reach from the least to the greatest.
plot()
{
	# gnuplot has a use for "@".
	local csv=$1 test=$2 title=$3 file=build/bench/$4 note=${5//@/at} name terminal lines=
	shift 5
	medians "$csv" "$test" > "$TOP/$file.dat"
	for name in "$@"; do
		lines="$lines${lines:+, }'$file.dat' using (strcol(1) eq '$name' ? \$2 : NaN):3:4:5 with yerrorlines title '$name'"
	done
	for terminal in "svg size 900,560 background 'white'" "png size 900,560"; do
		cat <<-PLOT
			reset
			set terminal $terminal
			set output "$file.${terminal%% *}"
			set logscale xy
			set format x "%.0s%cB"
			set grid
			set key outside right
			set xlabel "size of a message\n{/*0.7 ${note//$'\n'/ }}"
			set ylabel "$title"
			set bars 0.5
			plot $lines
		PLOT
	done > "$TOP/$file.gp"
}

# draw NAME: makes all that was prepared with names that begin so, by this machine's gnuplot
# or that of the build root.
draw()
{
	local files
	cd "$TOP" || return
	files=(build/bench/"$1"-*.gp)
	if command -v gnuplot > /dev/null; then
		gnuplot "${files[@]}"
	else
		lab chroot --tools gnuplot "${files[@]}"
	fi || return
	printf 'plot: %s\n' "${files[@]/%.gp/.svg}" "${files[@]/%.gp/.png}"
}
