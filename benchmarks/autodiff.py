"""Compare the automatic differentiation engine with hand-written gradients and with other engines.

Run from a checkout::

    python benchmarks/autodiff.py [--quick] [--rounds N] [--threads N] [--only NAME ...] [--json FILE]

Six tables: `overhead` differentiates programs of about a hundred operations on ten elements, where all the
time is bookkeeping; `mlp` a net whose time is matrix products; `elementwise` programs on long vectors, bound
by memory, beside derivatives written by hand in two ways: `tuned` to few passes over memory (in place, sums
of products as dot products) and `plain` as the formula reads; `linalg` factorisations beside their adjoints
written by hand; `vmap` gradients of many examples at once beside a loop over them, and Hessians; `survey` scalar
loops and the growth of the cost of a gradient with its length. Peers that are not installed are reported as such.
The times mean something only on a machine that does nothing else.
"""

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few, short rounds: checks more than it measures",
    )
    parser.add_argument("--rounds", type=int, help="samples of each contender (default 25, quick 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of BLAS and of the peers (default 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose section/name holds NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time of every round to FILE")
    options = parser.parse_args()
    if options.threads < 1 or (options.rounds is not None and options.rounds < 1):
        parser.error("--rounds and --threads must be positive")
    return options


def _prepare(threads: int) -> None:
    """Set the module path and the thread limits; libraries read the limits when they are first imported.

    Python puts the folder of a script first on the module path, where this file would hide the package of
    the same name.
    """
    kept = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    sys.path[:] = [str(_HERE.parent), *kept]
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    flags = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


if __name__ == "__main__":
    _OPTIONS = _arguments()
    _prepare(_OPTIONS.threads)

import numpy as np  # noqa: E402

from autodiff import grad, hessian, jvp, value_and_grad, vmap  # noqa: E402
from benchmarks import _harness as harness  # noqa: E402
from benchmarks import autodiff_linalg, autodiff_vmap  # noqa: E402
from benchmarks import autodiff_programs as programs  # noqa: E402
from benchmarks._harness import OURS, PRIMAL, Array, Case, Contender, Measurement, Runner  # noqa: E402

TITLES = {
    "overhead": "overhead: grad of about 100 operations on 10 elements, float64",
    "mlp": "mlp: value_and_grad of 784-512-512-10 with tanh and cross-entropy, batch 256",
    "elementwise": "elementwise: grad and jvp of 200000 elements, float64",
    "linalg": "linalg: value_and_grad through factorisations of n x n matrices, float64; hand is written in NumPy",
    "vmap": f"vmap: gradients of {autodiff_vmap.EXAMPLES} examples at once, and Hessians; loop calls grad for each",
    "survey": "survey: scalar loops, and the Helmholtz energy of n fluids; forward takes n calls of jvp",
}
HAND_TARGETS = {"tuned": 1.25, "plain": 1.25}
MEAN_TARGETS = {"overhead": {"autograd": 0.5, "torch": 0.75}}


def _autograd_runner(build: programs.Builder, point: Array) -> Runner | None:
    """Return the gradient by autograd, where it is installed."""
    autograd = harness.optional("autograd")
    if autograd is None:
        return None
    derivative = autograd.grad(build(harness.optional("autograd.numpy"), np.asarray))
    return lambda: derivative(point)


def _torch_runner(build: programs.Builder, point: Array, threads: int) -> Runner | None:
    """Return the gradient by PyTorch, with the creation of its tensor, where it is installed."""
    torch = harness.torch_module(threads)
    if torch is None:
        return None
    program = build(harness.torch_namespace(torch), torch.from_numpy)

    def run() -> Array:
        tensor = torch.tensor(point, dtype=torch.float64, requires_grad=True)
        program(tensor).backward()
        return tensor.grad

    return run


def overhead(threads: int) -> Iterator[Case]:
    """Yield the cases whose time is nearly all bookkeeping."""
    for program in programs.overhead_programs():
        function = program.build(np, np.asarray)
        expected = harness.complex_gradient(function, program.point)
        runs = {
            OURS: _bind(grad(function), program.point),
            "autograd": _autograd_runner(program.build, program.point),
            "torch": _torch_runner(program.build, program.point, threads),
        }
        contenders = {name: Contender(run, expected) for name, run in runs.items()}
        yield Case("overhead", program.name, contenders, 1e-9, program.operations, {"autograd": 0.8})


def _bind(function: Callable[..., Array], *arguments: Array) -> Runner:
    """Return a call without arguments."""
    return lambda: function(*arguments)


