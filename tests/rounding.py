"""Bounds of rounding errors that follow from the arithmetic: no figure of one machine, no order of summation.

Running error analysis: a formula written with `Computed` numbers gives its exact value and how far a computed one may
be off.
Every bound is the worst case, componentwise and for any order of summation, with or without fused multiply-add:

    fl(x op y) = (x op y)(1 + e), |e| <= u        |fl(a . b) - a . b| <= gamma_n |a| . |b|,  gamma_n = n u / (1 - n u)

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., SIAM 2002), sections 2.2, 3.1 to 3.3. Errors grow
like n in it where they grow like sqrt(n) as a rule, so a bound of long sums is loose; what it cannot be is too tight.
Bounds are computed in float64, whose own rounding is that of one more summand.

Where sums cancel, worst cases follow each other until the bound says nothing. For those tests there is `likely_errors`:
the same formula with random errors in the place of bounds, a few times. That is a measure of size, not a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor


def unit_roundoff(dtype: torch.dtype) -> float:
    """Largest relative error of rounding to the nearest number of a type."""
    return torch.finfo(dtype).eps / 2


def gamma(n: float, unit: float) -> float:
    """Largest relative error that n roundings leave in a product of n factors (1 + e): n u / (1 - n u)."""
    if n * unit >= 1:
        raise ValueError(f"{n} roundings of {unit} leave no digit.")
    return n * unit / (1 - n * unit)


class Arithmetic(NamedTuple):
    """What a machine does."""

    unit: float
    """Largest relative error of an operation."""
    product: float = 0.0
    """The same of a product inside a matrix product."""
    biased: bool = False
    """Whether errors have one sign, so that those of a sum of n grow like n even if nothing is at its worst."""
    draw: torch.Generator | None = None
    """Draws errors, instead of bounds that grow."""

    def of_sum(self, n: float) -> float:
        """Relative error of a sum of products, of the sum of absolute values: gamma_n, or sqrt(n) u for errors drawn.

        Higham and Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41 (2019).
        """
        if self.draw is None or self.biased:
            return gamma(n, self.unit)
        return n**0.5 * self.unit


FLOAT64 = Arithmetic(unit_roundoff(torch.float64))
FLOAT32 = Arithmetic(unit_roundoff(torch.float32))
# Tensor cores cut digits where IEEE arithmetic rounds (u = 2^-23) and align up to 16 products with the largest one,
# which costs 16 u of their sum. float32 goes through three tf32 products: 3 n terms; the part of the factors that is
# left, cut at 2^-10 twice, and the product of the two small parts are lost: 3 x 2^-20.
TENSOR_CORES = Arithmetic(2.0**-23, 2.0**-19, biased=True)
TENSOR_CORES_TF32X3 = Arithmetic(3 * 2.0**-23, 2.0**-19 + 3 * 2.0**-20, biased=True)


def arithmetic_of(dtype: torch.dtype, device: str | torch.device = "cpu") -> Arithmetic:
    """How sums of numbers of a type are taken; those of half precision in float32."""
    if dtype == torch.float64:
        return FLOAT64
    if torch.device(device).type == "cuda":
        return TENSOR_CORES_TF32X3 if dtype == torch.float32 else TENSOR_CORES
    return FLOAT32


@dataclass(frozen=True)
class Computed:
    """What exact arithmetic gives and the largest error of what is computed; float64 tensors of one shape."""

    value: Tensor
    error: Tensor
    arithmetic: Arithmetic

    @classmethod
    def of(cls, exact: Any, arithmetic: Arithmetic, relative: float = 0.0) -> Computed:
        """An input, exact unless it has a relative error."""
        value = torch.as_tensor(exact).detach().cpu().to(torch.float64)
        return cls(value, relative * value.abs(), arithmetic)

    @property
    def size(self) -> Tensor:
        """Largest absolute value of a computed number."""
        return self.value.abs() + self.error

    def _lift(self, other: Any) -> Computed:
        return other if isinstance(other, Computed) else Computed.of(other, self.arithmetic)

    def _made(self, value: Tensor, carried: Tensor, own: Tensor) -> Computed:
        """A result with the errors of what it was made from, and at most `own` from the operation itself."""
        if self.arithmetic.draw is None:
            return Computed(value, carried + own, self.arithmetic)
        drawn = 2 * torch.rand(value.shape, generator=self.arithmetic.draw, dtype=torch.float64) - 1
        return Computed(value + own * drawn, torch.zeros_like(value), self.arithmetic)

    def _rounded(self, value: Tensor, error: Tensor, count: float = 1) -> Computed:
        return self._made(value, error, gamma(count, self.arithmetic.unit) * (value.abs() + error))

    def __matmul__(self, other: Any) -> Computed:
        one, two = self, self._lift(other)
        error = one.error @ two.size + one.value.abs() @ two.error
        product = self.arithmetic.product
        lost = self.arithmetic.of_sum(one.value.shape[-1]) * (1 + product) + product
        return self._made(one.value @ two.value, error, lost * (one.size @ two.size))

    def __mul__(self, other: Any) -> Computed:
        two = self._lift(other)
        error = self.error * two.size + self.value.abs() * two.error
        return self._rounded(self.value * two.value, error)

    def __add__(self, other: Any) -> Computed:
        two = self._lift(other)
        return self._rounded(self.value + two.value, self.error + two.error)

    def __neg__(self) -> Computed:
        return replace(self, value=-self.value)

    def __sub__(self, other: Any) -> Computed:
        return self + -self._lift(other)

    def __truediv__(self, other: Any) -> Computed:
        two = self._lift(other)
        least = (two.value.abs() - two.error).clamp(min=0)
        value = self.value / two.value
        return self._rounded(value, (self.error + value.abs() * two.error) / least)

    @property
    def mT(self) -> Computed:
        """Transpose of the last two axes."""
        return self.each(lambda tensor: tensor.mT)

    def each(self, change: Any) -> Computed:
        """A change of shape, or of which entries there are, of value and error alike."""
        return replace(self, value=change(self.value), error=change(self.error))

    def where(self, mask: Any) -> Computed:
        """Zero, exactly, where the mask is False."""
        return self.each(lambda tensor: torch.where(torch.as_tensor(mask).cpu().bool(), tensor, 0.0))

    def sum(self, dim: int | tuple[int, ...] = -1, *, keepdim: bool = False, terms: int | None = None) -> Computed:
        """Sum over axes, of at most `terms` numbers that are not zero (default: all)."""
        axes = (dim,) if isinstance(dim, int) else dim
        count = torch.tensor([self.value.shape[axis] for axis in axes]).prod().item() if terms is None else terms
        value, error, size = (x.sum(dim, keepdim=keepdim) for x in (self.value, self.error, self.size))
        return self._made(value, error, self.arithmetic.of_sum(max(count - 1, 1)) * size)

    def sum_to(self, shape: Iterable[int]) -> Computed:
        """Sum over the axes that broadcasting from `shape` made."""
        shape = tuple(shape)
        found = self
        while found.value.dim() > len(shape):
            found = found.sum(0)
        for axis, length in enumerate(shape):
            if length == 1 and found.value.shape[axis] > 1:
                found = found.sum(axis, keepdim=True)
        return found

    def abs(self) -> Computed:
        """Absolute value, exact."""
        return replace(self, value=self.value.abs())

    def square(self) -> Computed:
        """x^2."""
        return self * self

    def clamp_min(self, least: float) -> Computed:
        """max(x, least), exact; no error grows."""
        return replace(self, value=self.value.clamp(min=least))

    def rsqrt(self, at_least: Any = 0.0) -> Computed:
        """x^(-1/2) to two units in the last place, where the computed x is known to be `at_least` something."""
        low = torch.as_tensor(at_least, dtype=torch.float64) * (1 - gamma(4, self.arithmetic.unit))
        lost = torch.minimum(self.error, (self.value - low).clamp(min=0)) / self.value
        value = self.value.rsqrt()
        # x -> x^(-1/2) is convex: it grows most where x is least.
        return self._rounded(value, value * torch.expm1(-0.5 * torch.log1p(-lost)), 4)

    def sqrt(self) -> Computed:
        """x^(1/2), for the computed x not negative."""
        low = (self.value - self.error).clamp(min=0)
        value = self.value.clamp(min=0).sqrt()
        error = torch.where(value > 0, self.error / (value + low.sqrt()), self.error.sqrt())
        return self._rounded(value, error)

    def rounded(self, dtype: torch.dtype, count: int = 1, absolute: Any = None) -> Computed:
        """Rounded to a type `count` times; below its normal numbers the error is `absolute` (default: of the type)."""
        info = torch.finfo(dtype)
        least = info.smallest_normal * info.eps / 2 if absolute is None else absolute
        own = gamma(count, info.eps / 2) * self.size + count * torch.as_tensor(least)
        return self._made(self.value, self.error, own)

    def inexact(self, relative: float) -> Computed:
        """With one more relative error."""
        return self._made(self.value, self.error, relative * self.size)

    def share(self, found: Any, truth: Any = None) -> float:
        """Largest error of what was computed, as a share of its bound: at most 1 if all is well; infinite for NaN.

        `truth` is another way to the exact value, to be preferred where there is one.
        """
        found, truth = _wide(found), self.value if truth is None else _wide(truth)
        if not found.shape == truth.shape == self.value.shape:
            raise ValueError(f"Shapes are {tuple(found.shape)}, {tuple(truth.shape)} and {tuple(self.value.shape)}.")
        off = (found - truth).abs()
        shares = torch.where(off <= 0, 0.0, off / self.error)
        return float("inf") if bool(found.isnan().any()) else float(shares.max()) if shares.numel() else 0.0


def likely_errors(
    formula: Callable[[Arithmetic], dict[str, Computed]], arithmetic: Arithmetic, *, samples: int = 4
) -> dict[str, float]:
    """How far rounding moves the results of a formula, of some draws the largest absolute error of each.

    Every operation gets an error drawn from its interval. Their common effect, with all that cancels or is used twice,
    is then that of the formula itself. After D. S. Parker, Monte Carlo arithmetic (UCLA, 1997).
    """
    exact = formula(arithmetic)
    largest = dict.fromkeys(exact, 0.0)
    for seed in range(samples):
        drawn = formula(arithmetic._replace(draw=torch.Generator().manual_seed(seed)))
        for name, truth in exact.items():
            largest[name] = max(largest[name], float((drawn[name].value - truth.value).abs().max()))
    return largest


LIKELY = 5
"""How many times its likely size an error may have. Measured: 0.05 to 0.4 times, whatever the data; an error drawn is
larger than a real one, which seldom comes near the end of its interval."""


def assert_rounded(
    found: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    formula: Callable[[Arithmetic], dict[str, Computed]],
    arithmetic: Arithmetic,
    *,
    likely: bool = True,
) -> None:
    """Raise AssertionError where what was found is off the truth by more than rounding explains.

    Every entry must be within its bound, and with `likely` the largest error of a result within `LIKELY` times its
    likely size. Leave the second out where a result has few entries, or sums that may cancel to nothing.
    """
    bounds = formula(arithmetic)
    off = {name: bounds[name].share(found[name], exact) for name, exact in truth.items()}
    if not max(off.values()) <= 1:
        raise AssertionError(f"Errors as shares of their bounds: {off}")
    if not likely:
        return
    sizes = likely_errors(formula, arithmetic)
    errors = {name: float((_wide(found[name]) - _wide(exact)).abs().max()) for name, exact in truth.items()}
    if not all(error <= LIKELY * sizes[name] for name, error in errors.items()):
        raise AssertionError(f"Largest errors: {errors}; likely are {sizes}")


def _wide(tensor: Any) -> Tensor:
    return torch.as_tensor(tensor).detach().cpu().to(torch.float64)
