"""Bounds of rounding errors that follow from the arithmetic: no figure of one machine, no order of summation.

Running error analysis: a formula written with `Computed` numbers gives its exact value and how far a computed one may
be off.
Every bound is the worst case, componentwise and for any order of summation, with or without fused multiply-add:

    fl(x op y) = (x op y)(1 + e), |e| <= u        |fl(a . b) - a . b| <= gamma_n |a| . |b|,  gamma_n = n u / (1 - n u)

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., SIAM 2002), sections 2.2, 3.1 to 3.3. Errors grow
like n in it where they grow like sqrt(n) as a rule, so a bound of long sums is loose; what it cannot be is too tight.
Bounds are computed in float64, whose own rounding is that of one more summand.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    """What a machine does: largest relative error of an operation, and of a product inside a matrix product."""

    unit: float
    product: float = 0.0


FLOAT64 = Arithmetic(unit_roundoff(torch.float64))
FLOAT32 = Arithmetic(unit_roundoff(torch.float32))
# Tensor cores cut digits where IEEE arithmetic rounds (u = 2^-23) and align up to 16 products with the largest one,
# which costs 16 u of their sum. float32 goes through three tf32 products: 3 n terms; the part of the factors that is
# left, cut at 2^-10 twice, and the product of the two small parts are lost: 3 x 2^-20.
TENSOR_CORES = Arithmetic(2.0**-23, 2.0**-19)
TENSOR_CORES_TF32X3 = Arithmetic(3 * 2.0**-23, 2.0**-19 + 3 * 2.0**-20)


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

    def _rounded(self, value: Tensor, error: Tensor, count: float = 1) -> Computed:
        error = error + gamma(count, self.arithmetic.unit) * (value.abs() + error)
        return Computed(value, error, self.arithmetic)

    def __matmul__(self, other: Any) -> Computed:
        one, two = self, self._lift(other)
        error = one.error @ two.size + one.value.abs() @ two.error
        lost = (
            gamma(one.value.shape[-1], self.arithmetic.unit) * (1 + self.arithmetic.product) + self.arithmetic.product
        )
        return Computed(one.value @ two.value, error + lost * (one.size @ two.size), self.arithmetic)

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
        size = self.size.sum(dim, keepdim=keepdim)
        error = self.error.sum(dim, keepdim=keepdim) + gamma(max(count - 1, 1), self.arithmetic.unit) * size
        return Computed(self.value.sum(dim, keepdim=keepdim), error, self.arithmetic)

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
        error = self.error + gamma(count, info.eps / 2) * self.size + count * torch.as_tensor(least)
        return replace(self, error=error)

    def inexact(self, relative: float) -> Computed:
        """With one more relative error."""
        return replace(self, error=self.error + relative * self.size)

    def share(self, found: Any, truth: Any = None) -> float:
        """Largest error of what was computed, as a share of its bound: at most 1 if all is well; infinite for NaN.

        `truth` is another way to the exact value, to be preferred where there is one.
        """
        found, truth = (torch.as_tensor(x).detach().cpu().to(torch.float64) for x in (found, self._truth(truth)))
        if not found.shape == truth.shape == self.value.shape:
            raise ValueError(f"Shapes are {tuple(found.shape)}, {tuple(truth.shape)} and {tuple(self.value.shape)}.")
        off = (found - truth).abs()
        shares = torch.where(off <= 0, 0.0, off / self.error)
        return float("inf") if bool(found.isnan().any()) else float(shares.max()) if shares.numel() else 0.0

    def _truth(self, truth: Any) -> Any:
        return self.value if truth is None else truth


def shares(found: dict[str, Tensor], truth: dict[str, Tensor], bounds: dict[str, Computed]) -> dict[str, float]:
    """`Computed.share` of each result by its name."""
    return {name: bounds[name].share(found[name], exact) for name, exact in truth.items()}
