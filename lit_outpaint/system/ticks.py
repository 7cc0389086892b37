"""Where the marks of an axis stand."""

import math


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round, evenly spaced numbers that enclose the range: steps of 1, 2 or 5 times a power of ten.

    Args:
        low: least value.
        high: greatest value; a range without length gets some.
        wanted: about how many steps.
    """
    if high <= low:
        room = 0.1 * abs(low) or 1.0
        low, high = (0.0 if low == 0 else low - room), high + room
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]
