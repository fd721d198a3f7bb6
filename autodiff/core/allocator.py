"""One hint to the C library's allocator, without which every sweep pays for its memory anew.

glibc returns freed memory to the system, and faults it in again page by page, unless the process has once
freed a larger block: its thresholds follow the largest block freed (up to 32 MB). A derivative program allocates
and frees many arrays of one size in each call, the worst case of that policy: the gradient of Rosenbrock's
function at n = 2e5 took 3.7 ms before and 0.77 ms after (benchmarks/autodiff.py, section elementwise). Allocating
one block and freeing it untouched costs microseconds; elsewhere than on glibc it does nothing.
"""

from __future__ import annotations

import numpy as np

BLOCK = 31 * 2**20  # just under glibc's upper limit for the dynamic threshold


def keep_freed_memory() -> None:
    """Let the allocator keep freed blocks of up to 31 MB for the next allocation."""
    block = np.empty(BLOCK, np.uint8)
    del block
