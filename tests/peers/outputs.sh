#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-run against PyTorch and ONNX Runtime on PyTorch's exports: ResNet-18 and ResNet-101, in eval, BN-kept and training form. A
# ResNet-101 in training form amplifies float32's rounding beyond 1e-4, in the peers as well: there the judge is PyTorch in double,
# and what is judged is the reference kernels. The fast ones are held to the same 1e-4 in all other forms, there to 1e-3, exact or not.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch ort

for case in resnet18:eval:64 resnet18:kept:64 resnet18:training:64 resnet101:eval:64 resnet101:kept:64 resnet101:training:96; do
        name=${case%%:*} size=${case##*:}
        form=${case#*:}
        form=${form%:*}
        dir=$tmp/$name-$form
        mkdir "$dir"
        "$PYTHON" "$here/export.py" "$name" "$form" "$size" "$dir" 2>/dev/null
        kernels=auto
        [ "$name$form" != resnet101training ] || kernels=reference
        resect-run --kernels $kernels "$dir/model.onnx" "$dir/x.npy" -o "$dir/ours.npy" || { fail "$name $form: resect-run"; continue; }
        printf '%s %s against PyTorch: ' "$name" "$form"
        close "$dir/ours.npy" "$dir/y.npy" 1e-4 "$dir/y64.npy" || fail "$name $form differs from PyTorch"
        printf '%s %s against ONNX Runtime: ' "$name" "$form"
        if ort "$dir/model.onnx" "$dir/x.npy" "$dir/ort.npy" 2>"$dir/ort.err"; then
                close "$dir/ours.npy" "$dir/ort.npy" 1e-4 "$dir/y64.npy" || fail "$name $form differs from ONNX Runtime"
        elif [ "$form" = training ]; then
                echo "it does not run this form: $(head -c 120 "$dir/ort.err")"
        else
                fail "$name $form: ONNX Runtime: $(cat "$dir/ort.err")"
        fi
        [ $kernels = auto ] || for how in '' --exact; do
                # shellcheck disable=SC2086
                resect-run $how "$dir/model.onnx" "$dir/x.npy" -o "$dir/fast.npy" || fail "$name $form: resect-run $how"
                printf '%s %s, fast kernels %s, against PyTorch: ' "$name" "$form" "$how"
                close "$dir/fast.npy" "$dir/y.npy" 1e-3 || fail "$name $form: fast kernels $how differ from PyTorch"
        done
        rm -r "$dir"
done
exit $failed
