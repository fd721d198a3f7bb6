"""Handwritten digits for the programs: MNIST where it can be had, 5,000 of its digits where it cannot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nn.data import load_mnist

if TYPE_CHECKING:
    from examples.run import Run
    from nn.data import ImageSet

__all__ = ["mnist", "tell"]


def mnist(run: Run) -> ImageSet:
    """Load MNIST as `nn.data.load_mnist` does; without the network, and in silence, when ten steps are tested."""
    images = load_mnist(run.data_dir, download=not run.smoke, tell=lambda text: tell(run, text))
    if not images.full:
        run.lacks(
            "MNIST, four files *-ubyte.gz (11 MB, https://ossci-datasets.s3.amazonaws.com/mnist/): name their folder, "
            "--data-dir DIR or AUTODIFF_DATA=DIR; where there is a network they are downloaded"
        )
    return images


def tell(run: Run, text: str) -> None:
    """Say that something is being downloaded; what is not to be had stands behind the table of the run."""
    if run.out is not None and text.startswith("Downloading"):
        sys.stderr.write(f"{text}\n")
