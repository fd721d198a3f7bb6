"""The peers as oracles: value, jvp, vjp and hvp of a program in JAX (`oracle_jax`) and in PyTorch, in float64."""

from types import SimpleNamespace

import numpy as np

from tests.oracle_jax import arrays, jax_oracle
from tests.oracle_programs import both_parts, decayed, run, turning


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
        return arrays(value, slope, adjoints, seconds)

    return answers


ORACLES = {"jax": jax_oracle, "torch": torch_oracle}


def _torch_vocabulary(torch):
    array = lambda a: a if isinstance(a, torch.Tensor) else torch.as_tensor(a, dtype=torch.float64)
    plain = (
        "absolute arccos arccosh arcsin arcsinh arctan arctanh cos cosh exp exp2 expm1 log log10 log1p log2 negative "
        "reciprocal sin sinh sqrt square tan tanh broadcast_to clip einsum stack tile reshape tril trace "
        "cov corrcoef diag diagonal floor nanmean nansum rot90 sign sinc swapaxes triu"
    )
    binary = (
        "add arctan2 copysign divide fmod hypot inner logaddexp logaddexp2 maximum minimum multiply power remainder "
        "subtract matmul outer kron"
    )
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
        "where": lambda mask, a, b: torch.where(torch.from_numpy(np.asarray(mask)), a, b),
        "getitem": lambda a, index: a.reshape(-1)[_positions(torch, a, index)],
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
    return SimpleNamespace(**names | _torch_indexing(torch) | _torch_matrices(torch) | _torch_functions(torch))


def _positions(torch, a, index):
    """Numbers of the entries that NumPy's index chooses; PyTorch has no negative steps, and other rules."""
    return torch.tensor(np.arange(a.numel()).reshape(tuple(a.shape))[index].copy())


def _torch_indexing(torch):
    def assign(a, index, value):
        y = a.clone().reshape(-1)
        where = _positions(torch, a, index)
        y[where] = torch.broadcast_to(value, where.shape)
        return y.reshape(a.shape)

    def add_at(a, index, value):
        where = _positions(torch, a, index).reshape(-1)
        return a.reshape(-1).index_add(0, where, torch.broadcast_to(value, where.shape)).reshape(a.shape)

    def at(a, index):
        return a.reshape(-1)[_positions(torch, a, index)]

    def through_view(a, value):
        y = a.clone()
        column = y[:, 0]
        column *= value
        column += 0.1
        return y

    def recurrence(a):
        y = torch.zeros_like(a)
        y[0] = a[0]
        for i in range(1, len(a)):
            y[i] = torch.sin(y[i - 1].clone()) + 0.5 * a[i]
        return y

    def select(masks, values):
        y = torch.zeros_like(values[0])
        for mask, value in zip(masks[::-1], values[::-1], strict=True):
            y = torch.where(torch.from_numpy(np.asarray(mask)), value, y)
        return y

    return {
        "assign": assign,
        "assign_to_zeros": lambda a, index, value: assign(torch.zeros_like(a), index, value) + 0.3 * a,
        "add_to": lambda a, index, value: assign(a, index, at(a, index) + value),
        "scale_at": lambda a, index, value: assign(a, index, at(a, index) * value),
        "add_at": add_at,
        "recurrence": recurrence,
        "through_view": through_view,
        "product_into": torch.mul,
        "put": lambda a, index, value: assign(a.reshape(-1), index, value).reshape(a.shape),
        "put_along_axis": lambda a, index, value: assign(a, (slice(None), index[0]), value),
        "fill_diagonal": lambda a, value: assign(a, np.diag_indices(min(a.shape)), value),
        "take": lambda a, index: a.reshape(-1)[torch.from_numpy(index % a.numel())],
        "take_along_axis": lambda a, index, axis: torch.take_along_dim(a, torch.from_numpy(index), axis),
        "argsorted": lambda a, axis: torch.take_along_dim(a, torch.argsort(a, dim=axis, stable=True), axis),
        "argmaximum": lambda a: a[torch.argmax(a)],
        "smallest": lambda a, k: torch.kthvalue(a, k + 1, dim=-1).values,
        "quantile": lambda a, q, axis: torch.quantile(a, q, dim=axis),
        "ptp": lambda a: torch.amax(a) - torch.amin(a),
        "select": select,
        "branch": lambda a: torch.sin(a) if torch.sum(a) > 0 else torch.cos(a),
        "delete": lambda a, k: torch.cat([a[:k], a[k + 1 :]]),
        "insert": lambda a, k, value: torch.cat([a[:k], value.reshape(1), a[k:]]),
        "append": lambda a, b: torch.cat([a, b]),
        "ravel_fortran": lambda a: a.permute(tuple(reversed(range(a.ndim)))).reshape(-1),
        "block": lambda a, s: torch.cat([torch.cat([a, a[:, :1]], 1), torch.cat([a[:1], s.reshape(1, 1)], 1)]),
        "halves": lambda a: [a[:1], a[1:]],
    }


