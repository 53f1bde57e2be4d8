# SPDX-License-Identifier: 0BSD
"""features.py LIBRESECT.SO: logistic regression, nearest neighbours and AUC against scikit-learn's; LogME against the paper's algorithm 1 in
NumPy. More samples than features and fewer, two classes and many, constant and doubled features, doubled samples."""
import ctypes as c
import sys
import warnings
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")  # iterations, on purpose
lib = c.CDLL(sys.argv[1])


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 512)]


class Options(c.Structure):
    _fields_ = [("penalties", c.c_void_p), ("n_penalties", c.c_size_t), ("folds", c.c_size_t), ("seed", c.c_uint64),
                ("tolerance", c.c_double), ("threads", c.c_int)]


class Facts(c.Structure):
    _fields_ = [("n", c.c_size_t), ("d", c.c_size_t), ("classes", c.c_size_t), ("penalty", c.c_double), ("at_edge", c.c_bool),
                ("folds", c.c_size_t), ("cv_loss", c.c_double), ("cv_accuracy", c.c_double), ("converged", c.c_bool),
                ("weights", c.POINTER(c.c_double)), ("bias", c.POINTER(c.c_double)), ("standard_weights", c.POINTER(c.c_double)),
                ("standard_bias", c.POINTER(c.c_double))]


class KnnOptions(c.Structure):
    _fields_ = [("ks", c.c_void_p), ("n_ks", c.c_size_t), ("threads", c.c_int)]


lib.resect_logistic_fit.restype = c.c_void_p
lib.resect_logistic_about.restype = Facts
for name in ("resect_logistic_scores", "resect_logistic_held_out", "resect_knn", "resect_logme", "resect_auc"):
    getattr(lib, name).restype = c.c_bool
err = Error()
worst = {}


def at(a):
    return a.ctypes.data_as(c.c_void_p)


def near(what, a, b, tolerance):
    error = float(np.max(np.abs(np.asarray(a) - np.asarray(b)) / (1 + np.abs(np.asarray(b)))))
    worst[what] = max(worst.get(what, 0), error)
    assert error <= tolerance, f"{what}: {a} is not {b}: {error}"


def fit(x, y, k, penalties, threads=2, tolerance=1e-9):
    grid = np.array(penalties, np.float64)
    o = Options(at(grid), len(grid), 5, 3, tolerance, threads)
    n, d = x.shape
    model = lib.resect_logistic_fit(at(x), at(y), c.c_size_t(n), c.c_size_t(d), c.c_size_t(k), c.byref(o), c.byref(err))
    assert model, err.msg
    model = c.c_void_p(model)
    f = lib.resect_logistic_about(model)
    w = np.ctypeslib.as_array(f.standard_weights, (k, d)).copy()
    b = np.ctypeslib.as_array(f.standard_bias, (k,)).copy()
    scores = np.zeros((n, k), np.float32)
    assert lib.resect_logistic_scores(model, at(x), c.c_size_t(n), at(scores), c.byref(err)), err.msg
    held = np.zeros((n, k), np.float32)
    assert lib.resect_logistic_held_out(model, at(x), at(y), at(held), c.byref(err)), err.msg
    lib.resect_logistic_free(model)
    return f, w, b, scores, held


def loss(scores, y):
    z = scores.astype(np.float64)
    z -= z.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]))


def logme(x, y):
    """Algorithm 1 of the paper with an SVD, class by class, iterated until it stands still."""
    f = x.astype(np.float64)
    n, d = f.shape
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    if d >= n:  # a sample that repeats another counts once
        u, s = u[:, s > 1e-6 * s[0]], s[s > 1e-6 * s[0]]
        n = len(s)
    square, values = s ** 2, []
    for k in np.unique(y):
        t = (y == k).astype(float)
        z = u.T @ t
        outside = max(t @ t - z @ z, 0)
        if n == len(s):
            outside = 0
        alpha = beta = 1.0
        for _ in range(20000):
            gamma = np.sum(beta * square / (alpha + beta * square))
            m = beta * s * z / (alpha + beta * square)
            residue = np.sum((z - s * m) ** 2) + outside
            old = alpha / beta
            alpha, beta = gamma / np.sum(m ** 2), (n - gamma) / residue
            if abs(alpha / beta - old) < 1e-12 * old:
                break
        m = beta * s * z / (alpha + beta * square)
        residue = np.sum((z - s * m) ** 2) + outside
        determinant = np.sum(np.log(alpha + beta * square)) + (d - len(s)) * np.log(alpha)
        values.append((n / 2 * np.log(beta) + d / 2 * np.log(alpha) - n / 2 * np.log(2 * np.pi) - beta / 2 * residue
                       - alpha / 2 * np.sum(m ** 2) - determinant / 2) / n)
    return float(np.mean(values))


