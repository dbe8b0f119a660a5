#!/usr/bin/env python3
"""The coefficients of `gelu_short` (core/kernels/src/activation/math.rs), by linear programming.

An odd polynomial p of degree 17 with 1/2 + p(x) near the normal distribution Φ(x) on [-4.4, 4.4], 1/2 + p(4.4) = 1,
that makes the greatest error of x · (1/2 + p(x)) least. Prints the coefficients of p(x) / x in powers of x², the
highest first, and the error before and after they are rounded to f32.

    python scripts/goldens/gelu_fit.py

Needs numpy and scipy of requirements.txt.
"""

import math

import numpy
from scipy.optimize import linprog
from scipy.special import ndtr

END, TERMS = 4.4, 9


def main() -> None:
    # Points crowd at the ends, as the extremes of the error do.
    points = END * (1 - numpy.cos(numpy.linspace(0, math.pi / 2, 6001)))[1:]
    points = numpy.unique(numpy.concatenate([points, END - points]))
    # Columns of one size: (x / END) to odd powers; the last unknown is the error.
    powers = (points[:, None] / END) ** numpy.arange(1, 2 * TERMS, 2)
    rows = points[:, None] * powers
    wanted = points * (ndtr(points) - 0.5)
    ones = numpy.ones((len(points), 1))
    result = linprog(
        c=[0] * TERMS + [1],
        A_ub=numpy.block([[rows, -ones], [-rows, -ones]]),
        b_ub=numpy.concatenate([wanted, -wanted]),
        A_eq=[[1] * TERMS + [0]],
        b_eq=[0.5],
        bounds=(None, None),
        method="highs",
    )
    if result.status != 0:
        raise SystemExit(f"sotto: the program has no solution: {result.message}")
    coefficients = (result.x[:TERMS] / END ** numpy.arange(1, 2 * TERMS, 2))[::-1]
    rounded = coefficients.astype(numpy.float32)
    for value in rounded:
        print(f"{value:.8e}")
    error = numpy.abs(points * (points * numpy.polyval(rounded.astype(float), points**2)) - wanted).max()
    print(f"error {result.x[-1]:.2e}, rounded {error:.2e}")


if __name__ == "__main__":
    main()
