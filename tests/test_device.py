"""Arrays that are not NumPy's: every operation on an array that behaves as CuPy's do, and the ways between devices."""

import warnings

import numpy as np
import pytest

import autodiff
import nn
from autodiff import device, device_put, from_dlpack, grad, jvp, ops, vjp, vmap
from autodiff.core.errors import ConversionError, DeviceError
from tests.device_array import DeviceArray, put
from tests.test_registry import OPERATIONS, cases

#: SciPy's functions of which a rule works in NumPy's memory (series, quadrature, LAPACK): they refuse other arrays.
HOST_ONLY = {
    *("beta", "betainc", "betainc_by_parameter", "betaincc", "betainccinv", "betaincinv", "betaln", "binom"),
    *("dawsn", "elliptic_integral", "erfcx", "expm", "expm_derivative", "expn", "gamma", "gammainc"),
    *("gammainc_by_parameter", "gammaincc", "gammainccinv", "gammaincinv", "gammaln"),
    *("hyperbolic_sine_integral", "jacobi_am", "jacobi_cn", "jacobi_dn", "jacobi_sn", "lambertw"),
    *("lfilter_recursion", "log_ndtr", "loggamma", "logm", "logm_derivative", "lu_packed", "ndtri_exp", "poch"),
    *("polar_unitary", "polygamma", "psi", "rgamma", "riemann_zeta", "sine_integral", "solve_banded"),
    *("solve_sylvester", "sph_harm_y", "spherical_in", "spherical_jn", "spherical_kn", "spherical_yn", "sqrtm"),
    *("sqrtm_derivative", "stdtr", "stdtrit", "zeta", "zetac"),
}
#: What they say: CuPy's own errors, or that the devices are mixed.
REFUSED = r"Implicit conversion|Unsupported type|no implementation found|unexpected keyword|is on"


@pytest.fixture(autouse=True)
def fake_device(monkeypatch):
    monkeypatch.setitem(
        device.DEVICES, "fake", device.Device(lambda x, _: put(x), lambda x: isinstance(x, DeviceArray))
    )


def bare(x):
    return tuple(map(bare, x)) if isinstance(x, tuple) else x._host


def same(got, want):
    for g, w in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, want)), strict=True):
        assert type(g) is DeviceArray
        assert g.dtype == w.dtype
        np.testing.assert_allclose(g._host, w, rtol=1e-9, atol=1e-12)


def moved(case):
    """The same case on the device."""
    twin = case.with_args(lambda a: a)
    twin.args = [put(a) if hasattr(a, "dtype") else a for a in case.args]
    twin.xs = tuple(twin.args[i] for i in twin.active)
    return twin


def arrays_only(op):
    return [case for case in cases(op) if all(hasattr(x, "dtype") for x in case.xs)]


def phi(case, w, v):
    def scalar(*xs):
        y = case.f(*xs)
        return np.sum(np.real(w * y + v * y * y))

    return scalar


def checked(op):
    """Value, both modes and two mixtures of the second order, on the device and on the host."""
    found = arrays_only(op)
    for case in found:
        there, ts = moved(case), case.direction()
        dts = tuple(map(put, ts))
        y, pull = vjp(case.f, *case.xs)
        same(there.f(*there.xs), y)
        same(jvp(there.f, there.xs, dts)[1], jvp(case.f, case.xs, ts)[1])
        ct = case.draw(y)
        same(vjp(there.f, *there.xs)[1](put(ct)), pull(ct))
        if not op.smooth or case is not found[0]:
            continue
        w, v, every = case.draw(y), case.draw(y), tuple(range(len(ts)))
        far, near = phi(there, put(w), put(v)), phi(case, w, v)
        same(jvp(grad(far, every), there.xs, dts)[1], jvp(grad(near, every), case.xs, ts)[1])
        along = lambda f, t: lambda *xs: jvp(f, xs, t)[1]
        same(grad(along(far, dts), every)(*there.xs), grad(along(near, ts), every)(*case.xs))


def quietly_checked(op):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the values themselves
        checked(op)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - HOST_ONLY - {"device_put"}))
def test_operation_on_a_device(name):
    quietly_checked(OPERATIONS[name])


@pytest.mark.parametrize("name", sorted(HOST_ONLY))
def test_operation_of_the_host_refuses_other_arrays(name):
    with pytest.raises(TypeError, match=REFUSED):
        quietly_checked(OPERATIONS[name])


# -- programs ------------------------------------------------------------------------------------------------


