# SPDX-License-Identifier: 0BSD
"""close.py A.npy B.npy [RTOL [TRUTH.npy]]: exit 1 when shapes differ or max |A - B| > RTOL * max |B| (default 1e-4).

Where float32 itself cannot do better, given the same result in double, A may differ more from B when it is B that errs: A must then be
within RTOL of TRUTH."""
import sys
import numpy as np


def load(path):
    if ".npz:" in path:
        file, name = path.rsplit(":", 1)
        return np.load(file)[name]
    return np.load(path)


def distance(a, b):
    if a.shape != b.shape:
        sys.exit(f"shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        sys.exit("not finite")
    return float(np.abs(a.astype(float) - b.astype(float)).max()) / max(float(np.abs(b).max()), 1e-30)


a, b = load(sys.argv[1]), load(sys.argv[2])
rtol = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-4
relative = distance(a, b)
words = f"relative difference {relative:.2e} (scale {np.abs(b).max():.3g})"
if relative > rtol and len(sys.argv) > 4:
    truth = load(sys.argv[4])
    relative = distance(a, truth)
    words += f"; from the result in double ours differs by {relative:.2e}, the other by {distance(b, truth):.2e}"
print(words)
sys.exit(relative > rtol)
