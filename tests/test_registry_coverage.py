"""What the generic tests of the registry reach: none is left out of a category without a reason.

`test_registry` and `test_vmap_registry` walk the registry and use the samples that stand beside each operation. Here
the samples themselves are looked at: which operations have none of 0-d, empty, complex ... arguments, and why.
"""

import functools
import warnings

import numpy as np
import pytest

from autodiff import jvp, vjp, vmap
from autodiff.core import REGISTRY
from autodiff.core.errors import DifferentiationError
from autodiff.core.spec import dtype_of, is_inexact, shape_of
from tests import test_registry, test_vmap_registry
from tests.test_registry import OPERATIONS, Case, _like, as_complex, cases, close, difference, naming, pair

#: Arrays whose axes have a meaning: a matrix, an image, a window, an axis to work along.
_NEED_AXES = (
    "avg_pool2d avg_unpool2d batch_norm batch_norm_apply batch_norm_sums batch_norm_through "
    "characteristic_polynomial cholesky concatenate conv2d conv2d_bias conv2d_input_gradient "
    "conv2d_weight_gradient convolve correlate_valid cross cumprod cumsum dense det det_phase diagonal "
    "eig_values eig_vectors eigh eigvalsh embed_diagonal expm expm_derivative fft gather hermitian "
    "hermitian_triangle inv irfft lfilter_recursion log_softmax logdet logm logm_derivative lu_packed "
    "matmul max_pool2d max_unpool2d norm pinv poisoned_columns polar_unitary qr_orthogonal qr_upper "
    "quiet_inv recurrence regular_det rfft roll roots scatter softmax softmax_cross_entropy "
    "softmax_cross_entropy_gradient softmax_of_counted_rows solve solve_banded solve_sylvester "
    "solve_transposed solve_triangular sqrtm sqrtm_derivative svd_left svd_right svd_values transpose "
    "unit watched_columns"
)
#: No value without entries (an extremum, a polynomial's leading coefficient), or a shape fixed by a parameter.
_NEED_ENTRIES = (
    "avg_unpool2d batch_norm batch_norm_apply batch_norm_sums batch_norm_through broadcast_to "
    "characteristic_polynomial convolve correlate_valid eig_values eig_vectors embed_diagonal "
    "lfilter_recursion max max_unpool2d mean min poisoned_columns roots scatter solve_banded "
    "watched_columns"
)
#: No empty sample; `test_emptied` empties one.
_EMPTIED = (
    "avg_pool2d expm_derivative gather logm_derivative logsumexp lu_packed max_pool2d norm polar_unitary "
    "solve_sylvester sqrtm_derivative transpose unit"
)
#: Derivatives by a parameter, and of interpolation: the value takes complex numbers in one argument, NumPy or SciPy
#: does not in the others.
REAL_IN_PART = frozenset({"betainc_by_parameter", "gammainc_by_parameter", "interp_transpose"})
#: Steps inside the rules of others, whose arguments belong together or which have a value only where a rule needs one.
NEED_COUNTS = frozenset({"counted_tangents", "counted_values", "jump", "kink", "log_power"})

NEED_AXES = frozenset(_NEED_AXES.split())
NEED_ENTRIES = frozenset(_NEED_ENTRIES.split())
EMPTIED = frozenset(_EMPTIED.split())
ELEMENTWISE = {name: op for name, op in OPERATIONS.items() if op.elementwise}


@functools.cache
def found(name):
    return cases(OPERATIONS[name])


def shapes(op):
    return [[shape_of(x) for x in case.xs] for case in found(op.name)]


def lacking(holds):
    return {name for name, op in OPERATIONS.items() if name not in ELEMENTWISE and not any(map(holds, shapes(op)))}


# -- who is walked -------------------------------------------------------------------------------------------


def test_every_operation_is_walked():
    """Those of `autodiff.scipy`, which are loaded on first use, too."""
    assert len(OPERATIONS) > 290
    assert {"expm", "gammaln", "solve_banded", "lfilter_recursion", "betainc"} <= set(OPERATIONS)
    differentiable = {name for name, op in REGISTRY.items() if any(r is not None for r in op.jvps)}
    assert differentiable - _own(differentiable) == set(OPERATIONS) - _own(set(OPERATIONS))
    assert set(OPERATIONS) <= set(test_vmap_registry.WITH_SAMPLES)


def _own(names):
    """Operations that tests register for themselves."""
    return {name for name in names if REGISTRY[name].samples is None}


