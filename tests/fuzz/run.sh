#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Fuzzes one part for a while: tests/fuzz/run.sh PART [SECONDS [FOLDER]]. Needs clang with libFuzzer. The folder keeps build and corpus;
# a finding is a file called crash-*, leak-*, oom-* or timeout-* in it, and exit status 1.
set -eu
part=${1:?which part: image, weights_pickle, ... (fuzz_PART.c)} seconds=${2:-60} dir=${3:-fuzz-$1}
src=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$dir/corpus"
: >"$dir/config.h"
flags="-g -O1 -D_GNU_SOURCE -I$dir -I$src/include -I$src/lib"
case $part in
image)
        code="$src/lib/base/error.c $src/lib/base/mem.c $src/lib/base/random.c $src/lib/image/*.c"
        libs="-ljpeg -lpng -lz -lm"
        ;;
weights_pickle)
        w=$src/lib/weights
        code="$src/lib/base/*.c $src/lib/io/*.c $src/lib/tensor/*.c $w/checkpoint.c $w/detectron.c $w/json.c $w/paddle.c $w/permute.c
                $w/pickle*.c $w/torch.c $w/torch_tensor.c"
        libs="-lz -lm -lpthread"
        flags="$flags -DFUZZ_ALONE"
        ;;
weights_flax | weights_tf | weights_tf_v1 | weights_h5 | weights_mxnet | weights_caffe | weights_ncnn | weights_safetensors | weights_npz | weights_said | weights_keras_zip)
        w=$src/lib/weights
        code="$src/lib/base/error.c $src/lib/base/mem.c $src/lib/base/map.c $src/lib/base/threads.c $src/lib/io/beneath.c $src/lib/io/bulk.c
                $src/lib/io/fd.c $src/lib/io/flush.c
                $src/lib/io/gunzip.c $src/lib/io/input.c $src/lib/io/output.c $src/lib/onnx/wire.c $src/lib/tensor/dtype.c
                $w/checkpoint.c $w/json.c"
        case $part in
        weights_flax) code="$code $w/flax.c $w/flax_write.c $w/msgpack.c" ;;
        weights_tf) code="$code $w/tf.c $w/tf_slices.c $w/tf_words.c $w/tf_write.c $w/sstable.c" ;;
        weights_tf_v1) code="$code $w/tf_v1.c $w/tf_slices.c $w/tf_words.c $w/sstable.c" ;;
        weights_h5) code="$code $w/h5_answer.c $w/keras_config.c" ;;
        weights_mxnet) code="$code $w/mxnet.c $w/mxnet_symbol.c" ;;
        weights_caffe) code="$code $w/caffe.c $w/caffe_write.c" ;;
        weights_ncnn) code="$code $w/ncnn.c" ;;
        weights_said) code="$code $w/keras_config.c $w/mxnet_symbol.c" ;;
        weights_keras_zip) code="$code $w/keras_zip.c $w/keras_config.c $src/lib/io/zip.c" ;;
        weights_safetensors) code="$code $w/safetensors.c" ;;
        weights_npz) code="$code $w/npz.c $src/lib/io/zip.c $src/lib/tensor/npy.c $src/lib/tensor/tensor.c" ;;
        esac
        libs="-lz -lm"
        ;;
*)
        echo "run.sh: no part called $part" >&2
        exit 2
        ;;
esac
# shellcheck disable=SC2086
{
        "${CC:-clang}" $flags -DPACKAGE_VERSION='"fuzz"' -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
                "$src/tests/fuzz/fuzz_$part.c" $code $libs -o "$dir/fuzz"
        if [ -e "$src/tests/fuzz/seeds_$part.c" ]; then
                "${CC:-clang}" $flags "$src/tests/fuzz/seeds_$part.c" $libs -o "$dir/seeds"
                "$dir/seeds" "$dir/corpus"
        else
                cp "$src/tests/fuzz/corpus/$part"/* "$dir/corpus"
        fi
}
exec "$dir/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -artifact_prefix="$dir/" -print_final_stats=1 \
        "$dir/corpus"
