"""What all displays are: numbers that are kept, and drawn when asked."""

from typing import Any

from ._axes import make_axes


class Display:
    """The frame of `plot`; a display draws in `_draw`, on `ax_` of `figure_`."""

    ax_: Any
    figure_: Any

    def plot(self, ax=None):
        """Draw what the display holds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : the display itself
        """
        self.ax_, self.figure_ = make_axes(ax, *self._size())
        self._draw()
        return self

    def _size(self):
        """Return height and width of a figure, in inches; None is matplotlib's."""
        return None, None

    def _draw(self):
        """Draw on `ax_`; each display has its own."""
