"""The peers as oracles: value, jvp, vjp and hvp of a program in JAX and in PyTorch, in float64."""

import os
from types import SimpleNamespace

import numpy as np

from tests.oracle_programs import SPECIAL, numpy_vocabulary, run


def jax_oracle():
    """Return the function of a drawn program to its four results, by JAX (an error if it is not installed)."""
    # Every program is new: what counts is the compiler's time, so operations are compiled one by one, and quickly.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_jit", True)
    import jax.numpy as jnp

    f = numpy_vocabulary(
        jnp,
        softmax=lambda a: jax.nn.softmax(a, axis=-1),
        conv2d=lambda a, w: jax.lax.conv_general_dilated(
            a[None, None], w[None, None], (1, 1), [(w.shape[0] - 1,) * 2] * 2
        )[0, 0],
        **{name: getattr(jax.scipy.special, name) for name in SPECIAL},
    )

    def answers(steps, xs, ts, us, weights):
        xs, ts, us = (tuple(map(jnp.asarray, v)) for v in (xs, ts, us))
        program = lambda *xs: run(f, steps, *xs)
        value, slope = jax.jvp(program, xs, ts)
        gradient = jax.grad(lambda *xs: jnp.sum(program(*xs) * weights), (0, 1, 2))
        adjoints, seconds = jax.jvp(gradient, xs, us)
        return _arrays(value, slope, adjoints, seconds)

    return answers


def torch_oracle():
    """Return the same by PyTorch."""
    import torch

    torch.set_num_threads(1)
    f = _torch_vocabulary(torch)

    def answers(steps, xs, ts, us, weights):
        xs, ts, us = (tuple(map(torch.from_numpy, v)) for v in (xs, ts, us))
        w = torch.from_numpy(weights)
        program = lambda *xs: run(f, steps, *xs)
        value, slope = torch.func.jvp(program, xs, ts)
        gradient = torch.func.grad(lambda *xs: torch.sum(program(*xs) * w), (0, 1, 2))
        adjoints, seconds = torch.func.jvp(gradient, xs, us)
        return _arrays(value, slope, adjoints, seconds)

    return answers


ORACLES = {"jax": jax_oracle, "torch": torch_oracle}


def _arrays(value, slope, adjoints, seconds):
    flat = lambda parts: np.concatenate([np.ravel(np.asarray(p)) for p in parts])
    return {"value": np.asarray(value), "jvp": np.asarray(slope), "vjp": flat(adjoints), "hvp": flat(seconds)}


def _torch_vocabulary(torch):
    array = lambda a: a if isinstance(a, torch.Tensor) else torch.as_tensor(a, dtype=torch.float64)
    plain = (
        "absolute arccos arccosh arcsin arcsinh arctan arctanh cos cosh exp exp2 expm1 log log10 log1p log2 negative "
        "reciprocal sin sinh sqrt square tan tanh broadcast_to clip einsum stack tile reshape tril trace"
    )
    binary = "add arctan2 divide hypot logaddexp maximum minimum multiply power remainder subtract matmul outer kron"
    rename = {"power": "pow"}
    axes = {"cumprod": "cumprod", "cumsum": "cumsum", "max": "amax", "mean": "mean", "min": "amin", "prod": "prod",
            "sum": "sum"}  # fmt: skip
    names = {name: getattr(torch, name) for name in plain.split()}
    for name in binary.split():
        op = getattr(torch, rename.get(name, name))
        names[name] = lambda a, b, op=op: op(array(a), array(b))
    for name, theirs in axes.items():
        op = getattr(torch, theirs)
        names[name] = lambda a, axis, op=op: op(a, dim=axis)
    for name in ("cholesky", "det", "eigvalsh", "inv", "norm", "pinv", "solve"):
        names[f"linalg_{name}"] = getattr(torch.linalg, name)
    names |= {
        "convolve": lambda a, b: torch.nn.functional.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[
            0, 0
        ],
        "concatenate": lambda parts, axis: torch.cat(parts, dim=axis),
        "diff": torch.diff,
        "flip": lambda a, axis: torch.flip(a, (axis,)),
        "median": lambda a, axis: torch.quantile(a, 0.5, dim=axis),
        "repeat": lambda a, n, axis: torch.repeat_interleave(a, n, dim=axis),
        "roll": torch.roll,
        "sort": lambda a, axis: torch.sort(a, dim=axis, stable=True).values,
        "transpose": lambda a: a.permute(tuple(reversed(range(a.ndim)))),
        "var": lambda a, axis: torch.var(a, dim=axis, correction=0),
        "where": lambda mask, a, b: torch.where(torch.from_numpy(mask), a, b),
        "getitem": lambda a, index: a[torch.from_numpy(index) if isinstance(index, np.ndarray) else index],
        "pad": lambda a: torch.nn.functional.pad(a, (1, 1)),
        "svdvals": torch.linalg.svdvals,
        "logabsdet": lambda a: torch.linalg.slogdet(a)[1],
        "triangular": lambda a: torch.linalg.qr(a)[1],
        "softmax": lambda a: torch.softmax(a, -1),
        "conv2d": lambda a, w: torch.nn.functional.conv2d(a[None, None], w[None, None], padding=len(w) - 1)[0, 0],
        "digamma": torch.digamma,
        "erf": torch.erf,
        "expit": torch.sigmoid,
        "gammaln": torch.lgamma,
        "logsumexp": lambda a, axis: torch.logsumexp(a, dim=axis),
        "power_spectrum": lambda a: torch.square(torch.abs(torch.fft.fft(a))),
        "circular": lambda a, b: torch.real(torch.fft.ifft(torch.fft.fft(a) * torch.fft.fft(b))),
        "low_pass": lambda a: torch.fft.irfft(
            torch.fft.rfft(a) * torch.exp(-0.5 * torch.arange(a.shape[-1] // 2 + 1, dtype=a.dtype)), a.shape[-1]
        ),
    }
    return SimpleNamespace(**names)