def _mlp_torch(parameters: programs.Parameters, x: np.ndarray, y: np.ndarray, threads: int) -> Runner | None:
    """Return the loss and its gradient by PyTorch, where it is installed."""
    torch = harness.torch_module(threads)
    if torch is None:
        return None
    loss = programs.mlp_loss(harness.torch_namespace(torch))
    leaf = functools.partial(torch.tensor, requires_grad=True)
    tensors = [{name: leaf(array) for name, array in layer.items()} for layer in parameters]
    flat = [layer[name] for layer in tensors for name in sorted(layer)]
    inputs, labels = torch.tensor(x), torch.tensor(y)

    def run() -> tuple[Array, Array]:
        value = loss(tensors, inputs, labels)
        return value, torch.autograd.grad(value, flat)

    return run


def _mlp_jax(parameters: programs.Parameters, x: np.ndarray, y: np.ndarray) -> Runner | None:
    """Return the loss and its gradient, compiled by JAX, where it is installed."""
    jax = harness.optional("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", val=True)
    numpy = harness.optional("jax.numpy")
    arguments = jax.tree.map(numpy.asarray, (parameters, x, y))
    compiled = jax.jit(jax.value_and_grad(programs.mlp_loss(numpy)))
    return lambda: jax.block_until_ready(compiled(*arguments))


def mlp(threads: int) -> Iterator[Case]:
    """Yield the net in both precisions."""
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-9)):
        rng = np.random.default_rng(3)
        x, y = rng.normal(size=(256, 784)).astype(dtype), rng.integers(0, 10, size=256)
        parameters = programs.mlp_parameters(dtype)
        expected = programs.mlp_by_hand(parameters, x, y)
        _check_mlp(parameters, x, y, expected, tolerance)
        autograd = harness.optional("autograd")
        loss = programs.mlp_loss(harness.optional("autograd.numpy")) if autograd is not None else None
        runs = {
            OURS: _bind(value_and_grad(programs.mlp_loss(np)), parameters, x, y),
            "hand": _bind(programs.mlp_by_hand, parameters, x, y),
            "autograd": None if autograd is None else _bind(autograd.value_and_grad(loss), parameters, x, y),
            "torch": _mlp_torch(parameters, x, y, threads),
            "jax jit": _mlp_jax(parameters, x, y),
            PRIMAL: _bind(programs.mlp_loss(np), parameters, x, y),
        }
        contenders = {name: Contender(run, expected) for name, run in runs.items()}
        contenders[PRIMAL] = Contender(runs[PRIMAL], expected[0])
        yield Case("mlp", dtype, contenders, tolerance, 0, {"hand": 1.15})


def _check_mlp(
    parameters: programs.Parameters,
    x: np.ndarray,
    y: np.ndarray,
    result: tuple[Array, programs.Parameters],
    tolerance: float,
) -> None:
    """Compare the hand-written gradient with a complex step along a random direction."""
    rng = np.random.default_rng(4)
    loss = programs.mlp_loss(np)
    directions = [{name: rng.normal(size=layer[name].shape) for name in layer} for layer in parameters]

    def along(step: Array) -> Array:
        pairs = zip(parameters, directions, strict=True)
        return loss(
            [{name: layer[name] + step * change[name] for name in layer} for layer, change in pairs],
            x,
            y,
        )

    slope = sum(
        float(np.sum(gradient[name] * change[name]))
        for gradient, change in zip(result[1], directions, strict=True)
        for name in gradient
    )
    np.testing.assert_allclose(slope, harness.complex_step(along, 0.0, 1.0), rtol=10 * tolerance)