# -- what the samples hold -----------------------------------------------------------------------------------


def test_samples_without_axes():
    assert lacking(lambda s: () in s) == NEED_AXES


def test_samples_without_entries():
    assert lacking(lambda s: any(0 in shape for shape in s)) - {"jump"} == NEED_ENTRIES | EMPTIED


def test_samples_of_order_three():
    """The third order is tested at samples that are not empty, wherever the operation is smooth."""
    for name, op in OPERATIONS.items():
        assert not op.smooth or any(all(np.size(x) for x in case.xs) for case in found(name)), name


def test_samples_in_single_precision():
    for name in OPERATIONS:
        assert any(_runs(c.with_args(lambda a: a.astype(_like(np.float32, a)))) for c in found(name)), name


def _runs(case):
    try:
        case.f(*case.xs)
    except TypeError:
        return False
    return True


@test_registry.operations(lambda op: True)
def test_complex_numbers_or_an_error(op):
    """Complex numbers have a derivative at some sample, or an error that says why at all of them."""
    some = [c for c in found(op.name) if all(np.size(x) for x in c.xs)][:4]
    if op.name in REAL_IN_PART or any(dtype_of(x).kind == "c" for c in some for x in c.xs):
        return
    if all(as_complex(c) is None for c in some):
        for case in some:
            turned = case.with_args(lambda a: (a + 0.3j)[()])
            with naming(case), warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises((TypeError, DifferentiationError, np.exceptions.ComplexWarning)):
                    jvp(turned.f, turned.xs, turned.direction())


# -- every shape of an elementwise operation -----------------------------------------------------------------


def shaped(op, *wanted):
    """The operation at entries of its first sample, with arguments of the shapes wanted in turn."""
    first = next(c for c in found(op.name) if all(np.size(x) for x in c.xs))
    args = []
    for i, a in enumerate(first.args):
        if not hasattr(a, "dtype"):
            args.append(a)
            continue
        shape = wanted[i % len(wanted)]
        args.append(np.resize(np.ravel(a)[:1], shape)[()] if np.ndim(a) or shape else a)
    case = Case.__new__(Case)
    case.__dict__.update(first.__dict__)
    case.args, case.active = args, [i for i in first.active if is_inexact(args[i])]
    case.xs = tuple(args[i] for i in case.active)
    return case


@pytest.mark.parametrize(
    "op", [op for name, op in ELEMENTWISE.items() if name not in NEED_COUNTS], ids=lambda o: o.name
)
def test_elementwise_in_every_shape(op):
    for wanted in [((),), ((0,),), ((2, 0), (1,)), ((2, 1), (3,)), ((), (2,)), ((2,), ())]:
        case = shaped(op, *wanted)
        with naming(case), np.errstate(all="ignore"):
            ts = case.direction()
            y, t = jvp(case.f, case.xs, ts)
            assert np.shape(t) == np.shape(y) == np.broadcast_shapes(*(np.shape(a) for a in case.args))
            close(t, difference(case.f, case.xs, ts), 1e-7)
            ct = case.draw(y)
            cts = vjp(case.f, *case.xs)[1](ct)
            assert [np.shape(c) for c in cts] == [np.shape(x) for x in case.xs]
            close(pair(cts, ts), pair([ct], [t]), 1e-10, scale=3.0)
            batch = tuple(np.stack([x, x]) for x in case.xs)
            for row in vmap(lambda x, t, f=case.f: jvp(f, x, t)[1])(batch, tuple(np.stack([s, s]) for s in ts)):
                close(row, t, 1e-12)


@pytest.mark.parametrize("name", sorted(EMPTIED))
def test_emptied(name):
    """No rows at all: derivatives of the right shape, in both modes."""
    first = next(c for c in found(name) if all(np.size(x) for x in c.xs))
    case = first.with_args(lambda a: a[(slice(0, 0),) * (2 if name in SQUARE else 1)])
    case.args = [a if is_inexact(a) or not np.ndim(a) else a[:0] for a in case.args]
    with np.errstate(all="ignore"):
        y, t = jvp(case.f, case.xs, case.xs)
        assert np.shape(t) == np.shape(y)
        for c, x in zip(vjp(case.f, *case.xs)[1](t), case.xs, strict=True):
            np.testing.assert_array_equal(c, np.zeros(x.shape))


SQUARE = {"expm_derivative", "logm_derivative", "lu_packed", "polar_unitary", "solve_sylvester", "sqrtm_derivative"}
