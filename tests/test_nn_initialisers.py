"""Initialisers: fans by hand, bounds and moments, orthogonality, dtypes, reproducibility, messages."""

import math
import pickle

import numpy as np
import pytest

from nn import initialisers
from nn.initialisers import constant, fans, get, normal, orthogonal, truncated_normal, uniform

FAMILIES = {"glorot": lambda i, o: 2 / (i + o), "he": lambda i, o: 2 / i, "lecun": lambda i, o: 1 / i}
# Shape, inputs that one unit reads, units that read one input.
SHAPES = [((300, 200), 300, 200), ((64, 16, 5, 7), 16 * 35, 64 * 35), ((40, 30, 25), 750, 1000)]
EVERY = [
    *("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform"),
    *("ones", "orthogonal", "zeros"),
    *(constant(0.3), normal(0.3), truncated_normal(0.3), truncated_normal(0.3, corrected=True), uniform(-1, 2)),
]


def seeded(seed=7):
    return np.random.default_rng(seed)


def check_moments(x, variance, kurtosis):
    """Mean 0 and this variance, to five standard errors, of a mean and of a mean square of independent numbers."""
    x = x.astype(np.float64)
    assert abs(x.mean()) < 5 * math.sqrt(variance / x.size)
    assert abs(np.mean(x**2) / variance - 1) < 5 * math.sqrt((kurtosis - 1) / x.size)


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), SHAPES)
def test_fans(shape, fan_in, fan_out):
    assert fans(shape) == (fan_in, fan_out)
    assert fans(list(map(np.int64, shape))) == (fan_in, fan_out)


def test_fans_count_connections():
    # Column k of a dense layer's matrix is what unit k reads; filter k of a convolution is.
    assert fans((3, 2)) == (np.zeros((3, 2))[:, 0].size, np.zeros((3, 2))[0].size)
    filters = np.zeros((8, 3, 5, 5))
    assert fans(filters.shape) == (filters[0].size, filters[:, 0].size)
    assert fans((8, 3, 5, 5), groups=4) == (75, 50)
    assert fans((6, 1, 3, 3), groups=6) == (9, 9)


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_families(family, shape, fan_in, fan_out, dtype):
    variance = FAMILIES[family](fan_in, fan_out)
    x = get(f"{family}_uniform")(seeded(), shape, dtype)
    bound = math.sqrt(3 * variance)
    assert x.shape == shape
    assert x.dtype == dtype
    assert np.abs(x).max() <= dtype(bound)
    # The largest of n even numbers misses the bound by more than 20/n of it with probability exp(-20).
    assert np.abs(x).max() > bound * (1 - 20 / x.size)
    check_moments(x, variance, 9 / 5)
    x = get(f"{family}_normal")(seeded(), shape, dtype)
    assert x.shape == shape
    assert x.dtype == dtype
    assert np.abs(x).max() > 3 * math.sqrt(variance)  # not truncated
    check_moments(x, variance, 3)


def test_glorot_uniform_is_the_formula_applied_to_the_generator():
    bound = np.float32(math.sqrt(6 / (30 + 10)))
    want = seeded(3).random((30, 10), dtype=np.float32) * (2 * bound) - bound
    np.testing.assert_allclose(initialisers.glorot_uniform(seeded(3), (30, 10)), want, atol=1e-7)


def test_normal_and_uniform():
    x = normal(0.05)(seeded(), (200, 300))
    check_moments(x, 0.05**2, 3)
    x = uniform(2.0, 5.0)(seeded(), (200, 300))
    assert 2 <= x.min() < 2.001 < 4.999 < x.max() <= 5
    check_moments(x - 3.5, 9 / 12, 9 / 5)
    assert np.all(uniform(0.1, 0.1)(seeded(), (50,)) == np.float32(0.1))
    assert np.all(normal(0)(seeded(), (50,)) == 0)


def test_truncated_normal():
    # Variance and fourth moment of a standard normal number within [-2, 2], by integration.
    y = np.linspace(-2, 2, 100_001)
    density = np.exp(-(y**2) / 2)
    second, fourth = (np.trapezoid(y**k * density, y) / np.trapezoid(density, y) for k in (2, 4))
    assert math.sqrt(second) == pytest.approx(0.87962566, abs=1e-8)
    x = truncated_normal(0.1)(seeded(), (200, 300), np.float64)
    assert 0.1999 < np.abs(x).max() <= 0.2
    check_moments(x, 0.01 * second, fourth / second**2)
    x = truncated_normal(0.1, corrected=True)(seeded(), (200, 300), np.float64)
    assert 0.2273 < np.abs(x).max() <= 0.2 / math.sqrt(second)
    check_moments(x, 0.01, fourth / second**2)
    assert np.abs(truncated_normal(1.0)(seeded(), (200, 300))).max() <= 2