def elementwise(_threads: int) -> Iterator[Case]:
    """Yield the gradient and the forward derivative of each program on long vectors."""
    rng = np.random.default_rng(5)
    x, v = rng.normal(size=200_000), rng.normal(size=200_000)
    autograd = harness.optional("autograd")
    anp = harness.optional("autograd.numpy")
    operators = harness.optional("autograd.differential_operators")
    for program in programs.elementwise_programs():
        function = program.build(np)
        total = _summed(function, np)
        np.testing.assert_allclose(
            program.gradient(x[:7])[1],
            harness.complex_gradient(total, x[:7]),
            rtol=1e-9,
        )
        gradient = program.gradient(x)[1]
        pair = total(x), gradient
        contenders = {
            OURS: Contender(_bind(grad(total), x), gradient),
            "tuned": Contender(_bind(program.gradient, x), pair),
            "plain": Contender(_bind(program.plain_gradient, x), pair),
            "autograd": Contender(_bind(autograd.grad(_summed(program.build(anp), anp)), x), gradient)
            if autograd is not None
            else Contender(None, None),
            PRIMAL: Contender(_bind(total, x), pair[0]),
        }
        if program.name == "cube":
            contenders["products"] = Contender(_bind(programs.cube_by_products, x), pair)
        yield Case("elementwise", f"{program.name} grad", contenders, targets=HAND_TARGETS)

        pair = function(x), harness.complex_step(function, x, v)
        contenders = {
            OURS: Contender(_bind(jvp, function, (x,), (v,)), pair),
            "tuned": Contender(_bind(program.tangent, x, v), pair),
            "plain": Contender(_bind(program.plain_tangent, x, v), pair),
            "autograd": Contender(_autograd_jvp(operators.make_jvp(program.build(anp)), x, v), pair)
            if autograd is not None
            else Contender(None, None),
            PRIMAL: Contender(_bind(function, x), pair[0]),
        }
        if program.name == "cube":
            contenders["products"] = Contender(_bind(programs.cube_tangent_by_products, x, v), pair)
        yield Case("elementwise", f"{program.name} jvp", contenders, targets=HAND_TARGETS)


def linalg(_threads: int) -> Iterator[Case]:
    """Yield factorisations and solutions beside their adjoints written by hand."""
    for name, program, by_hand, points in autodiff_linalg.programs():
        expected = by_hand(*points)
        contenders = {
            OURS: Contender(_bind(value_and_grad(program, tuple(range(len(points)))), *points), expected),
            "hand": Contender(_bind(by_hand, *points), expected),
            PRIMAL: Contender(_bind(program, *points), expected[0]),
        }
        yield Case("linalg", name, contenders, 1e-7, 0, {"hand": 1.2})


def mapped(_threads: int) -> Iterator[Case]:
    """Yield gradients of many examples beside a loop over them, then Hessians."""
    jax = harness.optional("jax")
    if jax is not None:
        jax.config.update("jax_enable_x64", val=True)
    for name, build, arguments, axes in autodiff_vmap.examples():
        function = build(np, np.asarray)
        many, one = vmap(grad(function), axes), grad(function)
        expected = many(*arguments)
        last = [x if axis is None else x[-1] for x, axis in zip(arguments, axes, strict=True)]
        np.testing.assert_allclose(expected[-1], harness.complex_gradient(_first(function, last), last[0]), rtol=1e-9)
        contenders = {
            OURS: Contender(_bind(many, *arguments), expected),
            "loop": Contender(_loop_runner(one, arguments, axes), expected),
            "jax jit": Contender(
                _jax_runner(jax, build, lambda f, a=axes: jax.vmap(jax.grad(f), a), arguments), expected
            ),
            PRIMAL: Contender(_bind(vmap(function, axes), *arguments), vmap(function, axes)(*arguments)),
        }
        yield Case("vmap", name, contenders, 1e-8, 0, {"loop": 0.05})
    yield from _hessians(jax)


def _hessians(jax: Any) -> Iterator[Case]:
    """Yield Hessians beside those of other engines."""
    autograd = harness.optional("autograd")
    for name, build, point in autodiff_vmap.hundred_variables():
        function = build(np, np.asarray)
        expected = hessian(function)(point)
        contenders = {
            OURS: Contender(_bind(hessian(function), point), expected),
            "autograd": Contender(
                _bind(autograd.hessian(build(harness.optional("autograd.numpy"), np.asarray)), point), expected
            )
            if autograd is not None
            else Contender(None, None),
            "jax jit": Contender(_jax_runner(jax, build, getattr(jax, "hessian", None), (point,)), expected),
            PRIMAL: Contender(_bind(function, point), function(point)),
        }
        yield Case("vmap", f"hessian {name}", contenders, 1e-8, 0, {"autograd": 0.5})


def _first(function: programs.Function, arguments: Sequence[Array]) -> programs.Function:
    """Return a function of the first argument alone."""
    return lambda x: function(x, *arguments[1:])


def _loop_runner(one: programs.Function, arguments: Sequence[Array], axes: Sequence[int | None]) -> Runner:
    """Return one call for each example."""
    count = next(len(x) for x, axis in zip(arguments, axes, strict=True) if axis is not None)
    rows = [[x if axis is None else x[k] for x, axis in zip(arguments, axes, strict=True)] for k in range(count)]
    return lambda: np.stack([one(*row) for row in rows])