def network(w, x):
    h = np.tanh(np.atleast_2d(x) @ w["first"] + w["bias"])
    y = np.zeros_like(h)
    y[:, 1:] = h[:, :-1] * 2
    return np.mean(np.where(y > 0, y, 0.1 * y)[::2] ** 2) + np.max(h) + np.sum(h[np.array([0, 0, -1])])


def test_program():
    rng = np.random.default_rng(3)
    w, x = {"first": rng.normal(size=(3, 4)), "bias": rng.normal(size=4)}, rng.normal(size=(5, 3))
    want = grad(network)(w, x)
    got = grad(network)(device_put(w, "fake"), put(x))
    same(got["first"], want["first"])
    same(got["bias"], want["bias"])
    examples = vmap(grad(network), in_axes=(None, 0))
    same(examples(device_put(w, "fake"), put(x))["bias"], examples(w, x)["bias"])


def test_positions_on_the_device():
    x, i = np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2])
    f = lambda x, i: np.sum(x[i] ** 2)
    same(grad(f)(put(x), put(i)), grad(f)(x, i))
    along = lambda x, i: jvp(grad(lambda x: f(x, i)), (x,), (x,))[1]
    same(along(put(x), put(i)), along(x, i))
    same(grad(lambda x: np.sum(x[x > put(np.array(1.5))] ** 2))(put(x)), np.array([0.0, 4.0, 8.0]))


def test_results_are_not_shared():
    a, b = autodiff.grad(lambda a, b: np.sum(a + b), (0, 1))(put(np.ones(3)), put(np.ones(3)))
    a += 1.0
    same(b, np.ones(3))


# -- ways across ---------------------------------------------------------------------------------------------


def test_device_put_of_trees():
    tree = {"w": np.arange(3.0, dtype=np.float32), "n": 2, "name": "x", "more": [np.float64(1.5), (np.arange(2),)]}
    there = device_put(tree, "fake")
    assert type(there["w"]) is DeviceArray
    assert there["w"].dtype == np.float32
    assert there["n"] == 2
    assert there["name"] == "x"
    assert there["more"][0] == 1.5
    assert device_put(there, "fake")["w"] is there["w"]
    back = device_put(there, "cpu")
    assert type(back["w"]) is np.ndarray
    np.testing.assert_array_equal(back["more"][1][0], [0, 1])
    assert device_put(tree, "cpu")["w"] is tree["w"]


def test_device_put_is_differentiable_in_both_modes():
    x, t = np.arange(3.0), np.array([1.0, -1.0, 2.0])
    f = lambda x: np.sum(device_put(device_put(x, "fake") ** 3, "cpu") * x)
    np.testing.assert_allclose(grad(f)(x), 4 * x**3)
    np.testing.assert_allclose(jvp(grad(f), (x,), (t,))[1], 12 * x**2 * t)
    np.testing.assert_allclose(grad(lambda x: jvp(f, (x,), (t,))[1])(x), 12 * x**2 * t)
    y, pull = vjp(lambda x: device_put(x, "fake"), x)
    same(y, x)
    assert type(pull(put(t))[0]) is np.ndarray
    same(jvp(lambda x: device_put(x, "fake"), (x,), (t,))[1], t)
    with pytest.raises(DeviceError, match=r"pullback: value .* is on tests fake:0 and cotangent"):
        pull(t)


def test_device_put_errors():
    with pytest.raises(ValueError, match=r"there is no device 'tpu'; the devices are 'cpu', 'cuda'"):
        device_put(np.ones(2), "tpu")
    with pytest.raises(ValueError, match="no device 'cpu:1'"):
        device_put(np.ones(2), "cpu:1")


def test_without_cupy_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(ImportError, match=r'pip install "autodiff-engine\[cuda\]"'):
        device_put(np.ones(2), "cuda")


def test_without_a_driver_the_error_says_so(monkeypatch):
    class Runtime:
        @staticmethod
        def getDeviceCount():  # noqa: N802 - CUDA's name
            raise RuntimeError("cudaErrorInsufficientDriver")

    cupy = type("cupy", (), {"cuda": type("cuda", (), {"runtime": Runtime})})
    monkeypatch.setitem(__import__("sys").modules, "cupy", cupy)
    with pytest.raises(RuntimeError, match="finds no CUDA driver or device"):
        device_put(np.ones(2), "cuda")


