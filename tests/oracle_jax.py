"""JAX as an oracle: value, jvp, vjp and hvp of a program, in float64."""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np

from tests.oracle_programs import SPECIAL, numpy_vocabulary, run


def jax_oracle():
    """Return the function of a drawn program to its four results, by JAX (an error if it is not installed).

    Nearly every program is new to JAX's compiler, which takes 40 ms for each operation and shape. So, unless the
    environment variable ORACLE_XLA is set, NumPy does JAX's simplest arithmetic (`simple_operations`); its rules
    of differentiation, its batching and whatever is not in that list are JAX's own.
    """
    # Every program is new: what counts is the compiler's time, so operations are compiled one by one, and quickly.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_jit", True)
    # What was compiled once is read back, in a second process too.
    jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "autodiff-oracle-jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    import jax.numpy as jnp

    if "ORACLE_XLA" not in os.environ:
        _take_over(jax)

    f = numpy_vocabulary(
        jnp,
        softmax=lambda a: jax.nn.softmax(a, axis=-1),
        conv2d=lambda a, w: jax.lax.conv_general_dilated(
            a[None, None], w[None, None], (1, 1), [(w.shape[0] - 1,) * 2] * 2
        )[0, 0],
        **_jax_assignment(jnp),
        average_pool=lambda a: jax.lax.reduce_window(a, 0.0, jax.lax.add, (2, 2), (1, 1), "valid") / 4,
        max_pool=lambda a: jax.lax.reduce_window(a, -np.inf, jax.lax.max, (2, 2), (1, 1), "valid"),
        log_softmax=lambda a: jax.nn.log_softmax(a, axis=-1),
        expm=jax.scipy.linalg.expm,
        solve_triangular=lambda a, b, lower: jax.scipy.linalg.solve_triangular(a, b, lower=lower),
        cho_solve=lambda low, b: jax.scipy.linalg.cho_solve((low, True), b),
        map=jax.vmap,
        slope_of=jax.grad,
        jacobian_columns=jax.jacfwd(lambda r: jnp.sin(r) * jnp.sum(r)),
        jacobian_rows=jax.jacrev(lambda r: jnp.sin(r) * jnp.sum(r)),
        checkpointed=jax.checkpoint,
        custom_tangents=lambda a: jnp.tanh(a) * a,
        custom_adjoints=lambda a: jnp.tanh(a) * a,
        **{name: getattr(jax.scipy.special, name) for name in SPECIAL.split()},
    )

    calls = itertools.count(1)

    def answers(steps, xs, ts, us, weights):
        if next(calls) % 500 == 0:
            jax.clear_caches()  # 2 MB for each operation and shape
        xs, ts, us = (tuple(map(jnp.asarray, v)) for v in (xs, ts, us))
        program = lambda *xs: run(f, steps, *xs)
        value, slope = jax.jvp(program, xs, ts)
        gradient = jax.grad(lambda *xs: jnp.sum(program(*xs) * weights), (0, 1, 2))
        adjoints, seconds = jax.jvp(gradient, xs, us)
        return arrays(value, slope, adjoints, seconds)

    return answers


def arrays(value, slope, adjoints, seconds):
    flat = lambda parts: np.concatenate([np.ravel(np.asarray(p)) for p in parts])
    return {"value": np.asarray(value), "jvp": np.asarray(slope), "vjp": flat(adjoints), "hvp": flat(seconds)}


# -- arithmetic without a compiler ---------------------------------------------------------------------------


def _converted(x, new_dtype, **_):
    return (x.real if np.dtype(new_dtype).kind != "c" else x).astype(new_dtype, copy=False)


def _spread(x, *, shape, broadcast_dimensions, **_):
    lengths = [1] * len(shape)
    for n, at in zip(x.shape, broadcast_dimensions, strict=True):
        lengths[at] = n
    return np.broadcast_to(x.reshape(lengths), shape)


def _product(a, b, *, dimension_numbers, **_):
    """Sums over the contracted axes; the result has the batch axes first, then those that are left."""
    (sum_a, sum_b), (each_a, each_b) = dimension_numbers
    names = itertools.count()
    of_a, of_b = [next(names) for _ in a.shape], [next(names) for _ in b.shape]
    for i, j in zip((*sum_a, *each_a), (*sum_b, *each_b), strict=True):
        of_b[j] = of_a[i]
    out = [of_a[i] for i in each_a]
    out += [n for i, n in enumerate(of_a) if i not in {*sum_a, *each_a}]
    out += [n for i, n in enumerate(of_b) if i not in {*sum_b, *each_b}]
    return np.einsum(a, of_a, b, of_b, out)


def _cut(x, *, start_indices, limit_indices, strides, **_):
    strides = strides or (1,) * len(start_indices)
    return x[tuple(map(slice, start_indices, limit_indices, strides))]


def _padded(x, value, *, padding_config, **_):
    """Entries `between`, and `before` and `after`, where a negative number cuts off."""
    for axis, (before, after, between) in enumerate(padding_config):
        x = np.moveaxis(x, axis, 0)
        wide = np.full((max(0, (len(x) - 1) * (between + 1) + 1), *x.shape[1:]), value, x.dtype)
        wide[:: between + 1] = x
        ends = [np.full((max(n, 0), *x.shape[1:]), value, x.dtype) for n in (before, after)]
        wide = wide[max(0, -before) : len(wide) - max(0, -after)]
        x = np.moveaxis(np.concatenate([ends[0], wide, ends[1]]), 0, axis)
    return x


