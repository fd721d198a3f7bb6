"""CuPy itself on traced arrays, without a device: its functions dispatch, and what cannot says what to do.

CuPy's functions find a traced argument before they look at memory, so real CuPy can be asked for derivatives of values
that are NumPy's, once the engine's own refusal of such values is lifted. Arrays of CuPy's own class are made around the
host's memory: everything but kernels works on them.
"""

import inspect
import pathlib
import re
import threading
import types

import numpy as np
import pytest

cupy = pytest.importorskip("cupy")
cp = cupy
import cupyx  # noqa: E402
from cupy import concatenate, sin  # noqa: E402 - by name, before anything is taught

from autodiff import device_put, grad, hessian, jacfwd, jvp, vjp, vmap  # noqa: E402
from autodiff.core import cupy_functions  # noqa: E402
from autodiff.core.errors import (  # noqa: E402
    AssignmentError,
    ConversionError,
    DeviceError,
    MissingRuleError,
)
from autodiff.core.memory import tell  # noqa: E402
from tests.cuda.conftest import TARGET  # noqa: E402
from tests.device_array import ASKED, put  # noqa: E402
from tests.product_checks import check  # noqa: E402
from tests.test_device import HOST_ONLY, arrays_only, moved  # noqa: E402
from tests.test_registry import OPERATIONS  # noqa: E402

BEFORE = {"sum": cp.sum, "solve": cp.linalg.solve, "concatenate": cp.concatenate, "sin": cp.sin, "size": cp.size}
without_a_device = pytest.mark.skipif(TARGET == "cuda", reason="host memory stands in for a device's")
X = np.linspace(0.2, 0.9, 4)


@pytest.fixture(autouse=True)
def taught():
    cupy_functions.teach()


@pytest.fixture
def anywhere(monkeypatch):
    """Let CuPy's functions take traced values of the host."""
    monkeypatch.setattr(cupy_functions, "_refuse_host", lambda name, found: None)


def around(x):
    """An array of CuPy's class around the memory of the host, or on the device if there is one."""
    if TARGET == "cuda":
        return cp.asarray(x)
    memory = cp.cuda.UnownedMemory(x.ctypes.data, x.nbytes, x, 0)
    return cp.ndarray(x.shape, x.dtype, memptr=cp.cuda.MemoryPointer(memory, 0))


# -- every function ------------------------------------------------------------------------------------------


class Namespace:
    """NumPy, whose functions are CuPy's where an argument is traced and CuPy has them."""

    def __init__(self, numpy, module):
        self.numpy, self.module, self.asked = numpy, module, set()

    def __getattr__(self, name):
        own, other = getattr(self.numpy, name), getattr(self.module, name, None)
        if isinstance(own, types.ModuleType) and name in {"linalg", "fft"}:
            return self.__dict__.setdefault(name, Namespace(own, other))
        if other is None or other is own or not callable(other) or isinstance(own, type):
            return own

        def call(*args, **options):
            traced = any(map(cupy_functions._holds, (*args, *options.values())))
            if traced:
                self.asked.add(name)
            return (other if traced else own)(*args, **options)

        call.__name__ = name
        return call


def calls():
    """The calls of `tests.namespace_calls`, with those of CuPy's functions in the place of NumPy's."""
    space = {"np": Namespace(np, cp), "__name__": "calls"}
    source = pathlib.Path(__file__).parents[1].joinpath("namespace_calls.py").read_text()
    exec(compile(source.replace("import numpy as np\n", ""), "calls", "exec", dont_inherit=True), space)
    for prefix, table, module in (
        *(("cp", "CALLS", cp), ("cp.linalg", "LINALG_CALLS", cp.linalg), ("cp.fft", "FFT_CALLS", cp.fft)),
    ):
        own = {"cp": np, "cp.linalg": np.linalg, "cp.fft": np.fft}[prefix]
        for name, found in space[table].items():
            if hasattr(module, name) and hasattr(own, name) and not name.endswith("fftfreq"):
                for i, (f, *args) in enumerate(found if isinstance(found, list) else [found]):
                    if (name, i) == ("take", 1):  # mode=, which CuPy has not
                        continue
                    yield pytest.param(space["np"], name, f, args, id=f"{prefix}.{name}" + f"-{i}" * (i > 0))


#: Written in the table without a traced argument of the function itself, or through another name.
INDIRECT = {"piecewise"}


