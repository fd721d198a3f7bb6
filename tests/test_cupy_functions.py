"""Programs written with CuPy's functions, on a module that stands in for CuPy (tests/cuda/test_cupy.py asks itself)."""

import inspect
import subprocess
import sys
import types

import numpy as np
import pytest

from autodiff import device, device_put, grad, hessian, jacfwd, jvp, vjp, vmap
from autodiff.core import cupy_functions
from autodiff.core.errors import AssignmentError, ConversionError, DeviceError, MissingRuleError
from tests import cupy_stand_in
from tests.device_array import DeviceArray, put

X = np.array([0.3, 0.7, 1.2])


@pytest.fixture
def cp(monkeypatch):
    cupy_functions.forget()
    yield cupy_stand_in.install(monkeypatch)
    cupy_functions.forget()
    monkeypatch.undo()
    cupy_functions.teach()


def same(got, want):
    assert type(got) is DeviceArray
    np.testing.assert_allclose(got._host, want, rtol=1e-9, atol=1e-12)


def assigned(xp, x):
    y = xp.zeros_like(x)
    y[1:] = x[:-1] ** 2
    xp.add.at(y, np.array([0, 0]), x[:2])
    return xp.sum(y * x)


#: Programs in the words of a namespace: CuPy's on the device, NumPy's on the host.
PROGRAMS = {
    "elementwise": lambda xp, x: xp.sum(xp.sin(x) ** 2 * xp.exp(-x)),
    "reductions": lambda xp, x: xp.mean(x * x) + xp.max(x) * xp.prod(x, axis=0),
    "choice": lambda xp, x: xp.sum(xp.where(x > 0.5, xp.log(x), x**3)),
    "lists": lambda xp, x: xp.sum(xp.concatenate([x, 2 * x[:2]]) ** 2) + xp.sum(xp.stack((x, x * x), axis=1)[:, 1]),
    "products": lambda xp, x: xp.einsum("i,j->", x, x) + xp.dot(x, x) + xp.sum(xp.outer(x, x)[0]),
    "linear algebra": lambda xp, x: xp.sum(xp.linalg.solve(xp.diag(x), x**2)) + xp.linalg.norm(x),
    "transform": lambda xp, x: xp.sum(xp.abs(xp.fft.fft(x)) ** 2),
    "shapes": lambda xp, x: xp.sum(xp.reshape(xp.broadcast_to(x, (2, 3)), (3, 2))[1]) * xp.ndim(x) * xp.shape(x)[0],
    "an array of numbers": lambda xp, x: xp.sum(xp.concatenate([x, xp.arange(3.0)]) * xp.full(6, 2.0)),
    "assignment": assigned,
    "a ufunc's method": lambda xp, x: xp.add.reduce(x * x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, cp):
    program, t = PROGRAMS[name], np.array([1.0, -2.0, 0.5])
    there, here = (lambda x: program(cp, x)), (lambda x: program(np, x))
    same(grad(there)(put(X)), grad(here)(X))
    same(jvp(there, (put(X),), (put(t),))[1], jvp(here, (X,), (t,))[1])
    same(jvp(grad(there), (put(X),), (put(t),))[1], jvp(grad(here), (X,), (t,))[1])
    same(
        grad(lambda x: jvp(there, (x,), (put(t),))[1])(put(X)),
        grad(lambda x: jvp(here, (x,), (t,))[1])(X),
    )
    if name != "transform":
        assert grad(there)(put(X.astype(np.float32))).dtype == np.float32
    copies = DeviceArray.copies
    x = put(X)
    grad(there)(x)
    assert DeviceArray.copies == copies + 1  # that of `put`: nothing crosses by itself


def test_arrays_of_traced_values(cp, monkeypatch):
    f = lambda xp: lambda x: xp.sum(xp.array([[x[0], 2.0], [1.0, x[1] * x[2]], [0.0, 3.0]]) ** 2)
    import autodiff.numpy as anp

    same(grad(f(cp))(put(X)), grad(f(anp))(X))
    g = lambda x: cp.sum(cp.array([x, put(np.ones(3))]))
    same(grad(g)(put(X)), np.ones(3))
    with pytest.raises(DeviceError, match=r"stack: argument 0\S* \(.*\) is on .* and argument \S+ \(.*\) on cpu"):
        grad(lambda x: cp.sum(cp.array([x, np.ones(3)])))(put(X))


def test_a_program_that_imports_cupy_itself(cp):
    def f(x):
        import cupy as cp
        from cupy import concatenate, sin

        return cp.sum(sin(concatenate([x, x])))

    same(grad(f)(put(X)), 2 * np.cos(X))


def test_functions_imported_before_anything_is_taught(cp):
    from cupy import concatenate

    assert "__autodiff__" not in (concatenate.__kwdefaults__ or {})
    same(grad(lambda x: cp.sum(concatenate((x, x))))(put(X)), np.full(3, 2.0))
    assert cp.concatenate is cp.concat is concatenate


def test_nothing_is_taught_before_a_transform_begins(cp):
    own = cp.sum.__code__
    device_put(np.ones(2), "cpu")
    assert cp.sum.__code__ is own
    same(grad(cp.sum)(put(X)), np.ones(3))
    assert cp.sum.__code__ is not own
    cupy_functions.forget()
    assert cp.sum.__code__ is own
    assert not hasattr(cp.sum, "__wrapped__")


def test_a_module_that_is_being_imported_is_taught_later(cp):
    cp.__spec__ = types.SimpleNamespace(_initializing=True)
    cupy_functions.teach()
    assert not hasattr(cp.sum, "__wrapped__")
    assert hasattr(cp.linalg.solve, "__wrapped__")
    cp.__spec__ = None
    cupy_functions.teach()
    assert hasattr(cp.sum, "__wrapped__")


def test_plain_calls_do_what_they_did(cp):
    cupy_functions.teach()
    same(cp.sum(cp.sin(put(X)), axis=0), np.sum(np.sin(X)))
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        cp.sum(X)
    assert cp.size(put(X)) == 3
    assert cp.sum.__name__ == "sum"
    assert str(inspect.signature(cp.sum)) == "(*args, **options)"


def test_transforms_of_many_directions(cp):
    f = lambda xp: lambda x: xp.sum(xp.exp(xp.sin(x)) * xp.cumsum(x))
    same(hessian(f(cp))(put(X)), hessian(f(np))(X))
    same(jacfwd(cp.sin)(put(X)), np.diag(np.cos(X)))
    rows = np.stack([X, X * X])
    same(vmap(grad(f(cp)))(put(rows)), vmap(grad(f(np)))(rows))


# -- errors --------------------------------------------------------------------------------------------------


def refused(error, text, f, x=None):
    with pytest.raises(error, match=text):
        grad(f)(put(X) if x is None else x)


def test_values_of_the_host_are_refused(cp):
    text = r"cupy.{}: a traced value \(float64\[3\]\) is on cpu \(\w+.py:\d+\).*Use the np\.\* function"
    refused(DeviceError, text.format("sin"), lambda x: cp.sum(cp.sin(x)), X)
    refused(DeviceError, text.format("concatenate"), lambda x: cp.sum(cp.concatenate([put(X), x])), X)
    refused(DeviceError, text.format("linalg.norm"), cp.linalg.norm, X)


def test_functions_without_a_counterpart(cp):
    cp.rsqrt = cupy_stand_in.Ufunc("sqrt")
    cp.rsqrt.name = cp.rsqrt.__name__ = "cupy_rsqrt"
    refused(MissingRuleError, r"cupy.rsqrt has no derivative rule .*functions that NumPy has too", cp.rsqrt)
    refused(MissingRuleError, r"cupy.random.normal has no.*mean \+ deviation \* noise", cp.random.normal)
    kernel = cupy_stand_in.Ufunc("sqrt")
    kernel.name = "mine"
    refused(MissingRuleError, r"the kernel mine has no derivative rule.*custom_jvp or autodiff.custom_vjp", kernel)


def test_writing_into_plain_arrays(cp):
    c = put(np.zeros(3))
    text = r"cupy.add with out= .*cannot be written into a plain array \(float64\[3\]\)"
    refused(AssignmentError, text, lambda x: cp.add(x, x, out=c))
    refused(AssignmentError, text, lambda x: cp.add(x, x, c))


def test_what_compiled_code_refuses(cp):
    def dot(x):
        raise TypeError(f"Argument 'b' has incorrect type (expected _ndarray_base, got {type(x).__name__})")

    refused(ConversionError, r"CuPy was given a traced value.*\(Argument 'b' .*\).*np.dot\(c, x\)", dot)

    def other(x):
        raise TypeError("Unsupported type <class 'bytes'>")

    refused(TypeError, r"^Unsupported type <class 'bytes'>$", other)


def test_the_pullback_of_such_a_program(cp):
    y, pull = vjp(lambda x: cp.sin(x) * 2, put(X))
    same(y, 2 * np.sin(X))
    same(pull(put(np.ones(3)))[0], 2 * np.cos(X))
    with pytest.raises(DeviceError, match=r"pullback: value .* is on tests fake:0 and cotangent"):
        pull(np.ones(3))


def test_without_cupy_nothing_of_it_is_imported():
    program = "import autodiff, sys; autodiff.grad(abs)(1.0); print([name for name in sys.modules if 'cupy' in name])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_stand_in_is_a_device(cp, monkeypatch):
    monkeypatch.setitem(
        device.DEVICES, "fake", device.Device(lambda x, _: put(x), lambda x: isinstance(x, DeviceArray))
    )
    f = lambda x: device_put(cp.sum(cp.sin(device_put(x, "fake"))), "cpu")
    np.testing.assert_allclose(grad(f)(X), np.cos(X))
