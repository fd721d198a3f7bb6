"""The transforms that users call: thin wrappers that flatten, run a level, and unflatten."""