@pytest.mark.parametrize(("space", "name", "f", "args"), [*calls()])
def test_derivatives(space, name, f, args, anywhere):
    check(f, *args, order=1)
    asked = {*space.asked, *space.linalg.asked, *space.fft.asked}
    assert name in asked | INDIRECT


def test_parameters_that_cupy_calls_otherwise(anywhere):
    m = np.outer(X, X)
    table = [
        (lambda x: cp.concatenate(tup=(x, x), axis=0), lambda x: np.concatenate((x, x))),
        (lambda x: cp.flip(a=x), np.flip),
        (lambda x: cp.rot90(a=cp.outer(x, x), k=1), lambda x: np.rot90(np.outer(x, x))),
        (lambda x: cp.reshape(x, newshape=(2, 2)), lambda x: np.reshape(x, (2, 2))),
        (lambda x: cp.delete(x, indices=1), lambda x: np.delete(x, 1)),
        (lambda x: cp.ediff1d(arr=x, to_end=x[0]), lambda x: np.ediff1d(x, to_end=x[0])),
        (lambda x: cp.linalg.matrix_power(M=cp.outer(x, x), n=2), lambda x: np.outer(x, x) @ np.outer(x, x)),
        (lambda x: cp.cov(a=cp.stack(tup=[x, x * m[0]])), lambda x: np.cov(np.stack([x, x * m[0]]))),
        (lambda x: cp.sum(x, None, None, None, True), lambda x: np.sum(x, keepdims=True)),
        (lambda x: x * cp.argmax(x, 0, None), lambda x: x * np.argmax(x)),
        (lambda x: cp.array(obj=[x[0], x[1], 2.0]), lambda x: np.stack([x[0], x[1], 2.0])),
        (lambda x: cp.histogram2d(X, X, 2, None, x)[0], lambda x: np.histogram2d(X, X, 2, weights=x)[0]),
    ]
    for there, here in table:
        np.testing.assert_allclose(jacfwd(there)(X), jacfwd(here)(X))
    with pytest.raises(MissingRuleError, match=r"cupy.percentile: the keyword interpolation= is not known"):
        grad(lambda x: cp.percentile(x, 50, interpolation="lower"))(X)
    with pytest.raises(TypeError, match=r"cupy.take: got an unexpected keyword argument 'mode'"):
        grad(lambda x: cp.take(x, [5], mode="wrap")[0])(X)


def test_what_rules_ask_of_arrays_is_what_cupy_has():
    """Every operation runs on arrays of `tests.device_array`, which note what functions and options they need."""
    import cupyx.scipy.special

    ASKED.clear()
    for name in sorted(set(OPERATIONS) - HOST_ONLY - {"device_put"}):
        for case in arrays_only(OPERATIONS[name])[:2]:
            there, ts = moved(case), case.direction()
            with np.errstate(all="ignore"):
                vjp(there.f, *there.xs)[1](put(case.draw(case.f(*case.xs))))
                jvp(there.f, there.xs, tuple(map(put, ts)))
    missing = []
    for name, count, options in ASKED:
        if "." not in name:  # a ufunc, and how it was called
            ufunc = getattr(cp, name, None) or getattr(cupyx.scipy.special, name, None)
            own = ufunc is not None or not hasattr(np, name)  # SciPy's, which is refused by name
            reduce = count in {"reduce", "accumulate"} and name in {"add", "multiply"}
            known = {"axis", "keepdims", "dtype", "out"} if reduce else {"out", "dtype", "casting"}
            own = own and (count == "__call__" or reduce or getattr(ufunc, "_scatter_op", "?") is not None)
            missing += [] if own and set(options) <= known else [(name, count, options)]
            continue
        function = cp
        for part in [part for part in name.split(".")[1:] if not part.startswith("_")]:
            function = getattr(function, part, None)
        if isinstance(function, cp.ufunc):
            continue
        names = {} if function is None else inspect.signature(function).parameters
        open_ended = any(p.kind in {p.VAR_KEYWORD, p.VAR_POSITIONAL} for p in names.values())
        if function is None or not (open_ended or (set(options) <= set(names) and count <= len(names))):
            missing.append((name, count, options))
    assert len(ASKED) > 200
    assert not missing


# -- what a function is --------------------------------------------------------------------------------------


