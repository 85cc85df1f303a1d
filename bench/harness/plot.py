# SPDX-License-Identifier: Apache-2.0
"""Small SVG drawings for an HTML page: axes, lines, bars. Colours and fonts are the page's (page.css).

Every drawing is WIDTH units wide and scales with its place; it has a title and a description for those who do not see it.
"""
import html
import itertools
import math

WIDTH = 440
_numbers = itertools.count(1)


class Drawing:
    """Elements, in the order in which they are painted."""

    def __init__(self, height):
        self.height = height
        self.elements = []

    def add(self, name, content=None, **attributes):
        """One element; `class_` is class, and _ in a name is -. content is text, escaped here."""
        written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items())
        closing = "/>" if content is None else f">{html.escape(content)}</{name}>"
        self.elements.append(f"<{name}{written}{closing}")

    def text(self, x, y, content, class_="", anchor="start"):
        self.add("text", content, x=x, y=y, class_=class_, text_anchor=anchor)

    def line(self, x1, y1, x2, y2, class_):
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)

    def path(self, points, class_):
        """Straight lines from point to point."""
        if points:
            self.add("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)

    def dot(self, x, y, class_, says, radius=3):
        """A point that says something when it is pointed at."""
        self.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{_attribute(class_)}">'
                             f"<title>{html.escape(says)}</title></circle>")

    def render(self, title, description):
        number = next(_numbers)
        return (f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-labelledby="t{number} d{number}">'
                f'<title id="t{number}">{html.escape(title)}</title>'
                f'<desc id="d{number}">{html.escape(description)}</desc>{"".join(self.elements)}</svg>')


def _attribute(value):
    return html.escape(f"{value:.1f}" if isinstance(value, float) else str(value))


class Scale:
    """From values to places: linear from nought, or logarithmic."""

    def __init__(self, low, high, start, end, log=False):
        self.log, self.start, self.end = log, start, end
        self.low, self.high = (_decades(low, high) if log else (low, high if high > low else low + 1))

    def place(self, value):
        low, high = self._measure(self.low), self._measure(self.high)
        share = (self._measure(max(value, self.low) if self.log else value) - low) / (high - low)
        return self.start + min(share, 1) * (self.end - self.start)

    def ticks(self):
        return _log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)

    def _measure(self, value):
        return math.log10(value) if self.log else value


def _decades(low, high):
    """A range that begins and ends at 1, 2 or 5 of a decade."""
    steps = [mantissa * 10.0**exponent for exponent in range(-6, 10) for mantissa in (1, 2, 5)]
    low = max((step for step in steps if step <= low), default=steps[0])
    high = min((step for step in steps if step >= high), default=steps[-1])
    return low, max(high, low * 10)


def _log_ticks(low, high):
    """All of 1, 2, 5 while they have room, else the powers of ten."""
    mantissas = (1, 2, 5) if high / low <= 1000 else (1,)
    steps = [mantissa * 10.0**exponent for exponent in range(-6, 10) for mantissa in mantissas]
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]


def linear_ticks(low, high, wanted=5):
    """Round numbers, about as many as are wanted."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step * 1.0001) + 1)]


def number(value):
    """A count whole, anything else with three digits that mean something; thousands apart."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def tick_label(value):
    """A number in its shortest form."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e3:
        return f"{value / 1e3:g}k"
    return f"{value:.6g}"