@pytest.mark.parametrize("shape", [(5, 5), (40, 25), (25, 40), (1, 7), (8, 3, 5, 5), (100, 3, 5, 5)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(shape, gain):
    for dtype in (np.float32, np.float64):
        x = orthogonal(gain)(seeded(), shape, dtype)
        assert x.shape == shape
        assert x.dtype == dtype
        assert x.flags.c_contiguous
        m = x.reshape(shape[0], -1).astype(np.float64) / gain
        product = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
        np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6 if dtype == np.float32 else 1e-14)


def test_orthogonal_matrices_are_uniform():
    # Of a uniform rotation or reflection of the plane, every entry has mean 0, and half have determinant -1.
    rng = seeded()
    xs = np.array([orthogonal()(rng, (2, 2), np.float64) for _ in range(2000)])
    assert np.abs(xs.mean(0)).max() < 5 * math.sqrt(0.5 / 2000)
    assert abs(np.mean(np.linalg.det(xs) > 0) - 0.5) < 5 * 0.5 / math.sqrt(2000)


def test_constants():
    rng = seeded()
    before = rng.bit_generator.state
    assert initialisers.zeros(rng, (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert initialisers.ones(rng, 2 * (1,)).tolist() == [[1]]
    assert constant(-0.25)(rng, ()).tolist() == -0.25
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("init", EVERY)
def test_what_all_have_in_common(init):
    init = get(init)
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        x = init(seeded(), (6, 5), dtype)
        assert type(x) is np.ndarray
        assert x.dtype == dtype
        assert np.all(np.isfinite(x))
        assert x.flags.c_contiguous
        assert x.flags.writeable
    assert init(seeded(), [6, 5]).dtype == np.float32
    assert init(seeded(), (6, 5), "float64").dtype == np.float64
    np.testing.assert_array_equal(init(seeded(1), (6, 5)), init(seeded(1), (6, 5)))
    rng = seeded(1)
    if not np.array_equal(init(rng, (6, 5)), init(rng, (6, 5))):  # it is drawn, and from this generator alone
        np.random.default_rng(0).random()
        assert not np.array_equal(init(seeded(1), (6, 5)), init(seeded(2), (6, 5)))
    for shape in ((0, 4), (4, 0), (0, 0), (3, 0, 2, 2)):
        assert init(seeded(), shape).shape == shape
    again = pickle.loads(pickle.dumps(init))
    np.testing.assert_array_equal(again(seeded(4), (6, 5)), init(seeded(4), (6, 5)))


@pytest.mark.parametrize("init", EVERY)
def test_bad_requests(init):
    init = get(init)
    with pytest.raises(TypeError, match=r"rng must be a numpy Generator such as np.random.default_rng\(0\), not int"):
        init(0, (2, 3))
    with pytest.raises(TypeError, match="not RandomState"):
        init(np.random.RandomState(0), (2, 3))
    with pytest.raises(TypeError, match="parameters are floating-point numbers; dtype int64 is not"):
        init(seeded(), (2, 3), np.int64)
    with pytest.raises(TypeError, match="dtype complex128 is not"):
        init(seeded(), (2, 3), complex)
    with pytest.raises(TypeError, match=r"shape must be a tuple of integers, not \(2.0, 3\)"):
        init(seeded(), (2.0, 3))
    with pytest.raises(TypeError, match="shape must be a tuple of integers, not 5"):
        init(seeded(), 5)
    with pytest.raises(ValueError, match=r"shape \(2, -3\) has a negative length"):
        init(seeded(), (2, -3))


def test_messages_name_the_initialiser():
    with pytest.raises(TypeError, match="he_uniform: rng must be"):
        initialisers.he_uniform(None, (2, 3))
    with pytest.raises(TypeError, match="glorot_normal: parameters are"):
        initialisers.glorot_normal(seeded(), (2, 3), int)


def test_vectors_have_no_fans():
    for init in ("glorot_uniform", "he_normal", "lecun_uniform", "orthogonal"):
        with pytest.raises(
            ValueError, match=r"fans: weights have two axes .* not shape \(5,\); initialise biases with"
        ):
            get(init)(seeded(), (5,))
    with pytest.raises(ValueError, match="groups must be positive and divide the 8 filters, not 3"):
        fans((8, 3, 5, 5), groups=3)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"normal: std must be finite and at least 0, not -1.0"):
        normal(-1)
    with pytest.raises(ValueError, match="truncated_normal: std must be finite and at least 0, not nan"):
        truncated_normal(math.nan)
    with pytest.raises(ValueError, match=r"uniform: low 2.0 is greater than high 1.0"):
        uniform(2, 1)
    with pytest.raises(ValueError, match="orthogonal: gain must be finite, not inf"):
        orthogonal(math.inf)
    with pytest.raises(TypeError, match="constant: value must be a number, not str"):
        constant("much")
    with pytest.raises(TypeError, match="normal: std must be a number, not Generator"):
        normal(seeded())


def test_get():
    for name in ("he_normal", "zeros"):
        assert get(name) is getattr(initialisers, name)
    own = lambda rng, shape, dtype=np.float32: np.full(shape, 2, dtype)
    assert get(own) is own
    np.testing.assert_array_equal(get("orthogonal")(seeded(), (4, 3)), orthogonal()(seeded(), (4, 3)))


def test_get_refuses():
    with pytest.raises(
        ValueError, match="no initialiser is called 'xavier'; there are glorot_normal, glorot_uniform, "
    ):
        get("xavier")
    for name in ("he_uniform", "lecun_normal", "orthogonal", "zeros", r"truncated_normal\(std=0.01\)"):
        with pytest.raises(ValueError, match=name):
            get("xavier")
    with pytest.raises(ValueError, match=r"'normal' has parameters: pass a function, such as normal\(std=0.01\)"):
        get("normal")
    with pytest.raises(TypeError, match=r"normal makes initialisers: call it first, as in normal\(std=0.01\)"):
        get(normal)
    with pytest.raises(TypeError, match="an initialiser is a name or a function, not float"):
        get(0.5)


def test_fans_against_pytorch():
    init = pytest.importorskip("torch.nn.init")
    torch = pytest.importorskip("torch")
    for shape in ((8, 3, 5, 7), (4, 6, 3)):
        assert init._calculate_fan_in_and_fan_out(torch.empty(shape)) == fans(shape)
    assert init._calculate_fan_in_and_fan_out(torch.empty(5, 9).T) == fans((5, 9))  # torch's matrices are (out, in)