def test_functions_keep_what_they_are(anywhere):
    assert cp.sum is BEFORE["sum"]
    assert cp.linalg.solve is BEFORE["solve"]
    assert cp.concatenate is cp.concat is concatenate
    assert cp.sin is sin
    assert isinstance(cp.sin, cp.ufunc)
    assert str(inspect.signature(cp.sum)) == "(a, axis=None, dtype=None, out=None, keepdims=False)"
    assert cp.sum.__name__ == "sum"
    assert cp.sum.__module__.startswith("cupy.")
    assert "sum of an array" in cp.sum.__doc__
    assert inspect.getsource(cp.sum).startswith("def sum(")
    # those that were imported by name before, too
    np.testing.assert_allclose(grad(lambda x: cp.sum(sin(concatenate([x, x]))))(X), 2 * np.cos(X))


def test_plain_calls_are_cupys():
    assert cp.shape(np.ones((2, 3))) == (2, 3)
    assert cp.ndim([1.0, 2.0]) == 1
    assert cp.can_cast(np.float32, to=np.float64)
    assert cp.size(around(np.ones((2, 3)))) == 6
    with pytest.raises(TypeError, match=r"^(cupy\.)?sum\(\) missing 1 required positional argument: 'a'"):
        cp.sum()


def test_everything_can_be_undone():
    assert "__autodiff__" in cp.sum.__kwdefaults__
    before = cp.sum, cp.matmul, cp.polyadd
    cupy_functions.forget()
    try:
        assert cp.sum is before[0]
        assert cp.sum.__code__.co_filename.endswith("sumprod.py")
        assert not hasattr(cp.sum, "__wrapped__")
        assert cp.concatenate.__kwdefaults__ == {"dtype": None, "casting": "same_kind"}
        assert cp.size is BEFORE["size"]
        assert cp.polyadd is not before[2]
    finally:
        cupy_functions.teach()
    assert "__autodiff__" in cp.sum.__kwdefaults__
    assert cp.polyadd is not before[2]


def test_threads_teach_once(anywhere):
    cupy_functions.forget()
    found, start = [], threading.Barrier(8)

    def work():
        start.wait()
        found.append(grad(lambda x: cp.sum(cp.concatenate([x, x]) ** 2))(X))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found, [4 * X] * 8)
    assert not hasattr(cp.sum.__wrapped__, "__wrapped__")


# -- programs ------------------------------------------------------------------------------------------------


def test_every_mode_and_order(anywhere):
    f = lambda x: cp.sum(cp.exp(cp.sin(x)) * cp.cumsum(x))
    g = lambda x: np.sum(np.exp(np.sin(x)) * np.cumsum(x))
    np.testing.assert_allclose(hessian(f)(X), hessian(g)(X))
    np.testing.assert_allclose(jvp(grad(f), (X,), (X,))[1], jvp(grad(g), (X,), (X,))[1])
    np.testing.assert_allclose(grad(lambda x: jvp(f, (x,), (X,))[1])(X), grad(lambda x: jvp(g, (x,), (X,))[1])(X))
    xs = np.stack([X, X * X])
    np.testing.assert_allclose(vmap(grad(f))(xs), vmap(grad(g))(xs))


def test_ufuncs_methods(anywhere):
    def f(x):
        y = x * 1.0
        cp.add.at(y, np.array([0, 0, 2]), x[:3])
        return cp.add.reduce(y * y) + cp.multiply.reduce(x) + cp.add.accumulate(x)[-1] + cp.add.reduceat(x, [0, 2])[0]

    def g(x):
        y = x * 1.0
        np.add.at(y, np.array([0, 0, 2]), x[:3])
        return np.sum(y * y) + np.prod(x) + np.sum(x) + np.sum(x[:2])

    np.testing.assert_allclose(grad(f)(X), grad(g)(X))
    np.testing.assert_allclose(
        grad(lambda x: cp.sum(cp.where(x > 0.5, x, cp.add(x, 1.0, dtype=float)) ** 2))(X),
        grad(lambda x: np.sum(np.where(x > 0.5, x, x + 1.0) ** 2))(X),
    )


def test_fused_functions_run_as_they_are_written(anywhere):
    fused = cp.fuse(lambda x, y: x * cp.sin(y))
    np.testing.assert_allclose(grad(lambda x: cp.sum(fused(x, x)))(X), np.sin(X) + X * np.cos(X))


def test_special_functions(anywhere):
    special = pytest.importorskip("cupyx.scipy.special")
    pytest.importorskip("scipy")
    np.testing.assert_allclose(grad(lambda x: cp.sum(special.erf(x)))(X), 2 / np.sqrt(np.pi) * np.exp(-X * X))
    np.testing.assert_allclose(grad(special.logsumexp)(X), np.exp(X) / np.sum(np.exp(X)))


