"""How a program of the catalogue is run: its seed, its length, its data, and where its pictures go."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PALETTE", "Run", "tidy"]

STYLE = Path(__file__).with_name("style.mplstyle")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; the style's cycle."""


def tidy(axes: Any) -> None:
    """Frame what has no ticks, and write plain numbers (0.6, 2) on logarithmic axes of less than two decades."""
    from matplotlib.ticker import FixedLocator, LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    shown = axes.spines.left.get_visible() or axes.spines.bottom.get_visible()
    if shown and not len(axes.get_xticks()) and not len(axes.get_yticks()):
        axes.spines[:].set(visible=True, color="0.8", linewidth=0.8)
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        chosen = isinstance(axis.get_major_locator(), FixedLocator)
        if axis.get_scale() == "log" and low > 0 and high < 100 * low and not chosen:
            axis.set_major_formatter(Plain())
            axis.set_minor_formatter(Plain(minor_thresholds=(2, 0.4)))


@dataclasses.dataclass
class Run:
    """What a program is asked for, and what it tells about itself.

    Parameters
    ----------
    id
        The row of the catalogue.
    full
        Whether to train as long as the text does; otherwise for seconds, a minute at the most.
    part
        How much of the text's schedule a full run goes through, of all its data; less than 1 counts as short.
    smoke
        Whether ten steps are enough, to see that it works.
    seed
        Of weights, order and generated data.
    device
        "cpu" or "cuda".
    out
        The folder of pictures; none are written without it.
    data_dir
        Where to look for data before the other places.
    data
        Set by the program: which data it had, and if they are a part or a substitute.
    missing
        Which data it would have liked, and where they come from; see `lacks`.
    shortened
        Whether it asked for a length of which there could be a part.

    Examples
    --------
    >>> run = Run("lecture/L17", smoke=True)
    >>> run.length(quick=300, full=3000)
    10
    >>> Run("lecture/L17", full=True).length(quick=300, full=3000)
    3000
    >>> Run("lecture/L17", full=True, part=0.1).length(quick=300, full=3000)
    300
    """

    id: str
    full: bool = False
    part: float = 1.0
    smoke: bool = False
    seed: int = 0
    device: str = "cpu"
    out: Path | None = None
    data_dir: Path | None = None
    data: str = ""
    missing: list[str] = dataclasses.field(default_factory=list)
    shortened: bool = False
    pictures: list[Path] = dataclasses.field(default_factory=list)

    @property
    def rng(self) -> np.random.Generator:
        """A new generator from the seed: the same numbers each time it is asked for."""
        return np.random.default_rng(self.seed)

    def length(self, quick: int, full: int | None = None) -> int:
        """Return how many steps (epochs, trials) to make; ten at most when only testing."""
        if full is not None and self.full:
            self.shortened = self.part < 1
            return min(max(1, round(full * self.part)), 10 if self.smoke else full)
        return min(quick, 10) if self.smoke else quick

    @property
    def whole(self) -> bool:
        """Whether this run is one that the text's figures are a target for."""
        return self.full and self.part == 1

    def say(self, text: Any) -> None:
        """Print what the table of figures cannot show, such as an evaluation trace; not when programs are checked."""
        if self.out is not None:
            print(f"\n{text}")

    def lacks(self, what: str) -> None:
        """Note which data were not found, where they come from and where to put them; not in ten steps."""
        if not self.smoke and what not in self.missing:
            self.missing.append(what)

    @contextlib.contextmanager
    def picture(self, name: str = "", **subplots: Any) -> Iterator[Any]:
        """Draw into the axes that this yields, `plt.subplots(**subplots)` in the style of the project; then save them.

        Parameters
        ----------
        name
            What distinguishes this picture from others of the same program; a seed other than 0 is added to it.
        **subplots
            As of matplotlib.pyplot.subplots: nrows, ncols, figsize (inches), subplot_kw ...
        """
        import matplotlib as mpl
        from matplotlib.figure import Figure

        with mpl.rc_context(fname=STYLE):
            size = subplots.pop("figsize", None)
            figure = Figure(figsize=size, layout="constrained")
            yield figure.subplots(**subplots)
            for axes in figure.axes:
                tidy(axes)
            if self.out is not None:
                self.out.mkdir(parents=True, exist_ok=True)
                seed = f"seed{self.seed}" if self.seed else ""
                path = self.out / f"{'-'.join(filter(None, (self.id.replace('/', '-'), name, seed)))}.png"
                figure.savefig(path)
                self.pictures.append(path)