def _jax_runner(jax: Any, build: Any, derive: Any, arguments: Sequence[Array]) -> Runner | None:
    """Return a derivative compiled by JAX, where it is installed."""
    if jax is None:
        return None
    numpy = harness.optional("jax.numpy")
    compiled = jax.jit(derive(build(numpy, numpy.asarray)))
    values = [numpy.asarray(x) for x in arguments]
    return lambda: jax.block_until_ready(compiled(*values))


def _summed(function: programs.Function, xp: programs.Namespace) -> programs.Function:
    """Return a function's sum; a scalar is left as it is."""
    if np.ndim(function(np.ones(3))) == 0:
        return function
    return lambda x: xp.sum(function(x))


def _autograd_jvp(make: Callable[[Array], Callable[[Array], Array]], x: Array, v: Array) -> Runner:
    """Return autograd's forward derivative as a call without arguments."""
    return lambda: make(x)(v)


def survey(_threads: int) -> Iterator[Case]:
    """Yield scalar loops, and one program at several lengths of its gradient."""
    for program in programs.survey_programs():
        function = program.build(np, np.asarray)
        expected = harness.complex_gradient(function, program.point)
        contenders = {
            OURS: Contender(_bind(grad(function), program.point), expected),
            "forward": Contender(_forward_runner(function, program.point), expected),
            "autograd": Contender(_autograd_runner(program.build, program.point), expected),
            PRIMAL: Contender(_bind(function, program.point), function(program.point)),
        }
        yield Case("survey", program.name, contenders, 1e-8, program.operations)


def _forward_runner(function: programs.Function, point: Array) -> Runner:
    """Return the gradient by one forward derivative for each element."""
    if np.ndim(point) == 0:
        return lambda: jvp(function, (point,), (1.0,))[1]
    directions = list(np.eye(np.size(point)))
    return lambda: np.array([jvp(function, (point,), (direction,))[1] for direction in directions])


SECTIONS: dict[str, Callable[[int], Iterator[Case]]] = {
    "overhead": overhead,
    "mlp": mlp,
    "elementwise": elementwise,
    "linalg": linalg,
    "vmap": mapped,
    "survey": survey,
}


def _wanted(case: Case, only: Sequence[str] | None) -> bool:
    """Return whether a case is selected."""
    return not only or any(name in f"{case.section}/{case.name}" for name in only)


def _summarize(section: str, items: Sequence[Measurement], *, complete: bool) -> dict[str, float]:
    """Print and return the geometric means of the ratios of a section, by peer.

    A mean is held against its target only where every case of the section was measured.
    """
    means: dict[str, float] = {}
    if section in {"survey", "vmap"}:
        return means
    for peer in dict.fromkeys(name for item in items for name in item.times):
        mean = None if peer in {OURS, PRIMAL} else harness.geometric_mean(items, peer)
        if mean is None:
            continue
        means[peer] = mean
        target = MEAN_TARGETS.get(section, {}).get(peer)
        note = "" if target is None or not complete else f"  {harness.verdict(mean, target)}"
        print(f"geometric mean of ours/{peer}: {mean:.3f}{note}")
    return means


def main(options: argparse.Namespace) -> None:
    """Measure and print the selected cases."""
    rounds = options.rounds or (3 if options.quick else 25)
    harness.limit_threads(options.threads)
    facts = harness.machine(options.threads)
    for key, fact in facts.items():
        print(f"{key:>13}: {fact}")
    print(f"{'rounds':>13}: {rounds}; times are medians with min and max, ratios medians of paired ratios")
    results: list[Measurement] = []
    summary: dict[str, dict[str, float]] = {}
    for section, cases in SECTIONS.items():
        items: list[Measurement] = []
        complete = True
        for case in cases(options.threads):
            if not _wanted(case, options.only):
                complete = False
                continue
            if not items:
                harness.print_header(TITLES[section])
            items.append(harness.measure(case, rounds, 0.005 if options.quick else 0.02))
            harness.print_measurement(items[-1])
        if items:
            summary[section] = _summarize(section, items, complete=complete)
        results.extend(items)
    if not results:
        sys.exit(f"no case matches {options.only}")
    if options.json is not None:
        document = {
            "machine": facts,
            "rounds": rounds,
            "results": [item.as_json() for item in results],
            "geometric_mean_ratios": summary,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(_OPTIONS)
