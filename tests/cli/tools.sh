#!/bin/sh
# SPDX-License-Identifier: 0BSD
# What holds for every tool: help, man page, options, and one clear line, status 2 and nothing left behind when it is given what
# is no model, or nowhere to write.
. "$RESECT_SRC/tests/cli/check.sh"

tools=$(cd "$RESECT_BUILD/tools" && for page in resect-*.1; do basename "$page" .1; done)
check 'the build made man pages' test "$(echo "$tools" | wc -l)" -ge 9

# Options and operands that tool $1 needs beside model $2.
words() {
        case $1 in
        resect-adapt | resect-shift) echo "$2 $T/pictures" ;;
        resect-info | resect-check | resect-strip) echo "$2" ;;
        resect-cast) echo "--to fp16 $2" ;;
        resect-convert) echo "--to npz $2" ;;
        resect-diff) echo "$2 $2" ;;
        resect-edit) echo "--canon $2" ;;
        resect-eval) echo "$2 $T/pictures" ;;
        resect-fold) echo "--bn $2" ;;
        resect-freeze) echo "--all-but-head $2" ;;
        resect-head) echo "--classes 3 --replace $2" ;;
        resect-new) echo 'resnet18 --size 32' ;;
        resect-pack) echo "--in $2" ;;
        resect-probe) echo "$2 $T/pictures" ;;
        resect-reset) echo "--from head $2" ;;
        resect-run) echo "$2 $T/pictures/a/1.jpg" ;;
        resect-trial) echo "$2 $T/pictures --seeds 1 --journal $T/made/journal" ;;
        resect-see) echo "$2 $T/pictures/a/1.jpg" ;;
        resect-truncate) echo "--after layer2.0 $2" ;;
        resect-tune) echo "$2 $T/pictures -o $T/made/tuned.onnx" ;;
        *) echo 'unknown to this test' ;;
        esac
}

mkdir "$T/made" "$T/pictures" "$T/pictures/a"
nothing_left() {
        check "nothing left behind by: $*" test -z "$(ls -A "$T/made")"
}

# The smallest real model at hand, and things that are none.
mkdir "$T/folder"
: >"$T/empty"
resect-new resnet18 --classes 3 --size 32 --quiet | resect-truncate --after layer2 --quiet -o "$T/good.onnx"
check 'a model to work on' test -s "$T/good.onnx"
head -c 20000 "$T/good.onnx" >"$T/cut.onnx"
{ printf '\377\330\377\340\000\020JFIF\000\001\001\000\000\001\000\001\000\000'; head -c 2000 "$T/good.onnx"; } >"$T/a.jpg"
printf 'no model, but words\n' >"$T/text"

# A container may lack pseudo-terminals (/dev/pts).
terminals=true
script -qec true /dev/null </dev/null >/dev/null 2>&1 || {
        terminals=false
        echo 'SKIP: no pseudo-terminal can be made here; what tools say to terminals is not tested'
}

for tool in $tools; do
        check "$tool is known to tests/cli/tools.sh" test "$(words "$tool" x)" != 'unknown to this test'

        for ask in --help -h --version --man; do
                status 0 "$tool" $ask
                check "$tool $ask says nothing on standard error" test ! -s "$T/err"
        done
        check "$tool: the man page is what it says of itself" cmp "$T/out" "$RESECT_BUILD/tools/$tool.1"
        status 0 "$tool" --help
        says "Usage: $tool [OPTION]..."
        check "$tool: its second line is a sentence" sh -c "sed -n 2p '$T/out' | grep -q '[a-z)][.?]\$'"
        check "$tool --help fits 80 columns" awk 'length > 80 && !/\$|--/ { print; bad = 1 } END { exit bad }' "$T/out"
        sed -n 's/^  \(-., \)\{0,1\}--\([a-z0-9-]*\).*/\2/p' "$T/out" >"$T/options"
        check "$tool has options" test -s "$T/options"
        while read -r option; do
                dashed=$(echo "$option" | sed 's/-/\\\\-/g')
                check "$tool: --$option is in the man page" grep -q -e "\\\\-\\\\-$dashed\\\\f" "$RESECT_BUILD/tools/$tool.1"
        done <"$T/options"
        if command -v groff >/dev/null; then
                groff -man -ww -z -Tutf8 "$RESECT_BUILD/tools/$tool.1" 2>"$T/err"
                check "$tool: groff finds nothing in the man page: $(head -1 "$T/err")" test ! -s "$T/err"
        fi

        refuses "$tool" --hlep
        says 'did you mean --help?'
        refuses "$tool" --no-such-option-anywhere
        refuses "$tool" --help=yes
        refuses "$tool" -o
        refuses "$tool" a b c d --quiet --man=x
done

