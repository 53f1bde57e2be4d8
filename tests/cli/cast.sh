#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-cast as a person runs it: there and back, twice, with pictures, its report, and what it refuses.
. "$RESECT_SRC/tests/cli/check.sh"

cd "$T" || exit 99
resect-new resnet20 --classes 3 --seed 4 --quiet -o new.onnx
resect-truncate --after layer1 --quiet new.onnx -o small.onnx
check 'a model to work on' test -s small.onnx

# Half the bytes, valid, the inputs and outputs as they were; twice is once; and back.
status 0 resect-cast --to fp16 --verify small.onnx -o half.onnx
says 'numbers cast, 0 of them overflow to infinity'
says 'stem.conv1      float16'
says 'top-1 the same for'
says 'verified: '
check 'half the size' test "$(($(stat -c %s half.onnx) * 10))" -lt "$(($(stat -c %s small.onnx) * 6))"
status 0 resect-check half.onnx
status 0 resect-info half.onnx
says 'float32 [N, 3, 32, 32]'
says 'resect-cast --to fp16'
resect-cast --to fp16 --quiet --no-history half.onnx -o twice.onnx
same half.onnx twice.onnx
status 0 resect-cast --to fp32 --no-report --no-history half.onnx -o back.onnx
status 0 resect-diff --rtol 1e-2 --atol 1e-3 --only outputs back.onnx small.onnx
check 'no Cast is left' sh -c '! grep -qa Cast back.onnx'
resect-cast --to fp16 --quiet --no-history back.onnx -o half2.onnx
resect-cast --to fp32 --no-report --no-history --quiet half2.onnx -o back2.onnx
status 0 resect-diff --rtol 0 --atol 0 --only weights back.onnx back2.onnx

# In a pipe, with inputs and outputs; the weights alone.
resect-cast --to fp16 --io --quiet <small.onnx | resect-info >out 2>err
check 'inputs and outputs are cast' test "$(grep -c 'float16 \[N' out)" -eq 2
status 0 resect-cast --to bf16 --weights-only --no-report small.onnx -o bf.onnx
status 0 resect-check bf.onnx
status 0 resect-info --tensors bf.onnx
says 'bfloat16'
resect-edit --opset 22 --quiet small.onnx -o 22.onnx
status 0 resect-cast --to bf16 --keep head 22.onnx -o brain.onnx
says 'head            float32'
says 'layer1.0.conv1  bfloat16'

# What follows a cast is valid again: a fresh classifier is float32, behind a Cast. Training leaves the rest as it is, and says so.
for cut in 'resect-truncate --after layer1.0' 'resect-head --replace --classes 4'; do
        $cut --quiet half.onnx -o cut.onnx
        status 0 resect-check cut.onnx
        status 0 resect-run cut.onnx --random 1 --repeat 1
done

# opsets MODEL V...: it goes to opset V, to the same numbers and a valid model, other.onnx.
opsets() {
        model=$1
        shift
        for v in "$@"; do
                status 0 resect-edit --opset "$v" --verify "$model" -o other.onnx
                status 0 resect-check other.onnx
        done
}

# Another opset after a cast: the same numbers, or a reason with the node, the types and the versions.
status 0 resect-cast --to fp16 --no-report small.onnx -o half.onnx
opsets half.onnx 15 22
refuses resect-edit --opset 14 half.onnx -o none.onnx
says 'bn1 (BatchNormalization): inputs 0 and 1 are float16 and float32, and must be of one type before opset 15'
status 0 resect-edit --opset 13 --quiet small.onnx -o 13.onnx
status 0 resect-cast --to fp16 --no-report 13.onnx -o half13.onnx
opsets half13.onnx 7 21
resect-edit --opset 13 --quiet --no-history other.onnx | resect-diff --rtol 0 --atol 0 --only outputs - half13.onnx >out 2>err
check 'there and back' test $? -eq 0
status 0 resect-cast --to double --no-report small.onnx -o twice.onnx
status 0 resect-edit --opset 7 --verify twice.onnx -o other.onnx
refuses resect-edit --opset 21 brain.onnx -o none.onnx
says 'conv1 (Conv): it takes bfloat16 from opset 22 on'
refuses resect-edit --opset 12 bf.onnx -o none.onnx
says '(Cast): it takes bfloat16 from opset 13 on'

