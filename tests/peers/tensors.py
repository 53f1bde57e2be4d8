# SPDX-License-Identifier: 0BSD
"""tensors.py TABLE FILE NPZ: the arrays of NPZ are exactly those that the table lists for FILE: name, type, shape, SHA-256."""
import hashlib
import sys
import numpy as np

table, name, npz = sys.argv[1:]
want = {}
for line in open(table):
    f = line.rstrip("\n").split("\t")
    if f[0] == name:
        want[f[1]] = (f[2], f[3], f[4])
got = {}
with np.load(npz) as arrays:
    for k in arrays.files:
        a = arrays[k]
        digest = hashlib.sha256(a.astype(a.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]
        got[k] = (str(a.dtype), "x".join(map(str, a.shape)), digest)
bad = [k for k in sorted(set(want) | set(got)) if want.get(k) != got.get(k)]
for k in bad[:5]:
    print("%s: %s, not %s" % (k, got.get(k), want.get(k)))
sys.exit(not want or bool(bad))
