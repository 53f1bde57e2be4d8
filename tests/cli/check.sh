# SPDX-License-Identifier: 0BSD
# What shell tests share: . "$RESECT_SRC/tests/cli/check.sh" first, end with: finish. Each check says what it was about when it
# fails; a test that checked nothing fails, too. $T is a folder that goes away at the end; tools are found on PATH.
set -u
: "${RESECT_SRC:?}" "${RESECT_BIN:?}" "${RESECT_BUILD:?}"
LC_ALL=C.UTF-8
PATH=$RESECT_BIN:$PATH
export LC_ALL PATH
T=$(mktemp -d "${TMPDIR:-/tmp}/resect-test.XXXXXX") || exit 99
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM
checks=0 failed=0

# check WHAT COMMAND...: the command must succeed.
check() {
        what=$1
        shift
        checks=$((checks + 1))
        if ! "$@"; then
                failed=$((failed + 1))
                printf 'FAILED: %s\n        %s\n' "$what" "$*"
        fi
}

# status N COMMAND...: runs it, output to $T/out, words to $T/err; it must exit with N.
status() {
        want=$1
        shift
        "$@" >"$T/out" 2>"$T/err"
        got=$?
        checks=$((checks + 1))
        if [ $got -ne "$want" ]; then
                failed=$((failed + 1))
                printf 'FAILED: status %d, not %d: %s\n' $got "$want" "$*"
                sed 's/^/        /' "$T/err" | head -5
        fi
}

# says TEXT: the last command's words or output have it.
says() {
        check "output has '$1' (it has: $(head -c 300 "$T/err"))" grep -qF -e "$1" "$T/out" "$T/err"
}

# refuses COMMAND...: status 2, nothing on standard output, and one line "resect-...: ..." of words.
refuses() {
        status 2 "$@"
        check "one line of words, not '$(head -c 300 "$T/err")': $*" one_line
        check "nothing on standard output: $*" test ! -s "$T/out"
}

one_line() {
        [ "$(wc -l <"$T/err")" -eq 1 ] && grep -q '^resect[-a-z]*: .' "$T/err"
}

# same A B: the files are equal, byte for byte.
same() {
        check "$1 and $2 are the same" cmp "$1" "$2"
}

# In the current folder: a network m.onnx, the same folded, and ten pictures as an IDX pair in data.
make_few() {
        resect-new resnet20 --classes 3 --seed 4 --quiet | resect-truncate --after layer1 --quiet -o m.onnx
        resect-fold --bn --quiet m.onnx -o folded.onnx
        check 'models to work on' test -s m.onnx -a -s folded.onnx
        mkdir data
        { printf '\000\000\010\003\000\000\000\012\000\000\000\040\000\000\000\040'; tail -c 10240 m.onnx; } \
                >data/train-images-idx3-ubyte
        { printf '\000\000\010\001\000\000\000\012'; printf '\000\001\002\000\001\002\000\001\002\000'; } \
                >data/train-labels-idx1-ubyte
}

skip() {
        echo "SKIPPED: $*"
        exit 77
}

finish() {
        echo "$checks checks, $failed failed"
        [ $checks -gt 0 ] && [ $failed -eq 0 ]
        exit
}