MIXTURES = {
    "multiply": lambda x, c: x * c,
    "add": lambda x, c: c + x,
    "power": lambda x, c: x**c,
    "maximum": np.maximum,
    "matmul": lambda x, c: x @ c,
    "concatenate": lambda x, c: np.concatenate([x, c]),
    "stack": lambda x, c: np.stack([c, x]),
    "where": lambda x, c: np.where(c > 0, x, 0.0) * np.where(x > 0, x, c),
    "einsum": lambda x, c: np.einsum("i,i", x, c),
    "clip|maximum": lambda x, c: np.clip(x, c, 2.0),
    "solve": lambda x, c: np.linalg.solve(np.diag(x), c),
    "interp": lambda x, c: np.interp(x, c, c),
    "less": lambda x, c: x * (x < c),
    "allclose|isclose": lambda x, c: x * np.allclose(x, c),
    "polyval|multiply|add": lambda x, c: np.polyval(c, x) + np.polyval(x, c),
    "cov|concatenate|stack": lambda x, c: np.cov(c, x),
    "average|multiply": lambda x, c: np.average(x, weights=c),
    "dense": lambda x, c: ops.dense(x[None], np.stack([c, c], 1), np.ones(2)),
    "softmax_cross_entropy": lambda x, c: ops.softmax_cross_entropy(x[None], np.array([1])),
    "assignment": lambda x, c: written(x, c, lambda y: y.__setitem__(slice(0, 2), c[:2])),
    "copyto|assignment": lambda x, c: written(x, c, lambda y: np.copyto(y, c)),
    "put|assignment": lambda x, c: written(x, c, lambda y: np.put(y, [0], c[:1])),
    "add|assignment": lambda x, c: written(x, c, lambda y: np.add(y, c, out=y)),
}


def written(x, c, write):
    y = x * 1.0
    write(y)
    return y


def both(f):
    return grad(lambda x, c: np.sum(f(x, c)), (0, 1))


#: How the two arrays of an operation may be traced.
TRACED = {
    "one": lambda f: lambda x, c: grad(lambda x: np.sum(f(x, c)))(x),
    "forward": lambda f: lambda x, c: jvp(lambda x: f(x, c), (x,), (x,)),
    "both": both,
    "both, forward": lambda f: lambda x, c: jvp(f, (x, c), (x, c)),
    "examples": lambda f: lambda x, c: vmap(f, in_axes=(0, None))(put(np.stack([x._host, x._host])), c),
}


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("traced", TRACED)
def test_mixing_devices_names_both_arguments(name, traced):
    text = rf"({name}): argument \d\S* \(.*\) is on .* and argument \d\S* \(.*\) on .*device_put"
    with pytest.raises(DeviceError, match=text):
        TRACED[traced](MIXTURES[name])(put(np.array([0.5, 1.0, 1.5])), np.ones(3))


def test_positions_and_numbers_belong_to_every_device():
    x, h = put(np.array([0.5, 1.0, 1.5])), np.array([2.0, 3.0])
    same(grad(lambda x: np.sum(x[np.array([0, 0])] * h[0]))(x), np.array([4.0, 0.0, 0.0]))
    f = lambda h: device_put(h[0], "fake") * np.sum(x) + device_put(np.sum(h**2), "fake") * np.float64(0.5)
    g, t = grad(f)(h), np.array([1.0, -1.0])
    assert type(g) is np.ndarray
    np.testing.assert_allclose(g, [3.0 + 2.0, 3.0])
    along = jvp(grad(lambda h: device_put(np.sum(h**3), "fake") * np.sum(x)), (h,), (t,))[1]
    np.testing.assert_allclose(along, 18 * h * t)
    brought = grad(lambda h: h[0] * np.sum(x))(h)
    assert type(brought) is np.ndarray
    np.testing.assert_allclose(brought, [3.0, 0.0])
    with pytest.raises(DeviceError, match=r"gradient of the argument: the adjoint .* and another adjoint of it"):
        grad(lambda h: h[0] * np.sum(x) + device_put(np.sum(h**2), "fake"))(h)
    number = grad(lambda s: np.sum(np.sin(s) * x))(0.5)
    same(number, np.array(3 * np.cos(0.5)))
    with pytest.raises(
        DeviceError, match=r"gradient of power: the adjoint of its value .* on tests fake:0 and argument 0"
    ):
        grad(lambda h: np.sum(h**2) + np.sum(x))(h)


