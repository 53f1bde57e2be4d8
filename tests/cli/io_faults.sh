#!/bin/sh
# SPDX-License-Identifier: 0BSD
# A real tool under strace, with system calls that fail, one after the other: exit status 2 with a word about it, the old file as it was,
# nothing left beside it. And killed at each of them: the old file or the whole new one.
. "$RESECT_SRC/tests/cli/check.sh"

command -v strace >/dev/null || skip "strace is absent (apt-get install strace)"
strace -qq -o /dev/null -e trace=none true 2>/dev/null || skip "strace may not trace here"
resect-new resnet18 --size 32 --classes 2 2>/dev/null | resect-truncate --after layer1 >"$T/in.onnx" 2>/dev/null
resect-freeze --all-but-head "$T/in.onnx" -o "$T/want.onnx" 2>/dev/null
mkdir "$T/dir"
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 # the leak checker cannot work while strace does
export ASAN_OPTIONS

# traced INJECTION [PATH]: the tool, from in.onnx to dir/out.onnx, which holds "old"; PATH limits the calls to those on it.
traced() {
        printf old >"$T/dir/out.onnx"
        if [ $# -gt 1 ]; then set -- "$1" -P "$2"; fi
        injection=$1
        shift
        strace -qq -o "$T/trace" "$@" -e "inject=$injection" \
                resect-freeze --all-but-head "$T/in.onnx" -o "$T/dir/out.onnx" 2>"$T/err" >"$T/out"
}
is_old() { [ "$(cat "$T/dir/out.onnx")" = old ]; }
is_new() { cmp -s "$T/dir/out.onnx" "$T/want.onnx"; }
alone() { [ "$(ls -A "$T/dir")" = out.onnx ]; }

# fails CALL ERROR [PATH]: each of the calls in turn; at least one must have been failed.
fails() {
        k=0
        while :; do
                k=$((k + 1))
                traced "$1:error=$2:when=$k" ${3+"$3"}
                code=$?
                grep -q INJECTED "$T/trace" || break
                check "alone after $1 #$k $2" alone
                if [ $code -eq 0 ]; then
                        check "new after $1 #$k $2, which was borne" is_new
                elif grep -q 'folder could not be synced' "$T/err"; then
                        check "new after $1 #$k $2" is_new
                else
                        check "status 2 after $1 #$k $2 (it is $code)" test $code -eq 2
                        check "old after $1 #$k $2" is_old
                        check "a word about $1 #$k $2" grep -q '^resect-freeze: .' "$T/err"
                fi
                [ $k -lt 50 ] || break
        done
        check "$1 $2 was called" test $k -gt 1
}

traced "fsync:error=EIO:when=1000"
check "without failures it is written" is_new
for error in EIO ENOSPC EDQUOT; do
        fails writev $error
done
for call in fsync linkat rename; do
        fails $call EIO
done
for call in openat fstat,newfstatat pread64,mmap; do
        case $call in openat) error=EMFILE ;; *) error=ENOMEM ;; esac
        fails $call $error "$T/in.onnx"
done
fails openat EMFILE "$T/dir/"

# Interrupted calls are made again.
traced "writev:error=EINTR:when=1"
check "EINTR is nothing" is_new

# Killed. TERM is caught and cleans up; KILL cannot be, and may leave a named temporary file between linkat and rename.
for signal in TERM KILL; do
        for call in writev fsync linkat rename; do
                rm -rf "$T/dir"
                mkdir "$T/dir"
                traced "$call:signal=$signal:when=1"
                check "old or new after $signal at $call" eval 'is_old || is_new'
                case $signal-$call in
                KILL-linkat | KILL-rename) ;;
                *) check "alone after $signal at $call" alone ;;
                esac
        done
done

# Devices and limits.
status 2 resect-freeze --all-but-head "$T/in.onnx" -o /dev/full
says "No space left"
status 2 sh -c 'resect-freeze --all-but-head "$1" >/dev/full' sh "$T/in.onnx"
rm -rf "$T/dir"
mkdir "$T/dir"
printf old >"$T/dir/out.onnx"
status 2 sh -c 'ulimit -f 100; resect-freeze --all-but-head "$1" -o "$2"' sh "$T/in.onnx" "$T/dir/out.onnx"
check "old after a file too large" is_old
check "alone after a file too large" alone
finish
