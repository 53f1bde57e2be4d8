# SPDX-License-Identifier: 0BSD
"""crossed.py LIBRESECT.SO: p-values against the exact test (scipy.stats.binomtest), rank correlations against SciPy's, Holm's correction and the
two-way table's standard error against NumPy written as in the textbooks, intervals against a bootstrap in NumPy."""
import ctypes as c
import sys
import numpy as np
from scipy import stats

lib = c.CDLL(sys.argv[1])


class Options(c.Structure):
    _fields_ = [("rounds", c.c_size_t), ("level", c.c_double), ("family", c.c_size_t), ("unbounded", c.c_bool), ("seed", c.c_uint64)]


class Crossed(c.Structure):
    _fields_ = [(k, c.c_double) for k in ("value", "low", "high", "error", "spread", "p", "detectable")]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 512)]


for name in ("resect_crossed_mean", "resect_crossed_difference", "resect_holm", "resect_rank_correlation"):
    getattr(lib, name).restype = c.c_bool
err = Error()
worst = {}


def array(x):
    x = np.ascontiguousarray(x, np.float64)
    return x, x.ctypes.data_as(c.c_void_p)


def crossed(a, b=None, **options):
    out, (a, pa) = Crossed(), array(a)
    shape = c.c_size_t(a.shape[0]), c.c_size_t(a.shape[1])
    o = Options(**options)
    if b is None:
        ok = lib.resect_crossed_mean(pa, *shape, c.byref(o), c.byref(out), c.byref(err))
    else:
        b, pb = array(b)
        ok = lib.resect_crossed_difference(pa, pb, *shape, c.byref(o), c.byref(out), c.byref(err))
    assert ok, err.msg
    return out


def near(what, a, b, tolerance):
    worst[what] = max(worst.get(what, 0), abs(a - b))
    assert abs(a - b) <= tolerance, f"{what}: {a} is not {b}"


def variance_of_mean(x):
    """The mean squares of a two-way table without replication (Scheffe, The analysis of variance, 1959, chapter 4)."""
    s, n = x.shape
    rows, columns, m = x.mean(1, keepdims=True), x.mean(0, keepdims=True), x.mean()
    pictures = s * ((columns - m) ** 2).sum() / (n - 1)
    if s == 1:
        return pictures / n
    seeds = n * ((rows - m) ** 2).sum() / (s - 1)
    rest = ((x - rows - columns + m) ** 2).sum() / ((s - 1) * (n - 1))
    return (pictures + max(0, seeds - rest)) / (s * n)


rng = np.random.default_rng(5)
for n in (2, 5, 9, 40, 200):
    for digits in (0, 1, 8):
        x, y = rng.standard_normal(n).round(digits), rng.standard_normal(n).round(digits)
        if len(set(x)) < 2 or len(set(y)) < 2:
            continue
        rho, tau = c.c_double(), c.c_double()
        (x, px), (y, py) = array(x), array(y)
        assert lib.resect_rank_correlation(px, py, c.c_size_t(n), c.byref(rho), c.byref(tau), c.byref(err)), err.msg
        near("Spearman", rho.value, stats.spearmanr(x, y)[0], 1e-12)
        near("Kendall", tau.value, stats.kendalltau(x, y)[0], 1e-12)
    p = rng.random(n) ** 3
    q, pq = array(np.zeros(n))
    p, pp = array(p)
    assert lib.resect_holm(pp, c.c_size_t(n), pq, c.byref(err)), err.msg
    order = np.argsort(p)
    want = np.minimum(1, np.maximum.accumulate((n - np.arange(n)) * p[order]))
    for i, k in enumerate(order):
        near("Holm", q[k], want[i], 1e-15)

tested = 0
for s, n in ((1, 30), (1, 200), (3, 50), (5, 153)):
    for gap in (0, 0.05, 0.15):
        a, b = (rng.random((s, n)) < 0.75 + gap).astype(float), (rng.random((s, n)) < 0.75).astype(float)
        e, d = crossed(a, rounds=20000, seed=3), crossed(a, b, rounds=20000, seed=3)
        near("mean", e.value, a.mean(), 1e-12)
        near("difference", d.value, (a - b).mean(), 1e-12)
        near("error of a mean", e.error, np.sqrt(variance_of_mean(a)), 1e-12)
        near("error of a difference", d.error, np.sqrt(variance_of_mean(a - b)), 1e-12)
        near("spread", e.spread, a.mean(1).std(ddof=1) if s > 1 else 0, 1e-12)
        if s == 1:
            # Of ones and noughts the permutations that count are those of the pictures that differ: the binomial, exactly (McNemar's test).
            wins, losses = int((a > b).sum()), int((a < b).sum())
            near("p", d.p, stats.binomtest(wins, wins + losses).pvalue, 0.015)
            # The bootstrap, with the pictures that are added to keep it from having no width.
            pool = np.r_[a[0], a[0], 1, 1, 0, 0]
            means = rng.choice(pool, (20000, n)).mean(1)
            low, high = np.percentile(means, [2.5, 97.5])
            one = max(0.05, 1.01 / n / (high - low))  # means lie a picture apart
            near("interval, in its widths", (e.low - low) / (high - low), 0, one)
            near("interval, in its widths", (e.high - high) / (high - low), 0, one)
        tested += 1
# Much luck and hardly anything else: the interval is Student's over the seeds.
x = (np.array([0.1, 0.25, 0.3, 0.45, 0.4])[:, None] + 1e-3 * rng.standard_normal((5, 500)))
e = crossed(x, rounds=40000, unbounded=True)
low, high = stats.t.interval(0.95, 4, x.mean(), stats.sem(x.mean(1)))
near("Student's interval, in its widths", (e.low - low) / (high - low), 0, 0.03)
near("Student's interval, in its widths", (e.high - high) / (high - low), 0, 0.03)
print(f"{tested} tables; largest differences: " + ", ".join(f"{k} {v:.1g}" for k, v in worst.items()))