def test_rules_of_the_program_stay_on_their_device():
    x, h = put(np.array([0.3, 0.7])), np.array([0.3, 0.7])
    f = autodiff.custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (np.cos(h),))
    with pytest.raises(
        DeviceError, match=r"custom_vjp\(sin\): argument 0 .* on tests fake:0 and bwd's cotangent 0 .* on cpu"
    ):
        grad(lambda x: np.sum(f(x)))(x)
    f = autodiff.custom_jvp(np.sin)
    f.defjvp(lambda xs, ts: (np.sin(xs[0]), np.cos(h)))
    for transform in (lambda f: jvp(f, (x,), (x,)), lambda f: grad(lambda x: np.sum(f(x)))(x)):
        with pytest.raises(
            DeviceError, match=r"custom_jvp\(sin\): the rule's value .* on tests fake:0 and its tangent .* on cpu"
        ):
            transform(f)
    two = autodiff.custom_vjp(lambda x: (np.sin(x), np.cos(x)))
    two.defvjp(lambda x: (two(x), x), lambda x, cts: (cts[0] * np.cos(x) - cts[1] * np.sin(x),))
    same(grad(lambda x: np.sum(two(x)[0]))(x), np.cos(h))  # zeros for the other are made on the device


def test_tangents_live_where_the_primals_do():
    with pytest.raises(DeviceError, match=r"jvp: primals\[0\] .* is on tests fake:0 and tangents\[0\]"):
        jvp(np.sin, (put(np.ones(2)),), (np.ones(2),))
    with pytest.raises(DeviceError, match=r"linearize: primals\[0\] .* is on tests fake:0 and tangents\[0\]"):
        autodiff.linearize(np.sin, put(np.ones(2)))[1](np.ones(2))
    with pytest.raises(DeviceError, match=r"primals\[0\] .* is on tests fake:0 and tangents\[0\]"):
        autodiff.hvp(lambda x: np.sum(np.sin(x)), (put(np.ones(2)),), (np.ones(2),))


# -- DLPack --------------------------------------------------------------------------------------------------


def test_from_dlpack_shares_memory():
    x = np.arange(3.0)
    y = from_dlpack(x)
    y[0] = 7.0
    assert x[0] == 7.0


def test_from_dlpack_of_a_tensor():
    torch = pytest.importorskip("torch")
    t = torch.arange(3.0)
    x = from_dlpack(t)
    t[0] = 5.0
    assert x.dtype == np.float32
    np.testing.assert_array_equal(grad(lambda x: np.sum(x**2))(x), [10.0, 2.0, 4.0])
    assert torch.from_dlpack(x).data_ptr() == t.data_ptr()


def test_from_dlpack_errors():
    with pytest.raises(TypeError, match="list has no __dlpack__"):
        from_dlpack([1.0])
    with pytest.raises(ConversionError, match=r"from_dlpack\(\)"):
        grad(lambda x: np.sum(from_dlpack(x)))(np.ones(2))

    class Elsewhere:
        shape, dtype = (2,), np.dtype(float)

        def __dlpack__(self):
            raise NotImplementedError

        def __dlpack_device__(self):
            return (8, 0)

    with pytest.raises(DeviceError, match="device of DLPack's type 8"):
        from_dlpack(Elsewhere())


# -- transforms ----------------------------------------------------------------------------------------------


def test_jacobians_are_where_the_arrays_are():
    x = np.array([0.3, 0.7, 1.2])
    f = lambda x: np.stack([np.sin(x), x**3])
    for jacobian in (autodiff.jacfwd, autodiff.jacrev):
        same(jacobian(f)(put(x)), jacobian(f)(x))
        got = jacobian(lambda x, y: (np.exp(x), x[0]), (0, 1))(put(x), put(np.ones(2)))
        want = jacobian(lambda x, y: (np.exp(x), x[0]), (0, 1))(x, np.ones(2))
        for g, w in zip(got, want, strict=True):  # with blocks of zeros
            same(tuple(g), tuple(w))
    hessian = autodiff.hessian(lambda x: np.sum(np.exp(x) * x))
    same(hessian(put(x)), hessian(x))


def test_check_grads_on_a_device():
    x, seen = put(np.array([0.3, 0.7])), []

    def f(w, n):
        seen.append(type(autodiff.core.tracer.concrete(w["a"])))
        return np.sin(w["a"]) * n

    autodiff.check_grads(f, ({"a": x}, 2.0))
    assert set(seen) == {DeviceArray}
    wrong = autodiff.custom_jvp(np.sin)
    wrong.defjvp(lambda xs, ts: (np.sin(xs[0]), ts[0] * xs[0]))
    with pytest.raises(AssertionError, match=r"order 1, fwd: the derivative of result with respect to args\[0\]"):
        autodiff.check_grads(wrong, (x,), order=1)


# -- a full device -------------------------------------------------------------------------------------------