def _torch_matrices(torch):
    t = torch.linalg
    return {
        "expm": t.matrix_exp,
        "matrix_exp_eigh": lambda a: decayed(torch, *t.eigh(a)),
        "polar": lambda a: turning(*t.svd(a)),
        "orthogonal": lambda a: t.qr(a)[0],
        "matrix_power": t.matrix_power,
        "multi_dot": t.multi_dot,
        "solve_triangular": lambda a, b, lower: t.solve_triangular(a, b, upper=not lower),
        "cho_solve": lambda low, b: torch.cholesky_solve(b, low),
        "lstsq": lambda a, b: t.lstsq(a, b[:, None]).solution[:, 0],
        "nuclear_norm": lambda a: t.matrix_norm(a, "nuc"),
        "norm_inf": lambda a: t.vector_norm(a, np.inf),
        "norm_p": t.vector_norm,
        "cross": t.cross,
        "tensordot": lambda a, b: torch.tensordot(a, b, ([0], [0])),
        "vander": lambda a: a[:, None] ** torch.arange(len(a) - 1, -1, -1),
        "spectrum_2d": lambda a: torch.square(torch.abs(torch.fft.fft2(a))),
        "half_spectrum": lambda a: both_parts(torch, torch.fft.rfft(a, norm="ortho")),
        "low_pass_2d": lambda a: torch.fft.irfft2(
            torch.fft.rfft2(a) * torch.exp(-0.5 * torch.arange(a.shape[-1] // 2 + 1, dtype=a.dtype)), s=a.shape
        ),
        "hermitian": lambda a: torch.fft.hfft(a * (1 + 0.5j)),
        "fftshift": torch.fft.fftshift,
        "average_pool": lambda a: torch.nn.functional.avg_pool2d(a[None, None], 2, 1)[0, 0],
        "max_pool": lambda a: torch.nn.functional.max_pool2d(a[None, None], 2, 1)[0, 0],
    }


def _torch_functions(torch):
    s, f = torch.special, torch.func
    relative = lambda a, b: a * (torch.log(a) - torch.log(b))

    def interp(x, ys):
        knots = torch.tensor([0.0, 0.9, 2.2], dtype=x.dtype)
        at = torch.where(x > knots[1], 1, 0)
        return ys[at] + (x - knots[at]) / (knots[at + 1] - knots[at]) * (ys[at + 1] - ys[at])

    def gradient(a):
        return torch.cat([a[1:2] - a[:1], (a[2:] - a[:-2]) / 2, a[-1:] - a[-2:-1]])

    def unwrap(a):
        steps = torch.diff(a)
        turns = torch.round(steps.detach() / (2 * np.pi))
        return a - 2 * np.pi * torch.cat([torch.zeros(1, dtype=a.dtype), torch.cumsum(turns, 0)])

    def polyval(p, x):
        y = torch.zeros_like(x)
        for c in p:
            y = y * x + c
        return y

    same = "entr erfc erfinv i0 i0e i1 i1e log_ndtr logit multigammaln ndtr ndtri polygamma xlog1py xlogy"
    names = {name: getattr(s, name) for name in same.split()}
    return names | {
        "rel_entr": relative,
        "kl_div": lambda a, b: relative(a, b) - a + b,
        "betaln": lambda a, b: torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b),
        "gamma": lambda a: torch.exp(torch.lgamma(a)),
        # PyTorch has no forward derivative of gammainc; the order is 3/2.
        "gammainc": lambda _, a: torch.erf(torch.sqrt(a)) - 2 * torch.sqrt(a / np.pi) * torch.exp(-a),
        "log_softmax": lambda a: torch.log_softmax(a, -1),
        "cbrt": lambda a: a ** (1 / 3),
        "phase": lambda a, c: torch.angle(c + 1.5 + 1j * a),
        "modulus": lambda a, c: torch.abs(torch.exp(1j * a) * (1.5 + 1j * c) + 1),
        "gradient": gradient,
        "trapezoid": torch.trapezoid,
        "average": lambda a, w: torch.sum(a * w) / torch.sum(w),
        "interp": interp,
        "polyval": polyval,
        "unwrap": unwrap,
        "map": torch.vmap,
        "slope_of": f.grad,
        "jacobian_columns": f.jacfwd(lambda r: torch.sin(r) * torch.sum(r)),
        "jacobian_rows": f.jacrev(lambda r: torch.sin(r) * torch.sum(r)),
        "checkpointed": lambda fn: fn,
        "custom_tangents": lambda a: torch.tanh(a) * a,
        "custom_adjoints": lambda a: torch.tanh(a) * a,
    }
