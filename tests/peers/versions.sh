#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-edit --opset, operator by operator, up and down: what comes out is of that version by ONNX's schemas, and computes the same, in
# ONNX Runtime and here; what cannot be said there is refused, for one of few reasons.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy ort
"$PYTHON" -c 'import onnx' 2>/dev/null || skip "$PYTHON has no onnx (apt-get install python3-onnx)"

"$PYTHON" "$here/opsets.py" make "$tmp/a"
"$PYTHON" "$here/versions.py" chains "$tmp/a"
"$NODE" "$here/ort_folders.js" "$tmp/a" 2>/dev/null
"$PYTHON" "$here/opsets.py" finish "$tmp/a" >/dev/null
"$PYTHON" "$here/versions.py" bind "$tmp/a" || fail 'see above'
: >"$tmp/refused"
for version in ${VERSIONS:-7 12 22}; do
        for model in "$tmp"/a/*/model.onnx; do
                case=${model%/model.onnx}
                out=$tmp/$version/${case##*/}
                if resect-edit --opset $version --quiet "$model" >"$tmp/model.onnx" 2>>"$tmp/refused"; then
                        mkdir -p "$out"
                        mv "$tmp/model.onnx" "$out"
                        cp -r "$case/test_data_set_0" "$out"
                        rm "$out"/test_data_set_0/output_*.npy
                fi
        done
        "$NODE" "$here/ort_folders.js" "$tmp/$version" >"$tmp/log" 2>/dev/null
        grep -v 'NOT_IMPLEMENTED\|Could not find an implementation' "$tmp/log" && fail "ONNX Runtime refuses what is of $version"
        "$PYTHON" "$here/versions.py" check "$tmp/a" $version "$tmp/$version" || fail "as of $version"
        resect-run --vectors "$tmp/$version" --rtol 1e-4 --atol 1e-5 >"$tmp/log" || fail "here, as of $version: $(cat "$tmp/log")"
done
sed -e 's/^[^(]*//' "$tmp/refused" | sort | uniq -c
sed -e 's/^[^(]*([A-Za-z]*): //' "$tmp/refused" |
        grep -vx 'there is no .* before opset [0-9]*\|it takes .* from opset [0-9]* on\|.* cannot be said there\|it broadcasts, which it did not do there\|its axis is not the last, and means something else there\|inputs . and . are .*' &&
        fail 'refused for another reason'
exit $failed
