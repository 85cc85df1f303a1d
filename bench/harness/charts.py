# SPDX-License-Identifier: Apache-2.0
"""The four kinds of charts: bars of drains, lag over time, lag percentiles, lag against rate.

A series is (peer, data); a peer's colour is the CSS class that style_of gives it.
"""
import math
import statistics

from .plot import Drawing, Scale, WIDTH, linear_ticks, number, tick_label

# Each peer keeps its colour from page to page; others take what is left, in turn.
STYLES = {"pgcdc": "s1", "pgcdc_kafka": "s2", "pgcdc_null": "s12", "pgcdc_archive": "s1", "pgcdc_replay": "s12", "recvlogical": "s0", "recvlogical_text": "s13",
          "native": "s3", "native_tuned": "s4", "debezium": "s5", "debezium_tuned": "s6", "pgcopydb": "s7",
          "pgcdc_live": "s1", "pgcdc_simple": "s2", "pgcdc_killed": "s12", "pgcopydb_clone": "s7", "pgcopydb_split": "s5", "native_copy": "s3",
          "pgcdc_migrate": "s13", "pg_dump_restore": "s6"}
SPARE_STYLES = ("s8", "s9", "s10", "s11")

LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 14, 24, 236
HEIGHT = 272


def style_of(peer, peers):
    """peers: all in the document; they decide which peer gets which spare colour."""
    if peer in STYLES:
        return STYLES[peer]
    others = sorted(name for name in peers if name not in STYLES)
    return SPARE_STYLES[others.index(peer) % len(SPARE_STYLES)]


# ---- bars ----

BAR_ROW, BAR_HEAD, BAR_LEFT, BAR_RIGHT = 32, 18, 112, WIDTH - 132


def bars(title, series, styles, ours, done="drain"):
    """A bar a peer: the median's, with every round as a dot and a line from least to most. In seconds. The shortest is bold.
    ours: the peer that the others are compared with, or None."""
    compared_with = dict(series).get(ours)
    top = BAR_HEAD if compared_with is not None and len(series) > 1 else 0
    best = min(statistics.median(seconds) for _, seconds in series)
    drawing = Drawing(top + len(series) * BAR_ROW + 30)
    scale = Scale(0, max(max(seconds) for _, seconds in series), BAR_LEFT, BAR_RIGHT)
    bottom = top + len(series) * BAR_ROW + 4
    if top:
        drawing.text(WIDTH - 4, 12, f"times {ours}’s", "tick", "end")
    for tick in linear_ticks(scale.low, scale.high, 4):
        drawing.line(scale.place(tick), top + 2, scale.place(tick), bottom, "grid")
        drawing.text(scale.place(tick), bottom + 16, tick_label(tick), "tick", "middle")
    drawing.text(WIDTH - 4, bottom + 16, "seconds", "tick", "end")
    for row, (peer, seconds) in enumerate(series):
        _bar(drawing, scale, top + row * BAR_ROW + BAR_ROW / 2, peer, seconds, styles[peer],
             _times(seconds, compared_with) if compared_with is not None and peer != ours else "",
             len(series) > 1 and statistics.median(seconds) == best)
    said = "; ".join(f"{peer} {_spread(seconds)} seconds" for peer, seconds in series)
    return drawing.render(f"{title}: seconds to {done}", f"Shorter is faster. {said}.")


def _times(seconds, compared_with):
    ours = statistics.median(compared_with)
    return f"{statistics.median(seconds) / ours:.2f} ×" if ours > 0 else ""


def _bar(drawing, scale, middle, peer, seconds, style, times, is_best):
    median, low, high = statistics.median(seconds), min(seconds), max(seconds)
    drawing.text(BAR_LEFT - 8, middle + 4, peer, "label", "end")
    drawing.add("rect", x=scale.start, y=middle - 9, width=scale.place(median) - scale.start, height=18, rx=2,
                class_=f"fill {style}")
    if len(seconds) > 1:
        drawing.line(scale.place(low), middle, scale.place(high), middle, "whisker")
        for value in seconds:
            drawing.dot(scale.place(value), middle, "round", f"{number(value)} s", 2.2)
    after = max(scale.place(median), scale.place(high)) + 8
    drawing.text(after, middle + 4, f"{number(median)} s", "value best" if is_best else "value")
    drawing.text(WIDTH - 4, middle + 4, times, "times", "end")


def _spread(values):
    median = number(statistics.median(values))
    return median if len(values) == 1 else f"{median} (from {number(min(values))} to {number(max(values))})"


# ---- lag ----

