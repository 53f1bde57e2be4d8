#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Flax's msgpack against Python's msgpack, both ways and to the byte. TensorFlow's checkpoints: Debian has no TensorFlow, so its
# index is compared with what it is made of: LevelDB's own tables, protobuf's own messages, and checksums in a loop of Python's.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy
tf() { "$PYTHON" "$here/weights_tf.py" "$@"; }
convert() { resect-convert --quiet "$@"; }
did=0

if "$PYTHON" -c 'import msgpack' 2>/dev/null; then
        did=1
        tf flax-make "$tmp" || fail 'msgpack cannot make the file'
        convert --weights "$tmp/f.msgpack" --to npz -o "$tmp/o.npz" && tf same "$tmp" "$tmp/o.npz" || fail 'Flax: not read'
        resect-convert --list "$tmp/f.msgpack" >"$tmp/list" 2>&1 || [ $? -eq 1 ] || fail 'Flax: --list'
        for word in 'opt_state/0/mu/a' 'None' 'the number 17' 'a complex number' 'name: resnet'; do
                grep -q "$word" "$tmp/list" || fail "Flax: --list does not tell: $word"
        done
        convert --weights "$tmp/want.npz" --to flax -o "$tmp/o.msgpack" && tf flax-read "$tmp" "$tmp/o.msgpack" ||
                fail 'Flax: not what msgpack reads and writes'
else
        echo "not checked: $PYTHON has no msgpack (apt-get install python3-msgpack)"
fi

if g++ -O1 "$here/leveldb_table.cc" -lleveldb -o "$tmp/table" 2>/dev/null &&
        "$PYTHON" -c 'import google.protobuf' 2>/dev/null; then
        did=1
        tf tf-make "$tmp" "$tmp/table" || fail 'LevelDB cannot make the files'
        for f in m.ckpt-3 m.ckpt-3.index m.ckpt-3.data-00001-of-00002 old.ckpt; do
                rm -f "$tmp/o.npz"
                convert --weights "$tmp/$f" --to npz -o "$tmp/o.npz" && tf same "$tmp" "$tmp/o.npz" || fail "TensorFlow: $f: not read"
        done
        convert --weights - --to npz -o "$tmp/o.npz" <"$tmp/old.ckpt" && tf same "$tmp" "$tmp/o.npz" || fail 'TensorFlow: version 1 from a pipe'
        for f in m.ckpt-3 old.ckpt; do
                resect-convert --list "$tmp/$f" >"$tmp/list" 2>&1 || [ $? -eq 1 ] || fail "TensorFlow: $f: --list"
                for word in 'a count of steps' "the optimiser's state" "the pictures' mean" 'text'; do
                        grep -q "$word" "$tmp/list" || fail "TensorFlow: $f: --list does not tell: $word"
                done
        done
        convert --weights "$tmp/want.npz" --to tf -o "$tmp/out.ckpt.index" && tf tf-read "$tmp" "$tmp/table" "$tmp/out.ckpt" ||
                fail 'TensorFlow: not what LevelDB and protobuf read'
        for f in snappy.index:snappy old-snappy.ckpt:snappy; do
                status=0
                convert --weights "$tmp/${f%%:*}" --to npz -o "$tmp/bad.npz" 2>"$tmp/err" || status=$?
                [ $status -eq 2 ] && grep -q "${f#*:}" "$tmp/err" || fail "TensorFlow: ${f%%:*}: $status: $(cat "$tmp/err")"
        done
else
        echo 'not checked: no LevelDB to compile with, or no protobuf for Python (apt-get install g++ libleveldb-dev python3-protobuf)'
fi

# names: the whole way round, under each scheme, with outputs that stay
for names in flax:flax flax:flax-example tf:slim tf:slim-v2; do
        variant=v1.5
        case $names in *v2) variant=v2 ;; esac
        file=$tmp/way.${names%%:*}
        rm -f "$file"*
        resect-new resnet18 --variant $variant --classes 7 --size 64 --quiet -o "$tmp/n.onnx" &&
                convert --variant-from model "$tmp/n.onnx" --to "$names" -o "$file" &&
                convert --variant-from model --weights "$file" --into "$tmp/n.onnx" -o "$tmp/back.onnx" ||
                fail "$names: not there and back"
        resect-diff "$tmp/n.onnx" "$tmp/back.onnx" >"$tmp/diff" || grep -q ' 0 beyond the tolerance' "$tmp/diff" ||
                fail "$names: $(tail -1 "$tmp/diff")"
        resect-convert --list "$file" | grep -q "^names *${names#*:}\(,.*\)*\$" || fail "$names: not recognised"
done
# Flax's example pads strided 3x3 Convs at their end: weights of it in an ordinary graph would be wrong in silence
resect-new resnet18 --classes 7 --size 64 --quiet -o "$tmp/n.onnx"
convert --variant-from model "$tmp/n.onnx" --to flax:flax-example -o "$tmp/x.msgpack" || fail 'flax-example is not written'
if convert --weights "$tmp/x.msgpack" --into "$tmp/n.onnx" -o "$tmp/y.onnx" 2>"$tmp/err"; then
        fail 'flax-example went into an ordinary graph'
fi
convert --weights "$tmp/x.msgpack" --into new -o "$tmp/y.onnx" || fail 'flax-example: no new graph'
"$PYTHON" -c 'import onnx, sys
pads = [list(a.ints) for n in onnx.load(sys.argv[1]).graph.node if n.op_type == "Conv" for a in n.attribute if a.name == "pads"
        if any(b.name == "strides" and b.ints[0] == 2 for b in n.attribute) and
        any(b.name == "kernel_shape" and b.ints[0] == 3 for b in n.attribute)]
assert pads == [[0, 0, 1, 1]] * 3, pads' "$tmp/y.onnx" || fail 'flax-example: the graph pads otherwise'
[ $did -eq 1 ] || [ $failed -ne 0 ] || skip 'neither msgpack nor LevelDB to compare with'
exit $failed
