"""Shapes of the random programs: few of them, so that a peer that compiles for each shape has soon seen them all."""

import math

import numpy as np

#: What a step leaves behind has one of these shapes.
SETTLED = {(), (2,), (3,), (4,), (6,), (2, 2), (2, 3), (3, 1), (3, 3), (2, 1, 3)}
LENGTHS = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 6: (2, 3), 9: (3, 3)}


def size_of(shape):
    return int(np.prod(shape, dtype=int))


def fit(one, other):
    """Whether two shapes broadcast to a small one."""
    try:
        return size_of(np.broadcast_shapes(one, other)) <= 36
    except ValueError:
        return False


def flat(f, a, most=36):
    """The first entries as a vector."""
    n = size_of(a.shape)
    if a.shape != (n,):
        a = f.reshape(a, (n,))
    return a if n <= most else f.getitem(a, slice(0, most))


def settle(f, a):
    """A value of any shape as one of a shape that is settled: of its last entries, as many as fit."""
    if a.shape in SETTLED:
        return a
    size = size_of(a.shape)
    n = max(n for n in LENGTHS if n <= size)
    vector = f.reshape(a, (size,))
    return f.reshape(vector if n == size else f.getitem(vector, slice(size - n, None)), LENGTHS[n])


def total(f, a):
    return f.sum(flat(f, a), 0)


def rows(f, a):
    """A matrix of 2 x 2, 2 x 3 or 3 x 3 of the first entries; of one entry or two, repeated."""
    n = size_of(a.shape)
    if n < 4:
        return f.broadcast_to(flat(f, a), (2, max(2, n)))
    shape = {4: (2, 2), 6: (2, 3), 9: (3, 3)}[max(m for m in (4, 6, 9) if m <= n)]
    return f.reshape(flat(f, a, size_of(shape)), shape)


def square(f, a):
    """A matrix of 1 x 1 to 3 x 3 of the first entries, each between -1 and 1."""
    n = min(3, math.isqrt(size_of(a.shape)))
    return f.reshape(f.sin(flat(f, a, n * n)), (n, n))


def definite(f, a):
    m = square(f, a)
    return f.add(f.matmul(m, f.transpose(m)), np.diag([1.0, 2.5, 4.5][: m.shape[0]]))


def regular(f, a):
    m = square(f, a)
    return f.add(m, np.diag([4.0, 5.0, 7.0][: m.shape[0]]))


def axis_of(a, k):
    return k % len(a.shape)


def index_of(shape, k):
    """An index of every kind, for an array of at least one axis; no entry is chosen twice (see `repeated`)."""
    n, last = shape[0], shape[-1]
    some = np.unique([0, n - 1])
    kinds = [
        slice(None, None, -1),
        some[::-1].copy(),
        (np.arange(size_of(shape)) % 3 != 1).reshape(shape),
        np.arange(n) % 2 == 0,
        (Ellipsis, np.unique([0, last - 1])),
        (None, slice(0, None, 2)),
        (-1, Ellipsis, None),
        (some[:, None], *(slice(None),) * (len(shape) - 1)),
    ]
    if len(shape) > 1:
        each = min(n, last)
        kinds += [
            (np.arange(each), Ellipsis, np.arange(each)[::-1].copy()),
            np.ix_(some, *(np.arange(m)[-1:] for m in shape[1:])),
            (slice(None, None, -1), Ellipsis, np.arange(last) > 0) if last > 1 else (Ellipsis, 0),
            (slice(1, None), Ellipsis, -1),
        ]
    return kinds[k % len(kinds)]


def repeated(shape, k):
    """An index that chooses entries more than once."""
    n = shape[0]
    kinds = [np.array([0, n - 1, 0]), np.array([[0, n - 1], [0, 0]]), (Ellipsis, np.array([-1, 0, -1]))]
    return kinds[k % len(kinds)]
