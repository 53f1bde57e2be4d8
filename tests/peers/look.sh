#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-info and resect-check on real files: what each is, and the numbers that PyTorch counts itself.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch

# expect FILE KEY VALUE ...: fields of resect-info --json
expect() {
        file=$1
        shift
        resect-info --json "$file" >"$tmp/info.json" || fail "resect-info $file"
        "$PYTHON" - "$tmp/info.json" "$@" <<'P' || fail "$file"
import json, sys
info = json.load(open(sys.argv[1]))
bad = 0
for key, want in zip(sys.argv[2::2], sys.argv[3::2]):
    have = len(info["blocks"]) if key == "n_blocks" else info[key]
    if str(have) != want:
        print(f"{key}: {have}, not {want}")
        bad = 1
sys.exit(bad)
P
}

# Exports of torchvision's own models. Values that the exporter finds equal it shares, so that parameters are counted from the
# weights that were drawn at random: BatchNormalization's are made to differ.
"$PYTHON" - "$tmp" <<'P' 2>/dev/null || fail 'the exports'
import sys, torch, torchvision
mode = torch.onnx.TrainingMode
for name, form, mean in (("resnet18", mode.TRAINING, 0), ("resnet50", mode.PRESERVE, 0), ("resnext50_32x4d", mode.PRESERVE, 0),
                         ("wide_resnet50_2", mode.EVAL, 0), ("resnet101", mode.EVAL, 0)):
    torch.manual_seed(0)
    m = getattr(torchvision.models, name)()
    with torch.no_grad():
        for p in list(m.parameters()) + [b for b in m.buffers() if b.dtype == torch.float32]:
            p.add_(torch.randn_like(p).abs() * 0.01)
    torch.onnx.export(m, torch.zeros(1, 3, 64, 64), f"{sys.argv[1]}/{name}.onnx", opset_version=13, training=form,
                      do_constant_folding=form == mode.EVAL)
    open(f"{sys.argv[1]}/{name}.count", "w").write(str(sum(p.numel() for p in m.parameters())))
    if form != mode.EVAL:
        open(f"{sys.argv[1]}/{name}.keys", "w").write("\n".join(k for k in m.state_dict() if "num_batches" not in k))
P
expect "$tmp/resnet18.onnx" family resnet18 variant v1 n_bn 20 n_blocks 8 bn_folded False n_classes 1000 \
        parameters "$(cat "$tmp/resnet18.count")"
expect "$tmp/resnet50.onnx" family resnet50 variant v1.5 n_bn 53 n_blocks 16 parameters "$(cat "$tmp/resnet50.count")"
expect "$tmp/resnext50_32x4d.onnx" family resnext50_32x4d variant v1.5 parameters "$(cat "$tmp/resnext50_32x4d.count")"
expect "$tmp/wide_resnet50_2.onnx" family wide_resnet50_2 n_conv 53 n_bn 0 bn_folded True
expect "$tmp/resnet101.onnx" family resnet101 variant v1.5 n_conv 104 n_blocks 33 parameters 44496488

# Exports that keep BatchNormalization keep PyTorch's names: the canonical name of each tensor must be its own.
for name in resnet18 resnet50 resnext50_32x4d; do
        resect-info --json --tensors "$tmp/$name.onnx" >"$tmp/info.json"
        "$PYTHON" - "$tmp/info.json" "$tmp/$name.keys" <<'P' || fail "$name: canonical names"
import json, sys
tensors = json.load(open(sys.argv[1]))["tensors"]
keys = set(open(sys.argv[2]).read().split())
have = {t["canonical"] for t in tensors}
wrong = [t["name"] for t in tensors if t["name"] in keys and t["canonical"] != t["name"]]
print(f"{len(have)} canonical names; missing {sorted(keys - have)[:3]}, wrong {wrong[:3]}")
sys.exit(have != keys or bool(wrong))
P
        resect-check "$tmp/$name.onnx" || fail "$name: resect-check"
done

# NumPy reads what we write, and we read what NumPy writes.
"$PYTHON" - "$tmp" <<'P'
import sys, numpy as np
x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype("f4")
np.save(f"{sys.argv[1]}/c.npy", x)
np.save(f"{sys.argv[1]}/f.npy", np.asfortranarray(x))
np.save(f"{sys.argv[1]}/b.npy", x.astype(">f4"))
np.savez(f"{sys.argv[1]}/z.npz", x=x)
np.savez_compressed(f"{sys.argv[1]}/d.npz", x=x)
P
for x in c.npy f.npy b.npy z.npz d.npz; do
        resect-run --quiet "$tmp/resnet18.onnx" "$tmp/$x" -o "$tmp/y.$x.npy" || fail "resect-run $x"
        cmp "$tmp/y.c.npy.npy" "$tmp/y.$x.npy" || fail "$x is read otherwise"
done
"$PYTHON" -c 'import sys, numpy; y = numpy.load(sys.argv[1]); sys.exit(y.shape != (1, 1000) or y.dtype != "float32")' "$tmp/y.c.npy.npy" ||
        fail 'NumPy on our .npy'

if [ -d "$REAL/models" ]; then
        expect "$REAL/models/resnet101v2-layer3.onnx" family 'resnet101 up to layer3' variant v2 n_blocks 30 head False n_features 1024 \
                bn_folded True trainable True
        expect "$REAL/models/resnet20-cifar10.onnx" family resnet20 variant v1 n_conv 21 n_bn 21 n_blocks 9 n_classes 10 parameters 272474
        expect "$REAL/models/resnet50-features-dynamo-data-missing.onnx" family resnet50 variant v1.5 n_bn 53 n_blocks 16 head False \
                n_features 2048
        resect-check "$REAL/models/resnet101v2-layer3.onnx" || fail 'resnet101v2-layer3 is sound'
        if resect-check "$REAL/models/resnet50-features-dynamo-data-missing.onnx"; then
                fail 'its data is missing'
        fi
else
        echo "SKIP: no real models at RESECT_REAL=$REAL"
fi
exit $failed
