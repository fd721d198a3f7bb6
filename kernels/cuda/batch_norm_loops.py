"""The kernels of batch normalisation: images as (outer, channels, inner) around the axis of the channels.

A block has a part of the `outer * inner` items of `lanes` channels: one channel where its items lie in planes, up to 32
side by side where channels come last. Threads walk along the items without dividing: the plane n and the item r in it
are counted on. A channel's parts are merged in float64, in one order: two calls give the same bits.

Sizes are (outer, channels, inner, lanes, parts, items of a part).
"""

from __future__ import annotations

from numba import cuda, float64, int64

from kernels.cuda.launch import SIMULATED, declare, device

__all__ = [
    "THREADS", "WIDEST", "add_kernel", "apply_kernel", "gradient_kernel", "merge_kernel", "statistics_kernel",
    "sums_kernel",
]  # fmt: skip

THREADS = 8 if SIMULATED else 256
WIDEST = 4 if SIMULATED else 32  # channels side by side in a block


@device
def part_of(job, sizes):
    """Return a thread's channel, its first item in the part, the part's first item and its end."""
    t = int64(cuda.threadIdx.x)
    channel = job // sizes[4] * sizes[3] + t % sizes[3]
    first = job % sizes[4] * sizes[5]
    end = min(first + sizes[5], sizes[0] * sizes[2])
    if channel >= sizes[1]:
        return channel, end, first, end
    return channel, first + t // sizes[3], first, end


@device
def jobs(sizes):
    return (sizes[1] + sizes[3] - 1) // sizes[3] * sizes[4]


@device
def step_of(sizes):
    """Return how far a thread goes in one step: planes, and items of a plane."""
    step = THREADS // sizes[3]
    return step, step // sizes[2], step % sizes[2]


@device
def forward(n, r, planes, items, inner):
    n += planes
    r += items
    if r >= inner:
        return n + 1, r - inner
    return n, r


@device
def add_up(shared, lanes):
    """Add up what the threads of each channel have in shared memory."""
    t = int64(cuda.threadIdx.x)
    cuda.syncthreads()
    half = THREADS // lanes // 2
    while half > 0:
        if t // lanes < half:
            shared[t] += shared[t + half * lanes]
        cuda.syncthreads()
        half //= 2


def batch_norm_parts(x, means, squares, sizes):
    """Write mean and sum of squared deviations of each part of each channel, (parts, channels)."""
    totals = cuda.shared.array(THREADS, float64)
    others = cuda.shared.array(THREADS, float64)
    t = int64(cuda.threadIdx.x)
    channels, inner, lanes = sizes[1], sizes[2], sizes[3]
    step, planes, items = step_of(sizes)
    for job in range(int64(cuda.blockIdx.x), jobs(sizes), int64(cuda.gridDim.x)):
        channel, start, first, end = part_of(job, sizes)
        count = end - first
        total = x.dtype.type(0)
        n, r = start // inner, start % inner
        for _ in range(start, end, step):
            total += x[(n * channels + channel) * inner + r]
            n, r = forward(n, r, planes, items, inner)
        totals[t] = total
        add_up(totals, lanes)
        guess = x.dtype.type(totals[t % lanes] / count)
        cuda.syncthreads()
        rest, square = x.dtype.type(0), x.dtype.type(0)
        n, r = start // inner, start % inner
        for _ in range(start, end, step):
            gap = x[(n * channels + channel) * inner + r] - guess
            rest += gap
            square += gap * gap
            n, r = forward(n, r, planes, items, inner)
        totals[t] = rest
        others[t] = square
        add_up(totals, lanes)
        add_up(others, lanes)
        if t < lanes and channel < channels:
            at = job % sizes[4] * channels + channel
            means[at] = guess + totals[t] / count
            value = others[t] - totals[t] * (totals[t] / count)
            squares[at] = 0.0 if value < 0 else value
        cuda.syncthreads()


def batch_norm_merge(means, squares, mean, var, sizes):
    """Merge the parts of each channel (Chan, Golub and LeVeque)."""
    channels, count = sizes[1], sizes[0] * sizes[2]
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for channel in range(first, channels, int64(cuda.gridDim.x) * cuda.blockDim.x):
        middle, square = means[channel], squares[channel]
        for part in range(1, sizes[4]):
            seen = part * sizes[5]
            more = min(sizes[5], count - seen)
            at = part * channels + channel
            gap, together = means[at] - middle, seen + more
            middle += gap * more / together
            square += squares[at] + gap * gap * seen * more / together
        mean[channel] = middle
        var[channel] = square / count


