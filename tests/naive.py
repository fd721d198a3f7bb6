"""A reverse-mode engine as a textbook would write it, which shares nothing with the one that it tests.

Every value is a `Node` that remembers its parents, each with a closure that takes an adjoint of the value to a
contribution to the adjoint of the parent.
"""

import itertools

import numpy as np

_serial = itertools.count().__next__


class Node:
    def __init__(self, value, parents=()):
        self.value = np.asarray(value)
        self.parents = parents
        self.serial = _serial()
        self.shape = self.value.shape


def gradient(f, *xs):
    """Gradients of a scalar function of nodes; no recursion, so programs may be long."""
    inputs = [Node(x) for x in xs]
    output = f(*inputs)
    nodes, stack = {}, [output]
    while stack:
        node = stack.pop()
        if node.serial not in nodes:
            nodes[node.serial] = node
            stack.extend(parent for parent, _ in node.parents)
    adjoints = {output.serial: np.ones(())}
    for serial in sorted(nodes, reverse=True):  # a parent is always older than what was computed from it
        for parent, pull in nodes[serial].parents:
            adjoints[parent.serial] = adjoints.get(parent.serial, 0.0) + pull(adjoints[serial])
    return [np.broadcast_to(adjoints.get(x.serial, 0.0), x.shape) for x in inputs]


def shrink(g, shape):
    """Sum an adjoint over the axes along which a value of that shape was broadcast."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


def elementwise(f, *partials):
    """A function of nodes (or numbers) from its value and its partial derivatives."""

    def apply(*args):
        values = [a.value if isinstance(a, Node) else a for a in args]
        pulls = [
            (a, lambda g, d=d, a=a: shrink(g * d(*values), a.shape))
            for a, d in zip(args, partials, strict=True)
            if isinstance(a, Node)
        ]
        return Node(f(*values), pulls)

    return apply


def linear(f, transpose):
    """A function ``f(node, *static)`` from its value and its transpose ``transpose(g, shape, *static)``."""
    return lambda a, *static: Node(f(a.value, *static), [(a, lambda g: transpose(g, a.shape, *static))])


def _scattered(g, shape, index):
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def _spread(g, shape, axis):
    return np.broadcast_to(np.expand_dims(g, axis), shape)


FUNCTIONS = {
    "add": elementwise(np.add, lambda a, b: 1.0, lambda a, b: 1.0),
    "subtract": elementwise(np.subtract, lambda a, b: 1.0, lambda a, b: -1.0),
    "multiply": elementwise(np.multiply, lambda a, b: b, lambda a, b: a),
    "divide": elementwise(np.divide, lambda a, b: 1 / b, lambda a, b: -a / b**2),
    "power": elementwise(np.power, lambda a, b: b * a ** (b - 1), lambda a, b: np.log(a) * a**b),
    "maximum": elementwise(np.maximum, lambda a, b: (a > b) + (a == b) / 2, lambda a, b: (a < b) + (a == b) / 2),
    "hypot": elementwise(np.hypot, lambda a, b: a / np.hypot(a, b), lambda a, b: b / np.hypot(a, b)),
    "arctan2": elementwise(np.arctan2, lambda a, b: b / (a**2 + b**2), lambda a, b: -a / (a**2 + b**2)),
    "logaddexp": elementwise(np.logaddexp, lambda a, b: 1 / (1 + np.exp(b - a)), lambda a, b: 1 / (1 + np.exp(a - b))),
    "negative": elementwise(np.negative, lambda a: -1.0),
    "absolute": elementwise(np.absolute, np.sign),
    "sin": elementwise(np.sin, np.cos),
    "cos": elementwise(np.cos, lambda a: -np.sin(a)),
    "tan": elementwise(np.tan, lambda a: np.cos(a) ** -2),
    "tanh": elementwise(np.tanh, lambda a: np.cosh(a) ** -2),
    "arctan": elementwise(np.arctan, lambda a: 1 / (1 + a**2)),
    "arcsin": elementwise(np.arcsin, lambda a: (1 - a**2) ** -0.5),
    "sinh": elementwise(np.sinh, np.cosh),
    "cosh": elementwise(np.cosh, np.sinh),
    "arcsinh": elementwise(np.arcsinh, lambda a: (1 + a**2) ** -0.5),
    "exp": elementwise(np.exp, np.exp),
    "exp2": elementwise(np.exp2, lambda a: np.log(2) * 2**a),
    "expm1": elementwise(np.expm1, np.exp),
    "log": elementwise(np.log, lambda a: 1 / a),
    "log1p": elementwise(np.log1p, lambda a: 1 / (1 + a)),
    "sqrt": elementwise(np.sqrt, lambda a: 0.5 * a**-0.5),
    "square": elementwise(np.square, lambda a: 2 * a),
    "reciprocal": elementwise(np.reciprocal, lambda a: -(a**-2.0)),
    "reshape": linear(np.reshape, lambda g, shape, _new: g.reshape(shape)),
    "transpose": linear(np.transpose, lambda g, _shape: g.T),
    "broadcast_to": linear(np.broadcast_to, lambda g, shape, _new: shrink(g, shape)),
    "getitem": linear(lambda a, index: a[index], _scattered),
    "sum": linear(np.sum, _spread),
    "matmul": lambda a, b: Node(a.value @ b.value, [(a, lambda g: g @ b.value.T), (b, lambda g: a.value.T @ g)]),
    "where": lambda mask, a, b: Node(
        np.where(mask, a.value, b.value),
        [(a, lambda g: shrink(g * mask, a.shape)), (b, lambda g: shrink(g * ~mask, b.shape))],
    ),
}
