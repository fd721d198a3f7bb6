"""Optimisers: descent on curves, the family from momentum to Adam, second-order methods, races on networks."""
