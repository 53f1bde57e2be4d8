# SPDX-License-Identifier: 0BSD
"""metrics.py LIBRESECT.SO: the figures of lib/study against scikit-learn's on random cases, odd ones among them, and the bootstrap's
quantiles against NumPy's on the same resamples."""
import ctypes as c
import sys
import warnings
import numpy as np
from sklearn import metrics as sk

warnings.filterwarnings("ignore")  # classes without samples, on purpose
lib = c.CDLL(sys.argv[1])


class Outcome(c.Structure):
    _fields_ = [("label", c.c_int64), ("predicted", c.c_int64), ("rank", c.c_size_t), ("loss", c.c_double), ("confidence", c.c_double)]


class Scores(c.Structure):
    _fields_ = [("n", c.c_size_t)] + [(k, c.c_double) for k in ("loss", "top1", "top5", "balanced", "macro_f1", "ece")]


class ClassScores(c.Structure):
    _fields_ = [(k, c.c_size_t) for k in ("support", "predicted", "hits")] + [(k, c.c_double) for k in ("precision", "recall", "f1")]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 512)]


for name in ("resect_outcomes", "resect_scores_of", "resect_scores_bootstrap"):
    getattr(lib, name).restype = c.c_bool
err = Error()
worst = 0.0


def ours(z, y):
    n, k = z.shape
    o, s, per, m = (Outcome * n)(), Scores(), (ClassScores * k)(), (c.c_size_t * (k * k))()
    z = np.ascontiguousarray(z, np.float32)
    y = np.ascontiguousarray(y, np.int64)
    assert lib.resect_outcomes(z.ctypes.data_as(c.c_void_p), y.ctypes.data_as(c.c_void_p), c.c_size_t(n), c.c_size_t(k), o, c.byref(err)), err.msg
    assert lib.resect_scores_of(o, c.c_size_t(n), c.c_size_t(k), c.byref(s), per, m, c.byref(err)), err.msg
    return o, s, per, np.array(m).reshape(k, k)


def near(what, a, b):
    global worst
    error = abs(a - b)
    worst = max(worst, error)
    assert error < 1e-9, f"{what}: {a} is not {b}"


def calibration_error(p, y, bins=15):
    """Guo et al. 2017, equation 3, written as they do."""
    confidence, hit = p.max(1), p.argmax(1) == y
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return total


rng = np.random.default_rng(1)
cases = 0
for n, k, absent in ((1, 2, 0), (7, 3, 1), (200, 10, 0), (333, 7, 2), (50, 40, 20), (1000, 5, 0)):
    for sharp in (0.1, 1.0, 8.0):
        y = rng.integers(0, k - absent, n)
        z = (rng.standard_normal((n, k)) + 1.5 * np.eye(k)[y]).astype(np.float32) * np.float32(sharp)
        o, s, per, confusion = ours(z, y)
        p = np.exp(z.astype(np.float64) - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        guess, labels = z.argmax(1), np.arange(k)
        near("top-1", s.top1, sk.accuracy_score(y, guess))
        near("balanced accuracy", s.balanced, sk.balanced_accuracy_score(y, guess))
        near("macro-F1", s.macro_f1, sk.f1_score(y, guess, average="macro", zero_division=0))
        near("log loss", s.loss, sk.log_loss(y, p, labels=labels, eps=1e-300))
        near("calibration error", s.ece, calibration_error(p, y))
        if k > 5:
            near("top-5", s.top5, sk.top_k_accuracy_score(y, p, k=5, labels=labels))
        assert (confusion == sk.confusion_matrix(y, guess, labels=labels)).all()
        table = sk.precision_recall_fscore_support(y, guess, labels=labels, zero_division=0)
        for i in range(k):
            for a, b in zip((per[i].precision, per[i].recall, per[i].f1, per[i].support), table):
                near(f"class {i}", a, b[i])
        cases += 1

# The interval of a mean: the percentile bootstrap's must agree with NumPy's own resampling up to its noise.
n, rounds = 400, 4000
y = rng.integers(0, 3, n)
z = (rng.standard_normal((n, 3)) + np.eye(3)[y]).astype(np.float32)
o, s, _, _ = ours(z, y)
low, high = Scores(), Scores()
assert lib.resect_scores_bootstrap(o, c.c_size_t(n), c.c_size_t(3), c.c_size_t(rounds), c.c_double(0.9), c.c_uint64(4), c.byref(low),
                                   c.byref(high), c.byref(err)), err.msg
for name, values in (("top1", [x.rank == 0 for x in o]), ("loss", [x.loss for x in o])):
    means = np.array(values, float)[rng.integers(0, n, (rounds, n))].mean(1)
    a, b = np.percentile(means, [5, 95])
    for mine, want in ((getattr(low, name), a), (getattr(high, name), b)):
        assert abs(mine - want) < 0.15 * (b - a), f"{name}: {mine} is far from {want}"
print(f"{cases} cases agree with scikit-learn within {worst:.0e}; intervals with NumPy's")