# Reports: TSV and JSON; on pictures.
status 0 resect-cast --to fp16 --report r.tsv small.onnx -o half.onnx
check 'the table is in the file' test "$(head -1 r.tsv | cut -f1-6)" = "$(printf 'layer\top\ttype\tlargest\tmax_error\trelative_error')"
check 'a line a layer' grep -q "^layer1.0.conv1	Conv	float16	" r.tsv
check 'and not in words' sh -c "! grep -q 'layer1.0.conv1' '$T/err'"
status 0 resect-cast --to fp16 --report r.json small.onnx -o half.onnx
check 'JSON' grep -q '"top1_agreement": 1.0' r.json
# On pictures: grey ones, whose bytes are the model's.
mkdir data
{ printf '\000\000\010\003\000\000\000\012\000\000\000\040\000\000\000\040'; tail -c 10240 small.onnx; } >data/train-images-idx3-ubyte
{ printf '\000\000\010\001\000\000\000\012'; printf '\000\001\002\000\001\002\000\001\002\000'; } >data/train-labels-idx1-ubyte
resect-edit --channels 1 --quiet small.onnx -o grey.onnx
status 0 resect-cast --to fp16 --check data --samples 8 grey.onnx -o half.onnx
says 'of 8 (on 8 pictures)'
refuses resect-tune half.onnx data --by-index --epochs 1 --val 0 -o x.onnx
says 'only float32 is trained (resect-cast --to fp32)'
resect-head --replace --classes 3 --quiet half.onnx -o headed.onnx
status 0 sh -c 'resect-freeze --all-but-head headed.onnx | resect-tune - data --by-index --epochs 1 --val 0 -o x.onnx'
refuses resect-trial half.onnx data --seeds 1
says '8 weights are no float32'
rm x.onnx

# Eight bits: folded first, calibrated, measured; the form is known again.
refuses resect-cast --to int8 --calibrate data grey.onnx -o x.onnx
says 'resect-fold --bn merges them'
resect-fold --bn --quiet grey.onnx -o folded.onnx
status 0 resect-cast --to int8 --calibrate data --report q.tsv folded.onnx -o int8.onnx
says 'calibrated 13 values on 10 pictures; 8 layers are int8, 0 stay float32'
says 'relative '
check 'a quarter of the weights' test "$(($(stat -c %s int8.onnx) * 10))" -lt "$(($(stat -c %s folded.onnx) * 5))"
check 'in 8 bits' grep -q "^layer1.1	Add	uint8	" q.tsv
status 0 resect-check int8.onnx
status 0 resect-info int8.onnx
says 'layer1.2'
opsets int8.onnx 13 22
refuses resect-edit --opset 12 int8.onnx -o none.onnx
says '(DequantizeLinear): a scale for each channel cannot be said there'
refuses resect-edit --opset 9 int8.onnx -o none.onnx
says '(DequantizeLinear): there is no DequantizeLinear before opset 10'
check 'no other version is left' test ! -e none.onnx
resect-cast --to int8 --calibrate data --quiet --no-report --no-history folded.onnx >q1.onnx
OMP_NUM_THREADS=1 resect-cast --to int8 --calibrate data --quiet --no-report --no-history folded.onnx >q2.onnx
same q1.onnx q2.onnx
status 0 resect-cast --to int8 --calibrate data --percentile 99 --keep head --no-report folded.onnx -o int8.onnx
says '7 layers are int8, 1 stay float32'
refuses resect-cast --to int8 --calibrate data int8.onnx -o x.onnx
says 'of 8 bits already'
resect-head --replace --classes 3 --quiet int8.onnx -o headed.onnx
status 0 resect-tune headed.onnx data --by-index --epochs 1 --val 0 -o x.onnx
says '7 weights stay as they are, because only float32 is trained: conv1.weight_quantized is int8'
rm x.onnx
refuses resect-convert --to npz int8.onnx -o x.npz
says 'conv1: its weights are of 8 bits'
refuses resect-cast --to fp16 int8.onnx -o x.onnx
says 'of 8 bits already'
refuses resect-cast --to int8 folded.onnx -o x.onnx
says '--calibrate DATA'
refuses resect-cast --to int8 --calibrate data --percentile 0.1 folded.onnx -o x.onnx
refuses resect-cast --to fp16 --calibrate data folded.onnx -o x.onnx
resect-edit --opset 11 --quiet folded.onnx -o 11.onnx
refuses resect-cast --to int8 --calibrate data 11.onnx -o x.onnx
says 'needs opset 13'
resect-cast --to fp16 --quiet folded.onnx -o h.onnx
refuses resect-cast --to int8 --calibrate data h.onnx -o x.onnx
says 'no Conv, Gemm or MatMul of constant float32 weights'

# What is refused leaves nothing.
rm -f x.onnx
refuses resect-cast small.onnx -o x.onnx
says '--to fp16, bf16, fp32, double or int8'
refuses resect-cast --to fp8 small.onnx -o x.onnx
refuses resect-cast --to bf16 small.onnx -o x.onnx
says 'Conv takes bf16 from opset 22 on'
refuses resect-cast --to fp16 --keep 'layer9*' small.onnx -o x.onnx
says 'no layer is called layer9*'
refuses resect-cast --to fp16 --check nowhere small.onnx -o x.onnx
refuses resect-cast --to fp16 --samples 4 small.onnx -o x.onnx
says '--samples belongs to --check'
refuses resect-cast --to fp32 --weights-only small.onnx -o x.onnx
refuses resect-cast --to fp16 --io --weights-only small.onnx -o x.onnx
refuses resect-cast --to fp16 --no-report --report y.tsv small.onnx -o x.onnx
refuses resect-cast --to fp16 --report missing/y.tsv small.onnx -o x.onnx
check 'nothing was written' test ! -e x.onnx
finish
