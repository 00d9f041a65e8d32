"""Median, spread and ratios of few measurements; no more digits than they bear."""
import math
import statistics


def summary(values):
    """(median, least, most) of those that are not None; None without any."""
    values = [value for value in values if value is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


def ratios(values, base):
    """The summary of VALUES / BASE, pair by pair; None where there is no pair, or a base of 0."""
    pairs = [(value, other) for value, other in zip(values, base) if value is not None and other]
    return summary([value / other for value, other in pairs])


def digits(median, least, most):
    """How many digits behind the point MEDIAN bears: a tenth of the spread, three figures at most."""
    if median == 0:
        return 0
    figures = 2 - math.floor(math.log10(abs(median)))
    noise = 1 - math.floor(math.log10(most - least)) if most > least else figures
    return max(0, min(figures, noise))


def parts(found, whole=False):
    """A summary as two texts: the median, and "least – most" or nothing. WHOLE: counts, shown in full."""
    places = 0 if whole else digits(*found)
    median, least, most = (f"{value:,.{places}f}".replace(",", "\u2009") for value in found)
    return median, "" if least == most else f"{least} – {most}"


def shown(found, whole=False):
    """A summary as text: "1.42 (1.40 – 1.52)"; nothing without one."""
    if found is None:
        return ""
    median, spread = parts(found, whole)
    return f"{median} ({spread})" if spread else median


def shown_ratio(found):
    """A ratio as text, with two figures: "× 12 (11 – 13)"."""
    if found is None:
        return ""
    texts = [f"{value:.0f}" if value >= 9.95 else f"{value:.2g}" for value in found]
    return "× " + (texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]} – {texts[2]})")
