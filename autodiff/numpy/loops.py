"""``np.vectorize`` for traced values: a loop over the elements, as NumPy's is."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.errors import missing_rule
from autodiff.numpy.building import array, asarray, is_traced

__all__ = ["vectorize"]


class vectorize(np.vectorize):  # noqa: N801 - NumPy's name
    """Call a function of numbers for each element of its arguments, with broadcasting.

    A convenience, not fast: the function is called in a Python loop. The parameters are those of
    ``np.vectorize``; on traced values `otypes` are the dtypes of the results, `cache` has no effect, and a
    `signature` is an error (`autodiff.vmap` is for functions of arrays).

    Examples
    --------
    >>> import autodiff
    >>> soft = vectorize(lambda x: np.log1p(np.exp(x)) if x < 30 else x)
    >>> autodiff.grad(lambda x: np.sum(soft(x)))(np.array([0.0, 40.0]))
    array([0.5, 1. ])
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function for each element."""
        fixed = [i for i in range(len(args)) if i in self.excluded]
        given = {key: x for key, x in kwargs.items() if key in self.excluded}
        looped = {i: x for i, x in enumerate(args) if i not in fixed} | {
            key: x for key, x in kwargs.items() if key not in given
        }
        if not is_traced([*args, *kwargs.values()]):
            return super().__call__(*args, **kwargs)
        if self.signature is not None:
            raise missing_rule("np.vectorize", " with a signature; autodiff.vmap does this")
        arrays = np.broadcast_arrays(*map(asarray, looped.values()))
        shape = arrays[0].shape if arrays else ()
        rows = []
        for index in np.ndindex(shape):
            here = dict(zip(looped, (a[index] for a in arrays), strict=True))
            positional = [args[i] if i in fixed else here[i] for i in range(len(args))]
            keywords = given | {key: x for key, x in here.items() if isinstance(key, str)}
            rows.append(self.pyfunc(*positional, **keywords))
        return self._gathered(rows, shape)

    def _gathered(self, rows: list[Any], shape: tuple[int, ...]) -> Any:
        if not rows:
            raise ValueError("np.vectorize: there is no element to call the function for.")
        if not isinstance(rows[0], tuple):
            return self._column(rows, shape, 0)
        return tuple([self._column(column, shape, k) for k, column in enumerate(zip(*rows, strict=True))])

    def _column(self, values: Any, shape: tuple[int, ...], number: int) -> Any:
        dtype = self.otypes[number] if self.otypes else None
        return np.reshape(array(list(values), dtype), shape)
