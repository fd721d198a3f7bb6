"""Compare random programs with JAX and PyTorch in value, jvp, vjp and hvp: ``make oracle``.

python -m tests.oracle [--programs 10000] [--first 0] [--peers jax torch] [--store]

Each disagreement is traced to the first step of the program after which it shows, and belongs to the class (peer,
kind of step, quantity, what is different). The classes that are known are explained in tests/oracle.md; the run fails
if it meets another. ``--peers torch --store`` writes the answers of the first programs, which the tests read, to
tests/oracle_answers.npz.
"""

import argparse
import collections
import re
import sys
import time
from pathlib import Path

import numpy as np

from autodiff import grad, jvp, vjp
from tests.oracle_peers import ORACLES
from tests.oracle_programs import NUMPY, SHAPES, draw, run

HERE = Path(__file__).resolve().parent
TABLE, STORED = HERE / "oracle.md", HERE / "oracle_answers.npz"
QUANTITIES = ("value", "jvp", "vjp", "hvp")
COUNT = 300  # programs whose answers are stored
TOLERANCE = 1e-8


def ours(steps, xs, ts, us, weights):
    """The four results by the engine."""
    program = lambda *xs: run(NUMPY, steps, *xs)
    value, slope = jvp(program, xs, ts)
    adjoints = vjp(program, *xs)[1](weights)
    seconds = jvp(grad(lambda *xs: np.sum(program(*xs) * weights), (0, 1, 2)), xs, us)[1]
    flat = lambda parts: np.concatenate([np.ravel(p) for p in parts])
    return {"value": value, "jvp": slope, "vjp": flat(adjoints), "hvp": flat(seconds)}


def differs(got, want, tolerance=TOLERANCE):
    """What is different between two results: nothing (None), "NaN" in one of them, or the "number"."""
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return "NaN in " + ("the peer" if np.all(np.isfinite(got)) else "ours")
    got, want = got[np.isfinite(want)], want[np.isfinite(want)]
    scale = max(1.0, np.max(np.abs(want), initial=0.0))
    return None if np.allclose(got, want, rtol=0, atol=tolerance * scale) else "number"


def compare(peer, program):
    """The first quantity in which the engine and a peer differ on a program, and how (None: they agree)."""
    got = ours(*program)
    try:
        want = peer(*program)
    except Exception as error:  # noqa: BLE001 - whatever the peer cannot do is a class of its own
        return "error", type(error).__name__
    return next(((q, d) for q in QUANTITIES if (d := differs(got[q], want[q]))), None)


def shortest(peer, program):
    """The first steps of a program that still differ, or None where only the sum of many does."""
    steps, *rest, weights = program
    for n in range(1, len(steps) + 1):
        short = (steps[:n], *rest, weights[: n + len(SHAPES)])
        found = compare(peer, short)
        if found:
            return n, found
    return None


def known():
    """The classes in the table: each row begins ``| peer | kind | quantity | what |``."""
    rows = re.findall(
        r"^\| (jax|torch) \| ([^|]+) \| (\w+) \| ([^|]+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {tuple(cell.strip(" `") for cell in row) for row in rows}


def survey(seeds, peers):
    """Run the programs; return the classes of disagreement with the seeds in which each was seen."""
    classes = collections.defaultdict(list)
    start = time.perf_counter()
    for count, seed in enumerate(seeds, 1):
        program = draw(seed)
        for name, peer in peers.items():
            if compare(peer, program):
                n, (quantity, how) = shortest(peer, program) or (len(program[0]), compare(peer, program))
                key = name, program[0][n - 1][0], quantity, how
                if key not in classes:
                    print(f"program {seed}: {' | '.join(key)}", flush=True)
                classes[key].append(seed)
        if count % 100 == 0:
            seconds = time.perf_counter() - start
            print(f"{count} programs, {sum(map(len, classes.values()))} disagreements, {seconds:.0f} s", flush=True)
    return classes


def store(peer):
    """Write the answers of the first programs by a peer."""
    results = [peer(*draw(seed)) for seed in range(COUNT)]
    np.savez_compressed(STORED, **{q: np.concatenate([r[q] for r in results]) for q in QUANTITIES})


def stored():
    """Answers to the first programs, one dictionary for each."""
    with np.load(STORED) as file:
        columns = {q: file[q] for q in QUANTITIES}
    inputs = sum(int(np.prod(shape)) for shape in SHAPES)
    at = dict.fromkeys(QUANTITIES, 0)
    for seed in range(COUNT):
        outputs = len(draw(seed)[0]) + len(SHAPES)
        lengths = {"value": outputs, "jvp": outputs, "vjp": inputs, "hvp": inputs}
        yield {q: columns[q][at[q] : at[q] + lengths[q]] for q in QUANTITIES}
        at = {q: at[q] + lengths[q] for q in QUANTITIES}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first program")
    parser.add_argument("--peers", nargs="*", choices=ORACLES, default=list(ORACLES))
    parser.add_argument("--store", action="store_true", help="write the answers of the first peer, for the tests")
    options = parser.parse_args()
    peers = {}
    for name in options.peers:
        try:
            peers[name] = ORACLES[name]()
        except ImportError:
            print(f"{name} is not installed (make peers)")
    if options.store:
        store(next(iter(peers.values())))
        return 0
    classes = survey(range(options.first, options.first + options.programs), peers)
    explained = known()
    for key, seeds in sorted(classes.items()):
        mark = "known" if key in explained else "NEW"
        print(f"{mark:5} | {' | '.join(key)} | {len(seeds)} programs, such as {seeds[:3]}")
    new = set(classes) - explained
    print(f"{options.programs} programs beside {' and '.join(peers) or 'nobody'}: {len(new)} unexplained disagreements")
    return 1 if new or not peers else 0


if __name__ == "__main__":
    sys.exit(main())