def _chosen(which, *cases):
    if len(cases) == 2 and which.dtype == bool:
        return np.where(which, cases[1], cases[0])
    return np.choose(which, cases)


def _reduction(reduce):
    return lambda x, axes, **_: np.asarray(reduce(x, axis=tuple(axes)), dtype=x.dtype)


def _running(reduce):
    def apply(x, *, axis, reverse, **_):
        x = np.flip(x, axis) if reverse else x
        y = reduce.accumulate(x, axis=axis)
        return np.flip(y, axis) if reverse else y

    return apply


def simple_operations(lax):
    """JAX's primitives that NumPy computes for it."""
    alike = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "sin": np.sin, "cos": np.cos,
        "tan": np.tan, "tanh": np.tanh, "exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1,
        "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "floor": np.floor, "pow": np.power, "exp2": np.exp2,
        "square": np.square, "atan2": np.arctan2, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
        "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
        "cbrt": np.cbrt, "max": np.maximum, "min": np.minimum, "rem": np.fmod, "eq": np.equal, "ne": np.not_equal,
        "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "is_finite": np.isfinite,
        "real": np.real, "imag": np.imag, "rsqrt": lambda x: 1 / np.sqrt(x), "complex": lambda x, y: x + 1j * y,
    }  # fmt: skip
    found = {getattr(lax, f"{name}_p"): lambda *args, op=op, **_: op(*args) for name, op in alike.items()}
    divide = lambda x, y: np.divide(x, y) if x.dtype.kind in "fc" else np.trunc(x / y).astype(x.dtype)
    return found | {
        lax.div_p: lambda x, y, **_: divide(x, y),
        lax.integer_pow_p: lambda x, *, y, **_: np.power(x, float(y)) if y < 0 else np.power(x, y),
        lax.convert_element_type_p: _converted,
        lax.select_n_p: lambda which, *cases, **_: _chosen(which, *cases),
        lax.reshape_p: lambda x, *, new_sizes, dimensions, **_: np.reshape(
            x if dimensions is None else np.transpose(x, dimensions), new_sizes
        ),
        lax.broadcast_in_dim_p: _spread,
        lax.transpose_p: lambda x, *, permutation, **_: np.transpose(x, permutation),
        lax.squeeze_p: lambda x, *, dimensions, **_: np.squeeze(x, tuple(dimensions)),
        lax.slice_p: _cut,
        lax.concatenate_p: lambda *xs, dimension, **_: np.concatenate(xs, dimension),
        lax.pad_p: _padded,
        lax.rev_p: lambda x, *, dimensions, **_: np.flip(x, tuple(dimensions)),
        lax.reduce_sum_p: _reduction(np.sum),
        lax.reduce_max_p: _reduction(np.max),
        lax.reduce_min_p: _reduction(np.min),
        lax.reduce_prod_p: _reduction(np.prod),
        lax.cumsum_p: _running(np.add),
        lax.cumprod_p: _running(np.multiply),
        lax.iota_p: lambda *, dtype, shape, dimension, **_: np.broadcast_to(
            np.arange(shape[dimension], dtype=dtype).reshape([-1 if i == dimension else 1 for i in range(len(shape))]),
            shape,
        ),
        lax.dot_general_p: _product,
    }


def _on_arrays(jax, impl):
    """The function of JAX's arrays by one of NumPy's arrays."""
    return lambda *args, **params: jax.device_put(np.asarray(impl(*map(np.asarray, args), **params)))


def _take_over(jax):
    """Let NumPy compute the simple operations wherever JAX would call its compiler for one of them alone."""
    from jax.extend.core import primitives

    for primitive, impl in simple_operations(jax.lax).items():
        primitive.def_impl(_on_arrays(jax, impl))
    primitives.add_jaxvals_p.def_impl(_on_arrays(jax, np.add))


def _jax_assignment(jnp):
    """What assigns, without assignment."""

    def recurrence(a):
        y = jnp.zeros_like(a).at[0].set(a[0])
        for i in range(1, len(a)):
            y = y.at[i].set(jnp.sin(y[i - 1]) + 0.5 * a[i])
        return y

    return {
        "assign": lambda a, index, value: a.at[index].set(value),
        "assign_to_zeros": lambda a, index, value: jnp.zeros_like(a).at[index].set(value) + 0.3 * a,
        "add_to": lambda a, index, value: a.at[index].add(value),
        "scale_at": lambda a, index, value: a.at[index].multiply(value, unique_indices=True),
        "add_at": lambda a, index, value: a.at[index].add(value),
        "recurrence": recurrence,
        "through_view": lambda a, value: a.at[:, 0].multiply(value, unique_indices=True).at[:, 0].add(0.1),
        "product_into": jnp.multiply,
        "put": lambda a, index, value: jnp.put(a, index, value, inplace=False),
        "put_along_axis": lambda a, index, value: jnp.put_along_axis(a, index, value, 1, inplace=False),
        "fill_diagonal": lambda a, value: jnp.fill_diagonal(a, value, inplace=False),
    }
