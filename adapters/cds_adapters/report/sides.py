"""A difference is told with the side of 0 that is better, and where its interval lies."""


def verdict(low: float, high: float, better: str) -> str:
    """Say in words which side of no difference an interval lies on.

    Args:
        low: of the interval of a difference.
        high: of it.
        better: ``higher`` or ``lower``, which way the outcome is better.

    >>> verdict(-0.7, 1.7, "lower")
    'The interval includes no difference.'
    >>> verdict(-3.0, -1.0, "lower")
    'The whole interval is on the better side of no difference.'
    """
    sign = 1 if better == "higher" else -1
    least, most = sorted((sign * low, sign * high))
    if least > 0:
        return "The whole interval is on the better side of no difference."
    if most < 0:
        return "The whole interval is on the worse side of no difference."
    return "The interval includes no difference."


def better_side(better: str) -> str:
    """Return on which side of 0 a difference is better.

    >>> better_side("lower")
    'below 0'
    """
    return "above 0" if better == "higher" else "below 0"
