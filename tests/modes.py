"""Derivatives of functions of one number by every mode, for tests of their mixtures: "fr" is forward over reverse."""

import itertools

from autodiff import grad, jvp, linearize, vjp

#: A transform of functions of one number for each letter.
D = {
    "f": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "r": grad,
    "l": lambda f: lambda x: linearize(f, x)[1](1.0),
    "v": lambda f: lambda x: vjp(f, x)[1](1.0)[0],
}


def mixtures(order, letters="fr"):
    """Return all words of so many letters."""
    return ["".join(word) for word in itertools.product(letters, repeat=order)]


def nested(modes, f):
    """Return the derivative of a function by each of the modes, the last one innermost."""
    for mode in reversed(modes):
        f = D[mode](f)
    return f
