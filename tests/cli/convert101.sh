#!/bin/sh
# SPDX-License-Identifier: 0BSD
# A whole ResNet-101 out and back: every format that is written, under every naming scheme that it takes, into another ResNet-101 of
# the same variant (v2 where the scheme names that), drawn from another seed. Weights that only move are the same to the bit; where they are computed
# (another epsilon, a folded BatchNormalization) the outputs agree within 1e-4. The table says which pairs were refused, and why.
. "$RESECT_SRC/tests/cli/check.sh"
[ "${RESECT_SLOW:-0}" = 1 ] || skip "many minutes and a gigabyte of files: RESECT_SLOW=1 runs it"

# resect-new's normalizations are 1 and 0 everywhere, which no swap would change: they get numbers of their own. The fourth byte of a
# little-endian float32 is its size: 0x3f is 0.5 to 2, 0x3d (at the end of a branch, or the sum would grow with every block) a
# sixteenth of it.
for size in 077 075; do
        # shellcheck disable=SC2059
        printf "$(awk -v size=$size 'BEGIN { srand(101); for (i = 0; i < 2600; i++) printf "\\%03o\\%03o\\%03o\\%s", rand() * 256, rand() * 256, rand() * 256, size }')" >"$T/pool$size"
done
scramble() {
        at=1
        for f in "$1"/*bn*.npy "$1"/*norm*.npy "$1"/*downsample.1.*.npy; do
                [ -e "$f" ] || continue
                bytes=$(($(wc -c <"$f") - 128)) size=077
                case $f in
                *num_batches_tracked*) continue ;;
                *bn3.weight.npy | *norm3.weight.npy | *.bias.npy | *mean.npy) size=075 ;;
                esac
                { head -c 128 "$f" && tail -c +$at "$T/pool$size" | head -c "$bytes"; } >"$T/one" && mv "$T/one" "$f"
                at=$((at % 2000 + 4))
        done
}
for variant in v1.5 v2; do
        resect-new --quiet resnet101 --variant $variant --classes 10 --size 64 -o "$T/plain.onnx"
        resect-new --quiet resnet101 --variant $variant --classes 10 --size 64 --seed 9 -o "$T/$variant.other.onnx"
        status 0 resect-convert --to npy --variant-from model "$T/plain.onnx" -o "$T/parts"
        scramble "$T/parts"
        status 0 resect-convert --weights "$T/parts" --into "$T/plain.onnx" --variant-from model -o "$T/$variant.onnx"
        status 1 resect-diff --only weights "$T/plain.onnx" "$T/$variant.onnx"
        rm -rf "$T/parts" "$T/plain.onnx"
done
resect-convert --names >"$T/names"
sed '/^$/q' "$T/names" | awk 'NR > 1 && NF && $3 == "yes" && $1 != "onnx" { print $1, $2, $4 ~ /^\./ ? $4 : "" }' >"$T/formats"
sed '1,/^$/d' "$T/names" | awk 'NR > 1 && NF { print $1 }' >"$T/schemes"
check 'formats and schemes are listed' test "$(wc -l <"$T/formats")" -ge 10 -a "$(wc -l <"$T/schemes")" -ge 20

# told FORMAT SCHEME WHAT: a row of the table.
told() {
        printf '%-12s %-14s %s\n' "$1" "$2" "$3" | tee -a "$T/table"
}

# same_weights BACK MODEL: to the bit. BACK may have biases that the scheme stores and the model has not: they are 0, and it is run.
same_weights() {
        checks=$((checks + 1))
        resect-diff --only weights --rtol 0 --atol 0 "$1" "$2" >"$T/out" 2>&1
        grep -q '^weights: [0-9]* compared, 0 differ' "$T/out" || return 1
        grep -q 'only in A' "$T/out" && { same_answers "$1" "$2" || return 1; }
        ! grep -q 'only in B' "$T/out" && ! grep 'only in A' "$T/out" | sed 's/.*only in A: //; s/ and [0-9]* more//' | tr -d ' ' | tr ',' '\n' | grep -qv '\.bias$'
}
# same_answers A B: run on one input.
same_answers() {
        checks=$((checks + 1))
        resect-diff --only outputs --rtol 1e-4 --atol 1e-4 "$1" "$2" >"$T/answers" 2>&1
}

# pair FORMAT READS SUFFIX SCHEME: the first of the networks that the scheme names goes there and back.
pair() {
        format=$1 reads=$2 suffix=$3 scheme=$4 why=
        for variant in v1.5 v2; do
                checks=$((checks + 1))
                file=$T/w$suffix
                if ! resect-convert --to "$format:$scheme" --variant-from model "$T/$variant.onnx" -o "$file" 2>"$T/err"; then
                        why=$(tail -n 1 "$T/err" | sed 's/^resect-convert: //' | cut -c 1-100)
                        continue
                fi
                how=bits
                grep -q 'bit for bit' "$T/err" || how=computed
                if [ "$reads" = yes ]; then
                        # a file that holds the network has names of its own: torchvision's, where BatchNormalization is not folded
                        from="--from-names $scheme"
                        [ "$format" != ncnn ] || from=
                        # shellcheck disable=SC2086
                        status 0 resect-convert --weights "$file" --format "$format" $from --into "$T/$variant.other.onnx" \
                                --variant-from model -o "$T/back.onnx"
                        [ $how = computed ] || check "$format:$scheme: the same weights" same_weights "$T/back.onnx" "$T/$variant.onnx"
                        case $how.$format in
                        computed.* | *.safetensors | *.ncnn) check "$format:$scheme: the same outputs" same_answers "$T/back.onnx" "$T/$variant.onnx" ;;
                        esac
                fi
                rm -rf "$file" "$T/w"* "$T/back.onnx"
                if [ $failed -eq "$before" ]; then
                        told "$format" "$scheme" "ok ($variant, $how)"
                else
                        told "$format" "$scheme" FAILED
                fi
                return
        done
        told "$format" "$scheme" "refused: $why"
}
while read -r format reads suffix; do
        while read -r scheme; do
                before=$failed
                pair "$format" "$reads" "$suffix" "$scheme"
        done <"$T/schemes"
done <"$T/formats"
printf '%d ok, %d refused, %d failed\n' "$(grep -c ' ok (' "$T/table")" "$(grep -c ' refused: ' "$T/table")" "$(grep -c FAILED "$T/table")"
finish
