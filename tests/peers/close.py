# SPDX-License-Identifier: 0BSD
"""close.py A.npy B.npy [RTOL]: exit 1 when shapes differ or max |A - B| > RTOL * max |B| (default 1e-4)."""
import sys
import numpy as np

def load(path):
    if ".npz:" in path:
        file, name = path.rsplit(":", 1)
        return np.load(file)[name]
    return np.load(path)

a, b = load(sys.argv[1]), load(sys.argv[2])
rtol = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-4
if a.shape != b.shape:
    sys.exit(f"shapes {a.shape} and {b.shape}")
if not (np.isfinite(a).all() and np.isfinite(b).all()):
    sys.exit("not finite")
scale = max(float(np.abs(b).max()), 1e-30)
rel = float(np.abs(a.astype(float) - b.astype(float)).max()) / scale
print(f"relative difference {rel:.2e} (scale {scale:.3g})")
sys.exit(rel > rtol)