def test_get_array_module():
    assert grad(lambda x: (cp.get_array_module(x) is np) * x[0])(X)[0] == 1.0
    seen = []
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: seen.append(cp.get_array_module(x)) or 1 / 0)(around(X))
    assert seen == [cp]


def test_array_of_traced_values(anywhere):
    rotate = lambda a: cp.asarray([[cp.cos(a), -cp.sin(a)], [cp.sin(a), cp.cos(a)]])
    np.testing.assert_allclose(jacfwd(rotate)(0.0), [[0.0, -1.0], [1.0, 0.0]])


# -- what cannot be ------------------------------------------------------------------------------------------


def raises(error, text, f, x=X):
    with pytest.raises(error, match=text):
        grad(lambda x: cp.sum(f(x)))(x)


def test_values_of_the_host_are_refused():
    raises(DeviceError, r"cupy.sin: a traced value \(float64\[4\]\) is on cpu.*Use the np\.\* function", cp.sin)
    raises(DeviceError, r"cupy.linalg.norm: a traced value \(float64\[4\]\) is on cpu.*device_put", cp.linalg.norm)
    raises(DeviceError, r"cupy.concatenate: a traced value", lambda x: cp.concatenate([x, x]))


def test_what_numpy_has_not(anywhere):
    raises(MissingRuleError, r"cupy.msort has no derivative rule.*functions that NumPy has too", cp.msort)
    raises(MissingRuleError, r"cupyx.rsqrt has no derivative|the kernel cupy_rsqrt", cupyx.rsqrt)
    raises(MissingRuleError, r"cupy.random.normal has no.*mean \+ deviation \* noise", cp.random.normal)
    kernel = cp.ElementwiseKernel("T x", "T y", "y = x", "mine")
    raises(MissingRuleError, r"the kernel mine has no derivative rule.*custom_vjp", kernel)


def test_copies_to_the_host():
    raises(ConversionError, r"cupy.asnumpy: the traced value .*autodiff.device_put\(x, 'cpu'\)", cp.asnumpy, around(X))


def test_writing_into_plain_arrays():
    c = around(np.zeros(4))
    text = r"cupy.add with out=.* cannot be written into a plain array \(float64\[4\]\)"
    raises(AssignmentError, text, c.__iadd__)
    raises(AssignmentError, text, lambda x: cp.add(x, x, c))
    raises(AssignmentError, text, lambda x: cp.add(x, x, out=c))
    raises(ConversionError, r"cannot convert the traced value", lambda x: c.__setitem__(0, x[0]))


@without_a_device
def test_methods_of_plain_arrays(anywhere):
    c = around(np.ones(4))
    text = r"CuPy was given a traced value.*compiled code cannot take.*np.dot\(c, x\).*custom_vjp"
    raises(ConversionError, text, c.dot)


def test_a_traced_array_in_out(anywhere):
    def f(x):
        y = x * 1.0
        cp.multiply(x, x, y)
        return cp.sum(y)

    np.testing.assert_allclose(grad(f)(X), 2 * X)


def test_cupys_own_error_of_a_full_device():
    error = cp.cuda.memory.OutOfMemoryError(1536, 7)
    tell(error, "exp")
    told = str(error)
    assert re.match(r"exp: no room on the device for 1,536 bytes; (.* are free|how many are free is not known)", told)
    tell(error, "sin")
    assert str(error) == told
    assert isinstance(error, MemoryError)


@without_a_device
def test_without_a_driver():
    with pytest.raises(RuntimeError, match=r"device_put: CuPy finds no CUDA driver or device \(.*\); work on the host"):
        device_put(np.ones(2), "cuda")


@pytest.mark.skipif(TARGET != "cuda", reason="there is no device")
def test_on_a_device():
    f = lambda x: cp.sum(cp.sin(x) ** 2) + cp.linalg.norm(cp.fft.fft(x)) + cp.concatenate([x, x]).sum()
    g = lambda x: np.sum(np.sin(x) ** 2) + np.linalg.norm(np.fft.fft(x)) + 2 * np.sum(x)
    got = grad(f)(cp.asarray(X))
    assert isinstance(got, cp.ndarray)
    np.testing.assert_allclose(device_put(got, "cpu"), grad(g)(X))
    got = grad(lambda x: cp.array([x[0], 2.0, x[1]]).sum())(cp.asarray(X))
    np.testing.assert_allclose(device_put(got, "cpu"), [1.0, 1.0, 0.0, 0.0])
