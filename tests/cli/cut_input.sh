#!/bin/sh
# SPDX-License-Identifier: 0BSD
# A model that somebody cuts short while a tool has it mapped: one line of words and status 2, whoever notices it first, the tool
# (a page that is no longer there) or the kernel (bytes to write that are no longer there); and nothing is left behind.
. "$RESECT_SRC/tests/cli/check.sh"

cd "$T" || exit 99
resect-new resnet18 --classes 2 --size 32 --quiet -o whole.onnx # 45 MB: far more than is read without mapping, or than a pipe holds
check 'a model that is mapped' test "$(stat -c %s whole.onnx)" -gt 1048576
mkdir dir
mkfifo pipe

# The tool: resect-diff has read A when it opens B, a pipe that is held open until A is cut.
cp whole.onnx a.onnx
resect-diff --only weights a.onnx pipe >out 2>err &
exec 3>pipe
truncate -s 8192 a.onnx
cat whole.onnx >&3
exec 3>&-
wait $!
check "status 2 (it is $?)" test $? -eq 2
check "one line of words: $(head -c 300 err)" one_line
says 'resect-diff: a file that was being read is no longer there in full'

# The kernel: the first byte has arrived, and the pipe is full long before the last.
cp whole.onnx a.onnx
resect-freeze --all-but-head --quiet a.onnx 2>err >pipe &
exec 3<pipe
head -c 1 <&3 >first
truncate -s 8192 a.onnx
cat <&3 >rest
exec 3<&-
wait $!
check "status 2 (it is $?)" test $? -eq 2
check "one line of words: $(head -c 300 err)" one_line
says 'resect-freeze: standard output: a file that its bytes come from is no longer there in full'
check 'some bytes came' test -s rest

# Compressed, it is the tool that reads. Its output waits for zlib at the first write until the model is cut; no file is left then.
if command -v strace >/dev/null && strace -qq -o /dev/null -e trace=none true 2>/dev/null; then
        cp whole.onnx a.onnx
        printf old >dir/out.onnx.gz
        strace -qq -o trace -e trace=writev -e inject=writev:delay_exit=3000000:when=1 \
                resect-freeze --all-but-head --quiet a.onnx -o dir/out.onnx.gz 2>err >out &
        while kill -0 $! && ! grep -qs writev trace; do sleep 0.05; done
        truncate -s 8192 a.onnx
        wait $!
        check "status 2 (it is $?)" test $? -eq 2
        check "one line of words: $(head -c 300 err)" one_line
        says 'resect-freeze: a file that was being read is no longer there in full'
        check 'the old file stands' test "$(cat dir/out.onnx.gz)" = old
        check 'alone' test "$(ls -A dir)" = out.onnx.gz
fi
finish
