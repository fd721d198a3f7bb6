"""Run the suite array-api-tests on NumPy, on autodiff.array_api, and on it with live tracers; print the counts.

python tests/array_api/run.py PATH-OF-THE-SUITE [--max-examples 20] [--only traced] [-- more arguments of pytest]
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRACED = "exec('from traced import namespace; xp = namespace({!r})')"
RUNS = {
    "numpy": "numpy",
    "plain": "autodiff.array_api",
    "traced": TRACED.format("reverse"),
    "forward": TRACED.format("forward"),
}


def run(name, suite, examples, more):
    """Run the suite once; return how many tests passed, failed and were skipped, and the names of those that failed."""
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    settings = {"ARRAY_API_TESTS_MODULE": RUNS[name], "ARRAY_API_TESTS_VERSION": "2024.12", "PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "-rf", "--disable-warnings", "--tb=no"]
    command += ["-p", "no:cacheprovider", "--max-examples", str(examples), "--hypothesis-seed", "0", *more]
    out = subprocess.run(
        command, cwd=suite, env=os.environ | settings, capture_output=True, text=True, check=False
    ).stdout
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped)", out[-300:])}
    return counts, sorted(set(re.findall(r"^FAILED array_api_tests/(.+?)(?: - .*)?$", out, re.MULTILINE)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="a checkout of github.com/data-apis/array-api-tests with its submodule")
    parser.add_argument("--max-examples", type=int, default=20, help="of hypothesis, for each test")
    parser.add_argument("--only", choices=RUNS, action="append", help="run this one (may be given again)")
    parser.add_argument("more", nargs="*", help="arguments for pytest")
    options = parser.parse_args()
    found = {}
    for name in options.only or ["numpy", "plain", "traced"]:
        counts, failed = run(name, options.suite, options.max_examples, options.more)
        found[name] = set(failed)
        print(f"{name:8}", *(f"{word} {counts.get(word, 0):5}" for word in ("passed", "failed", "skipped")), flush=True)
    known = found.pop("numpy", None)
    for name, failed in found.items() if known is not None else ():
        for test in sorted(failed - known):
            print(f"{name}, not numpy: {test}")


if __name__ == "__main__":
    main()