rng = np.random.default_rng(7)
cases = 0
for n, d, k in ((60, 10, 2), (40, 150, 2), (150, 20, 5), (50, 200, 4), (300, 64, 10), (7, 3, 2), (90, 90, 3)):
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)]).astype(np.int64)
    centre = rng.standard_normal((k, d))
    x = (0.5 * centre[y] + rng.standard_normal((n, d)) * rng.uniform(0.1, 3, d) + rng.uniform(-5, 5, d)).astype(np.float32)
    x[:, d // 2] = 3.25  # constant
    x[:, d - 1] = x[:, 0]  # doubled
    if n > 20:
        x[n - 1], y[n - 1] = x[n - 2], y[n - 2]
    other = (0.5 * centre[rng.integers(0, k, 100)] + rng.standard_normal((100, d))).astype(np.float32)
    scaler = StandardScaler().fit(x.astype(np.float64))
    xs, others = scaler.transform(x.astype(np.float64)), scaler.transform(other.astype(np.float64))
    for penalty in (1e-3, 0.1, 10.0):
        f, w, b, scores, held = fit(x, y, k, [penalty])
        assert f.converged and f.penalty == penalty
        peer = LogisticRegression(C=penalty, multi_class="multinomial", solver="newton-cg", tol=1e-8, max_iter=1000).fit(xs, y)
        pw, pb = peer.coef_, peer.intercept_
        if k == 2:  # scikit-learn keeps one row, of half the difference
            pw, pb = np.vstack([-pw, pw]), np.concatenate([-pb, pb])
        near("coefficients", w, pw, 2e-4)
        near("biases", b - b.mean(), pb - pb.mean(), 2e-4)
        near("scores", scores - scores.mean(1, keepdims=True), xs @ pw.T + pb - (xs @ pw.T + pb).mean(1, keepdims=True), 1e-3)
        assert (scores.argmax(1) == peer.predict(xs)).mean() > 0.99
        near("loss held out", f.cv_loss if min(np.bincount(y)) > 1 else loss(held, y), loss(held, y), 1e-3)  # folds are fitted loosely while C is sought
        one = fit(x, y, k, [penalty], threads=1)
        assert (one[1] == w).all() and (one[4] == held).all(), "threads change the result"
        cases += 1
    f, w, b, _, held = fit(x, y, k, [1e-4, 1e-3, 1e-2, 1e-1, 1, 10])
    losses = [fit(x, y, k, [p], tolerance=1e-8)[0].cv_loss for p in (1e-4, 1e-3, 1e-2, 1e-1, 1, 10)]
    near("least loss", f.cv_loss, min(losses), 1e-3)

    for neighbours in (1, 3, 5):
        ks, out, chosen = np.array([neighbours], np.uint64), np.zeros(100, np.int64), c.c_size_t()
        o = KnnOptions(at(ks), 1, 2)
        assert lib.resect_knn(at(x), at(y), c.c_size_t(n), c.c_size_t(d), c.c_size_t(k), at(other), c.c_size_t(100), c.byref(o), at(out),
                              c.byref(chosen), c.byref(err)), err.msg
        knn = KNeighborsClassifier(neighbours, algorithm="brute").fit(xs, y)
        _, who = knn.kneighbors(others)
        votes = np.array([np.bincount(y[w_], minlength=k) for w_ in who])
        clear = np.sort(votes, 1)[:, -1] > np.sort(votes, 1)[:, -2]  # a tie goes to the nearest here, to the first class there
        assert (out == knn.predict(others))[clear].all(), "neighbours differ"
        assert (votes[np.arange(100), out] == votes.max(1)).all()

    value = c.c_double()
    assert lib.resect_logme(at(x), at(y), c.c_size_t(n), c.c_size_t(d), c.c_size_t(k), 2, c.byref(value), c.byref(err)), err.msg
    near("LogME", value.value, logme(x, y), 1e-6)

for n in (2, 9, 500):
    for levels in (2, 7, 10 ** 6):
        score = rng.integers(0, levels, n).astype(np.float64)
        positive = np.concatenate([[True, False], rng.random(n - 2) < 0.4])
        value = c.c_double()
        assert lib.resect_auc(at(score), at(positive), c.c_size_t(n), c.byref(value), c.byref(err)), err.msg
        near("AUC", value.value, roc_auc_score(positive, score), 1e-12)
print(f"{cases} fits agree with scikit-learn; largest differences: " + ", ".join(f"{k} {v:.0e}" for k, v in worst.items()))
