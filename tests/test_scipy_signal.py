"""`autodiff.scipy.signal`: SciPy's values in every mode, derivatives against differences, errors."""

import inspect

import numpy as np
import pytest
import scipy.signal as ss

from autodiff import check_grads, grad, jvp, vmap
from autodiff.core.errors import MissingRuleError
from autodiff.scipy import signal as asig

rng = np.random.default_rng(3)
X, H = rng.normal(size=7), rng.normal(size=4)
M, K, E = rng.normal(size=(5, 6)), rng.normal(size=(3, 2)), rng.normal(size=(2, 4))
Z = rng.normal(size=4) + 1j * rng.normal(size=4)
NUM, DEN = np.array([0.5, 0.3, -0.2]), np.array([1.3, -0.4, 0.1])
SOS = np.array([[0.5, 0.3, 0.1, 1.2, -0.3, 0.1], [1.0, 0.2, 0.0, 1.0, 0.4, 0.2]])

CASES = {
    **{f"convolve {m}": (lambda s, a, b, m=m: s.convolve(a, b, m), (X, H)) for m in ("full", "same", "valid")},
    **{f"convolve short {m}": (lambda s, a, b, m=m: s.convolve(a, b, m), (H, X)) for m in ("full", "same", "valid")},
    **{f"convolve 2d {m}": (lambda s, a, b, m=m: s.convolve2d(a, b, m), (M, K)) for m in ("full", "same", "valid")},
    **{f"correlate 2d {m}": (lambda s, a, b, m=m: s.correlate2d(a, b, m), (M, K)) for m in ("full", "same", "valid")},
    **{f"correlate {m}": (lambda s, a, b, m=m: s.correlate(a, b, m), (X, Z)) for m in ("full", "same", "valid")},
    "correlate short": (lambda s, a, b: s.correlate(a, b, "valid"), (H, X)),
    "fftconvolve": (lambda s, a, b: s.fftconvolve(a, b), (M, K)),
    "fftconvolve axes": (lambda s, a, b: s.fftconvolve(a, b, axes=1), (M, M[:1, :3])),
    "fftconvolve complex": (lambda s, a, b: s.fftconvolve(a, b, "same"), (X, Z)),
    "oaconvolve": (lambda s, a, b: s.oaconvolve(a, b, "valid"), (X, H)),
    "lfilter": (lambda s, b, a, x: s.lfilter(b, a, x), (NUM, DEN, X)),
    "lfilter axis": (lambda s, b, a, x: s.lfilter(b, a, x, axis=0), (NUM[:1], DEN, M)),
    "lfilter fir": (lambda s, b, a, x: s.lfilter(b, a, x), (NUM, DEN[:1], X)),
    "sosfilt": (lambda s, sos, x: s.sosfilt(sos, x), (SOS / SOS[:, 3:4], X)),
}
every_case = pytest.mark.parametrize(("f", "args"), CASES.values(), ids=CASES.keys())


@every_case
def test_values_are_scipys(f, args):
    got = jvp(lambda *xs: f(asig, *xs), args, args)[0]
    want = f(ss, *args)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@every_case
def test_derivatives(f, args):
    check_grads(lambda *xs: f(asig, *xs) if len(xs) < 2 or xs[0].shape != (2, 6) else _normalised(f, xs), args, rng=1)


def _normalised(f, xs):
    """SciPy's `sosfilt` takes leading coefficients of 1; put them in, so that differences do not move them."""
    sos = xs[0]
    return f(asig, np.concatenate([sos[:, :3], np.ones((2, 1)), sos[:, 4:]], axis=1), xs[1])


@every_case
def test_single_precision_is_kept(f, args):
    small = tuple(a.astype(np.complex64 if a.dtype.kind == "c" else np.float32) for a in args)
    y, t = jvp(lambda *xs: f(asig, *xs), small, small)
    assert y.dtype == t.dtype == np.result_type(*small)


def test_inside_vmap():
    many = np.stack([X, 2 * X])
    np.testing.assert_allclose(vmap(lambda x: asig.lfilter(NUM, DEN, x))(many), ss.lfilter(NUM, DEN, many), rtol=1e-12)
    got = vmap(lambda x: asig.fftconvolve(x, H))(many)
    np.testing.assert_allclose(got, [np.convolve(x, H) for x in many], atol=1e-12)


@pytest.mark.parametrize("name", asig.__all__)
def test_signature_is_scipys(name):
    assert inspect.signature(getattr(asig, name)) == inspect.signature(getattr(ss, name))


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: asig.convolve(x, H, "some"), ValueError, r"scipy.signal.convolve: mode must be"),
        (lambda x: asig.convolve(x, K), ValueError, r"same number of axes, not float64\[7\]"),
        (lambda x: asig.convolve(x[:0], H), ValueError, r"must not be empty"),
        (lambda x: asig.fftconvolve(M * x[0], np.ones((2, 9)), "valid"), ValueError, r"mode='valid' one array"),
        (lambda x: asig.convolve2d(x, H), ValueError, r"takes matrices"),
        (lambda x: asig.convolve2d(M * x[0], K, boundary="wrap"), MissingRuleError, r"np.pad first"),
        (lambda x: asig.correlate(x, np.ones(9), "same"), MissingRuleError, r"shorter array first"),
        (lambda x: asig.lfilter(NUM, DEN, x, zi=np.ones(2))[0], MissingRuleError, r"lfilter .* zi "),
        (lambda x: asig.lfilter(K, DEN, x), ValueError, r"b and a must be vectors"),
        (lambda x: asig.sosfilt(np.ones((1, 6)), x, zi=np.ones((1, 2)))[0], MissingRuleError, r"sosfilt .* zi .*front"),
        (lambda x: asig.sosfilt(x, X), ValueError, r"sos must have the shape"),
    ],
)
def test_errors(f, error, text):
    with pytest.raises(error, match=text):
        grad(lambda x: np.sum(f(x)))(X)


def test_missing_functions():
    with pytest.raises(MissingRuleError, match=r"has no filtfilt: .*lfilter"):
        _ = asig.filtfilt