class OutOfMemoryError(MemoryError):
    """What CuPy raises, with its text."""

    __module__ = "cupy.cuda.memory"

    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")

    def __reduce__(self):
        return type(self), (self._size, self._total, self._limit)


class Full(DeviceArray):
    """An array on a device that has no room for results of a function."""

    refuses = frozenset()

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if ufunc.__name__ in Full.refuses:
            raise OutOfMemoryError(4096, 1 << 20)
        return full(super().__array_ufunc__(ufunc, method, *inputs, **options))

    def __array_function__(self, func, types, args, options):
        if func.__name__ in Full.refuses:
            raise OutOfMemoryError(8192, 1 << 20)
        return full(super().__array_function__(func, types, args, options))


def full(x):
    return Full(x._host) if type(x) is DeviceArray else x


@pytest.fixture
def no_room(monkeypatch):
    """Say for which functions the device of `Full` has no room; in CuPy's place is what knows how much is free."""

    class Runtime:
        memGetInfo = staticmethod(lambda: (1000, 80000))  # noqa: N815 - CUDA's name
        getDeviceCount = staticmethod(lambda: 1)  # noqa: N815

    class Memory:
        free_bytes = staticmethod(lambda: 512)

    def asarray(x):
        raise OutOfMemoryError(x.nbytes, 0)

    cupy = type("cupy", (), {
        "cuda": type("cuda", (), {"runtime": Runtime}),
        "get_default_memory_pool": Memory,
        "asarray": staticmethod(asarray),
    })  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, "cupy", cupy)
    return lambda *names: monkeypatch.setattr(Full, "refuses", frozenset(names))


FREE = r"1,000 of 80,000 are free, and 512 more in blocks that CuPy keeps for reuse\. A smaller batch or autodiff\.che"


def test_device_put_without_room(no_room):
    text = rf"^device_put of float64\[3,2\]: no room on the device for 48 bytes \(test_device.py:\d+\); {FREE}"
    with pytest.raises(OutOfMemoryError, match=text):
        device_put({"w": np.ones((3, 2))}, "cuda")


def test_operations_without_room(no_room):
    x = Full(np.array([0.3, 0.7]))
    f = lambda x: np.sum(np.exp(np.sin(x)) * 2)
    assert f(x)._host == f(x._host)
    where = r"no room on the device for 4,096 bytes \(test_device.py:\d+\); " + FREE
    no_room("exp")
    for transform, at in ((grad(f), x), (autodiff.jacfwd(f), x), (vmap(grad(f)), Full(np.ones((2, 2))))):
        with pytest.raises(OutOfMemoryError, match=rf"^exp: {where}"):
            transform(at)
    with pytest.raises(OutOfMemoryError, match=rf"^exp: {where}"):
        jvp(f, (x,), (x,))
    no_room("concatenate")
    with pytest.raises(OutOfMemoryError, match=r"^concatenate: no room on the device for 8,192 bytes"):
        grad(lambda x: np.sum(np.concatenate([x, x])))(x)
    no_room("max")
    with pytest.raises(OutOfMemoryError, match=r"^\w*softmax\w*: no room on the device for 8,192 bytes"):
        ops.softmax(x)


def test_sweeps_without_room(no_room):
    x = Full(np.array([0.3, 0.7]))
    _, pull = vjp(np.sin, x)
    _, push = autodiff.linearize(np.sin, x)
    no_room("cos")
    with pytest.raises(OutOfMemoryError, match=r"^gradient of sin(, cos)?: no room on the device for 4,096 bytes"):
        pull(x)
    with pytest.raises(OutOfMemoryError, match=r"^(sin|cos): no room on the device for 4,096 bytes"):
        push(x)
    with pytest.raises(OutOfMemoryError, match=r"^gradient of sin(, cos)?: no room"):
        grad(lambda x: np.sum(np.sin(x)))(x)


def test_a_step_of_an_optimiser_without_room(no_room):
    model, optimiser = {"w": Full(np.ones(2))}, nn.Adam(0.1)
    state = optimiser.init(model)
    no_room("sqrt")
    with pytest.raises(OutOfMemoryError, match=r"^Adam.update of .*w.*: no room on the device for 4,096 bytes"):
        optimiser.update({"w": Full(np.ones(2))}, state, model)


def test_other_errors_of_memory_are_left_alone(no_room):
    def f(x):
        raise MemoryError("the host is full")

    with pytest.raises(MemoryError, match=r"^the host is full$"):
        grad(f)(np.ones(2))
