"""The recipes: their examples run, and each compares its gradient with one that is known."""

import doctest
import importlib
from pathlib import Path

import pytest

RECIPES = sorted(p.stem for p in (Path(__file__).parents[1] / "examples" / "recipes").glob("[!_]*.py"))


def test_all_are_there():
    assert set(RECIPES) >= {"minimise", "curve_fit", "logistic_regression", "gaussian_process", "kalman_filter"}
    assert set(RECIPES) >= {"ode_fit", "eigenvalues", "deconvolution"}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name):
    result = doctest.testmod(importlib.import_module(f"examples.recipes.{name}"))
    assert result.attempted >= 6
    assert result.failed == 0
