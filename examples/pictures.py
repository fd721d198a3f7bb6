"""Pictures of a trained image classifier: its curves, its first filters, what it gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nn.history import History

__all__ = ["draw_confusion", "draw_filters", "draw_mistakes", "montage", "summary_picture", "worst_mistakes"]


def montage(tiles: Any, columns: int, *, gap: int = 1) -> Any:
    """Put pictures (n, height, width) into rows, with gaps of NaN between them.

    Examples
    --------
    >>> montage(np.zeros((3, 2, 2)), 2).shape
    (5, 5)
    """
    tiles = np.asarray(tiles, float)
    count, height, width = tiles.shape
    rows = -(-count // columns)
    out = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        out[y : y + height, x : x + width] = tile
    return out


def worst_mistakes(probabilities: Any, labels: Any, count: int) -> Any:
    """Positions of the examples that are most surely wrong: the least probability for the right class comes first."""
    right = probabilities[np.arange(len(labels)), labels]
    wrong = probabilities.argmax(1) != labels
    order = np.argsort(right)
    return order[wrong[order]][:count]


def draw_filters(figure: Any, axes: Any, filters: Any, columns: int = 8) -> None:
    """Draw the filters (n, height, width) of a first layer, red for positive and blue for negative weights."""
    limit = float(np.abs(filters).max())
    image = axes.imshow(montage(filters, columns), cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set(title=f"The {len(filters)} filters of the first layer", xticks=[], yticks=[])
    size = "×".join(str(n) for n in filters.shape[1:])
    axes.set(xlabel=f"each square is one filter of {size} pixels")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.85, label="weight")


def draw_mistakes(axes: Sequence[Any], images: Any, labels: Any, probabilities: Any, classes: Sequence[str]) -> None:
    """Draw the worst mistakes, one to each of the axes."""
    chosen = worst_mistakes(probabilities, labels, len(axes))
    for ax in axes:
        ax.set_axis_off()
    for ax, i in zip(axes, chosen, strict=False):
        said = int(probabilities[i].argmax())
        ax.imshow(images[i], cmap="gray_r")
        ax.set_title(f"is {classes[labels[i]]}, said {classes[said]}\n({probabilities[i, said]:.0%} sure)", fontsize=8)


def draw_confusion(figure: Any, axes: Any, matrix: Any, classes: Sequence[str]) -> None:
    """Draw a confusion matrix; colours are shares of what is wrong, so that the diagonal does not drown the rest."""
    wrong = matrix.astype(float)
    np.fill_diagonal(wrong, np.nan)
    image = axes.imshow(wrong, cmap="cividis", aspect="auto")
    axes.set(xticks=range(len(classes)), yticks=range(len(classes)), title="Mistakes by class")
    axes.set_xticklabels(classes)
    axes.set_yticklabels(classes)
    axes.set(xlabel="said", ylabel="is")
    bright = float(np.nanmax(wrong, initial=0.0)) / 2
    for (row, column), count in np.ndenumerate(matrix):
        if row != column and count:
            axes.text(column, row, int(count), ha="center", va="center", fontsize=7,
                      color="black" if count > bright else "white")  # fmt: skip
    bar = figure.colorbar(image, ax=axes, shrink=0.85, label="images")
    bar.locator.set_params(integer=True)


def summary_picture(
    path: Path,
    title: str,
    *,
    history: History,
    filters: Any,
    images: Any,
    labels: Any,
    probabilities: Any,
    classes: Sequence[str],
    confusion: Any,
) -> None:
    """Write one picture of a training run.

    Parameters
    ----------
    path
        The file.
    title
        Its title.
    history
        Losses and measures by epoch.
    filters : ndarray, (n, height, width)
        Weights of the first convolution.
    images, labels, probabilities
        The test set, and what the network makes of it.
    classes
        What labels mean.
    confusion
        The confusion matrix.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10.5), layout="constrained")
    figure.suptitle(title, fontsize=14)
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.75, 1])
    top, bottom = parts
    (loss, accuracy), (weights, matrix) = top.subplots(2, 2)
    history.draw_losses(loss)
    loss.set_title("Loss")
    history.draw_measures(accuracy, ["validation_accuracy"])
    accuracy.set(title="Accuracy on the test images", ylabel="accuracy")
    draw_filters(top, weights, filters)
    draw_confusion(top, matrix, confusion, classes)
    wrong = int(np.sum(probabilities.argmax(1) != labels))
    shown = 20
    which = f"The worst {shown} of the" if wrong > shown else "The"
    bottom.suptitle(f"{which} {wrong:,} mistakes among {len(labels):,} test images")
    draw_mistakes(bottom.subplots(2, shown // 2).ravel(), images, labels, probabilities, classes)
    figure.savefig(path, dpi=120)