# no_model BAD COMMAND...: to resect-check bytes that are no model are a finding, which is its answer; to all others trouble.
no_model() {
        bad=$1
        shift
        case $tool$bad in
        "resect-check$T/folder" | "resect-check$T/missing") refuses "$@" ;;
        resect-check*)
                status 1 "$@"
                check "one finding on one line: $*" test "$(wc -l <"$T/out")" -eq 1
                check "no words beside it: $*" test ! -s "$T/err"
                ;;
        *) refuses "$@" ;;
        esac
}

for tool in $tools; do
        [ "$tool" = resect-new ] && continue
        for bad in "$T/folder" "$T/empty" /dev/null "$T/a.jpg" "$T/text" "$T/cut.onnx" "$T/missing"; do
                # shellcheck disable=SC2046
                no_model "$bad" timeout 30 "$tool" $(words "$tool" "$bad")
                nothing_left "$tool $bad"
        done
        case "$tool" in
        resect-adapt | resect-diff | resect-tune | resect-trial | resect-eval | resect-probe | resect-run | resect-see | resect-shift) continue ;; # their model is never left out
        esac
        # shellcheck disable=SC2046
        set -- $(words "$tool" '')
        for bad in "$T/folder" "$T/empty" /dev/null "$T/a.jpg" "$T/cut.onnx"; do
                # shellcheck disable=SC2016
                no_model "$bad" timeout 30 sh -c 'in=$1; shift; exec "$@" <"$in"' sh "$bad" "$tool" "$@"
        done
        # shellcheck disable=SC2016
        refuses sh -c 'exec "$@" <&-' sh "$tool" "$@"
        $terminals || continue
        check "$tool refuses a terminal as its model" \
                sh -c "! timeout 30 script -qec '$tool $*' /dev/null </dev/null >'$T/tty'"
        check "$tool says that the input is a terminal" grep -q 'standard .*put is a terminal' "$T/tty"
done

# Where the output cannot go.
for tool in $tools; do
        # shellcheck disable=SC2046
        set -- $(words "$tool" "$T/good.onnx")
        case "$tool" in
        resect-new | resect-strip | resect-head | resect-truncate | resect-reset | resect-freeze | resect-fold | resect-edit | resect-cast)
                status 0 "$tool" "$@" -o "$T/made/out.onnx"
                check "$tool made one file" test "$(ls -A "$T/made")" = out.onnx
                rm -f "$T/made/out.onnx"
                refuses "$tool" "$@" -o "$T/missing/out.onnx"
                refuses "$tool" "$@" -o "$T/folder"
                refuses "$tool" "$@" -o ''
                refuses "$tool" "$@" --quiet -o /dev/full
                ! $terminals || {
                        check "$tool writes no model to a terminal" \
                                sh -c "! timeout 30 script -qec '$tool $*' /dev/null </dev/null >'$T/tty'"
                        check "$tool says so" grep -q 'standard output is a terminal' "$T/tty"
                }
                # a reader that leaves, with and without SIGPIPE
                sh -c '"$@" 2>"$0"; echo $? >"$0.status"' "$T/err" "$tool" "$@" --quiet | head -c 10 >/dev/null
                check "$tool: a reader that leaves is no news" test ! -s "$T/err"
                check "$tool dies of SIGPIPE" test "$(cat "$T/err.status")" -eq 141
                sh -c 'trap "" PIPE; "$@" 2>"$0"; echo $? >"$0.status"' "$T/err" "$tool" "$@" --quiet | head -c 10 >/dev/null
                check "$tool: without SIGPIPE no words either" test ! -s "$T/err"
                check "$tool: without SIGPIPE, status 2" test "$(cat "$T/err.status")" -eq 2
                ;;
        resect-info | resect-diff) ;;
        *) continue ;; # check has nothing to say; pack, run, tune and eval have tests of their own
        esac
        # shellcheck disable=SC2016
        status 2 sh -c 'exec "$@" >/dev/full' sh "$tool" "$@"
        check "$tool: one line about the full disk, not '$(cat "$T/err")'" grep -q 'No space left' "$T/err"
        # shellcheck disable=SC2016
        status 2 sh -c 'exec "$@" >&-' sh "$tool" "$@"
        check "$tool: closed output is told" grep -q 'Bad file descriptor' "$T/err"
        nothing_left "$tool $*"
done

# A signal while the model is still coming in: nothing stays, and the status tells of the signal. (A shell starts what is in
# its background with SIGINT ignored; env takes that back.)
mkfifo "$T/fifo"
for signal in HUP INT TERM; do
        case $signal in
        HUP) number=1 ;;
        INT) number=2 ;;
        TERM) number=15 ;;
        esac
        env --default-signal resect-strip -o "$T/made/out.onnx" <"$T/fifo" 2>"$T/err" &
        pid=$!
        exec 9>"$T/fifo"
        head -c 1000 "$T/good.onnx" >&9
        sleep 0.5
        kill -"$signal" $pid
        wait $pid
        got=$?
        exec 9>&-
        check "SIG$signal ends resect-strip (status $got)" test $got -eq $((128 + number))
        nothing_left "SIG$signal"
done
finish
