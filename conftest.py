"""Packages are imported before pytest imports their modules one by one for doctests.

Otherwise the first module of a package that is imported by path would be executed twice, with two copies of each class.
"""

import autodiff  # noqa: F401
import nn  # noqa: F401