def batch_norm_part_sums(g, x, mean, totals, products, sizes):
    """Write the sums of g and of g * (x - mean) of each part of each channel, (parts, channels)."""
    first_sums = cuda.shared.array(THREADS, float64)
    second_sums = cuda.shared.array(THREADS, float64)
    t = int64(cuda.threadIdx.x)
    channels, inner, lanes = sizes[1], sizes[2], sizes[3]
    step, planes, items = step_of(sizes)
    for job in range(int64(cuda.blockIdx.x), jobs(sizes), int64(cuda.gridDim.x)):
        channel, start, _first, end = part_of(job, sizes)
        total, product = x.dtype.type(0), x.dtype.type(0)
        middle = mean[min(channel, channels - 1)]
        n, r = start // inner, start % inner
        for _ in range(start, end, step):
            at = (n * channels + channel) * inner + r
            total += g[at]
            product += g[at] * (x[at] - middle)
            n, r = forward(n, r, planes, items, inner)
        first_sums[t] = total
        second_sums[t] = product
        add_up(first_sums, lanes)
        add_up(second_sums, lanes)
        if t < lanes and channel < channels:
            at = job % sizes[4] * channels + channel
            totals[at] = first_sums[t]
            products[at] = second_sums[t]
        cuda.syncthreads()


def batch_norm_add(totals, products, total, product, sizes):
    """Add up the parts of each channel."""
    channels = sizes[1]
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for channel in range(first, channels, int64(cuda.gridDim.x) * cuda.blockDim.x):
        one, other = totals[channel], products[channel]
        for part in range(1, sizes[4]):
            one += totals[part * channels + channel]
            other += products[part * channels + channel]
        total[channel] = one
        product[channel] = other


def batch_norm_map(x, mean, scale, shift, y, sizes):
    """Write (x - mean) * scale + shift."""
    channels, inner = sizes[1], sizes[2]
    step, planes, items = step_of(sizes)
    for job in range(int64(cuda.blockIdx.x), jobs(sizes), int64(cuda.gridDim.x)):
        channel, start, _first, end = part_of(job, sizes)
        c = min(channel, channels - 1)
        middle, slope, level = mean[c], scale[c], shift[c]
        n, r = start // inner, start % inner
        for _ in range(start, end, step):
            at = (n * channels + channel) * inner + r
            y[at] = (x[at] - middle) * slope + level
            n, r = forward(n, r, planes, items, inner)


def batch_norm_back(g, x, mean, scale, level, slope, gx, sizes):
    """Write (g - level) * scale - (x - mean) * slope."""
    channels, inner = sizes[1], sizes[2]
    step, planes, items = step_of(sizes)
    for job in range(int64(cuda.blockIdx.x), jobs(sizes), int64(cuda.gridDim.x)):
        channel, start, _first, end = part_of(job, sizes)
        c = min(channel, channels - 1)
        middle, factor, base, tilt = mean[c], scale[c], level[c], slope[c]
        n, r = start // inner, start % inner
        for _ in range(start, end, step):
            at = (n * channels + channel) * inner + r
            gx[at] = (g[at] - base) * factor - (x[at] - middle) * tilt
            n, r = forward(n, r, planes, items, inner)


SHARED = 2 * THREADS * 8
statistics_kernel = declare(batch_norm_parts, "T[] f8[] f8[] 6*i8", shared=SHARED)
merge_kernel = declare(batch_norm_merge, "f8[] f8[] T[] T[] 6*i8")
sums_kernel = declare(batch_norm_part_sums, "T[] T[] T[] f8[] f8[] 6*i8", shared=SHARED)
add_kernel = declare(batch_norm_add, "f8[] f8[] T[] T[] 6*i8")
apply_kernel = declare(batch_norm_map, "T[] T[] T[] T[] T[] 6*i8")
gradient_kernel = declare(batch_norm_back, "T[] T[] T[] T[] T[] T[] T[] 6*i8")