def over_time(title, series, styles):
    """series: (peer, [[second, median_ms, max_ms], ...]); several of one peer are its rounds."""
    points = [point for _, seconds in series for point in seconds]
    x = Scale(0, max(point[0] for point in points), LEFT, RIGHT)
    y = Scale(*_range([point[1] for point in points] + [point[2] for point in points]), BOTTOM, TOP, log=True)
    drawing = Drawing(HEIGHT)
    _frame(drawing, x, y, "seconds into the run", [(tick, tick_label(tick)) for tick in x.ticks()])
    for peer, seconds in series:
        drawing.path([(x.place(point[0]), y.place(point[2])) for point in seconds], f"thin {styles[peer]}")
    for peer, seconds in series:
        drawing.path([(x.place(point[0]), y.place(point[1])) for point in seconds], f"line {styles[peer]}")
    said = "; ".join(f"{peer}: each second's median {_typical(seconds, 1)} ms, its worst {_typical(seconds, 2)} ms"
                     for peer, seconds in series)
    return drawing.render(f"{title}: lag over time", f"In the middle of all seconds, {said}.")


def _typical(seconds, column):
    return number(statistics.median(point[column] for point in seconds))


def percentiles(title, series, styles):
    """series: (peer, [(percentile, ms), ...]), rising."""
    points = [point for _, curve in series for point in curve]
    x = Scale(_nines(50), max(3.4, max(_nines(share) for share, _ in points if share < 100)) + 0.2, LEFT, RIGHT)
    y = Scale(*_range([ms for share, ms in points if share >= 50]), BOTTOM, TOP, log=True)
    drawing = Drawing(HEIGHT)
    named = [(_nines(share), f"{share:g} %") for share in (50, 90, 99, 99.9, 99.99) if _nines(share) < x.high - 0.3]
    _frame(drawing, x, y, "share of transactions that were not slower", named + [(x.high, "all")])
    for peer, curve in series:
        drawing.path([(x.place(_place_of(share, x)), y.place(ms)) for share, ms in curve if share >= 50],
                     f"line {styles[peer]}")
        for share, ms in curve:
            if share in (50, 90, 99, 99.9, 100):
                drawing.dot(x.place(_place_of(share, x)), y.place(ms), f"mark {styles[peer]}",
                            f"{peer}: {'all' if share == 100 else f'{share:g} %'} within {number(ms)} ms")
    said = "; ".join(f"{peer}: " + ", ".join(f"{share:g} % within {number(ms)} ms" for share, ms in curve
                                             if share in (50, 90, 99, 99.9, 100)) for peer, curve in series)
    return drawing.render(f"{title}: lag percentiles", f"Lower is better. {said}.")


def _nines(share):
    """50 % is 0.3, 90 % is 1, 99 % is 2: each step right is ten times as rare."""
    return -math.log10(1 - share / 100)


def _place_of(share, x):
    return x.high if share >= 100 else _nines(share)


def against_rate(title, series, styles, highest):
    """series: (peer, [(rate, median_ms, p99_ms), ...]), rising; highest: {peer: the highest rate that it kept up with}."""
    points = [point for _, curve in series for point in curve]
    x = Scale(0, max([point[0] for point in points] + list(highest.values())) * 1.04, LEFT, RIGHT)
    y = Scale(*_range([value for point in points for value in point[1:] if value is not None]), BOTTOM, TOP, log=True)
    drawing = Drawing(HEIGHT)
    _frame(drawing, x, y, "transactions a second that were due", [(tick, tick_label(tick)) for tick in x.ticks()])
    for peer, rate in highest.items():
        drawing.line(x.place(rate), TOP, x.place(rate), BOTTOM, f"limit {styles[peer]}")
    for peer, curve in series:
        for column, style in ((2, "dashed"), (1, "line")):
            known = [point for point in curve if point[column] is not None]
            drawing.path([(x.place(point[0]), y.place(point[column])) for point in known], f"{style} {styles[peer]}")
            for point in known:
                drawing.dot(x.place(point[0]), y.place(point[column]), f"mark {styles[peer]}",
                            f"{peer} at {number(point[0])}/s: {'median' if column == 1 else '99 %'} {number(point[column])} ms")
    said = "; ".join(f"{peer} keeps up with {number(rate)} a second" for peer, rate in highest.items())
    return drawing.render(f"{title}: lag against rate", f"Solid: the median, dashed: the 99th percentile. {said}")


def _range(values):
    positive = [value for value in values if value > 0]
    return (min(positive), max(positive)) if positive else (0.1, 1)


def _frame(drawing, x, y, x_title, x_ticks):
    for tick in y.ticks():
        drawing.line(LEFT, y.place(tick), RIGHT, y.place(tick), "grid")
        drawing.text(LEFT - 6, y.place(tick) + 4, tick_label(tick), "tick", "end")
    drawing.text(4, 10, "milliseconds", "tick")
    for value, label in x_ticks:
        drawing.line(x.place(value), BOTTOM, x.place(value), BOTTOM + 4, "axis")
        drawing.text(x.place(value), BOTTOM + 16, label, "tick", "end" if x.place(value) > RIGHT - 12 else "middle")
    drawing.line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis")
    drawing.text((LEFT + RIGHT) / 2, HEIGHT - 3, x_title, "tick", "middle")
