"""`torch.vmap` for operators whose first axis is a batch: the mapped axis joins it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def over_batch(
    operator: Callable[..., Any],
    *,
    batched: int,
    dense: tuple[int, ...] = (),
    dense_gradient: tuple[int, int] | None = None,
) -> Callable[..., Any]:
    """Rule that maps `operator` over one more axis.

    Parameters
    ----------
    operator
        Takes its tensors by position and returns tensors with the batch on their first axis.
    batched
        The first `batched` arguments are tensors (batch, ...) or None.
    dense
        Positions of tensors (1 or batch, ...) or None.
    dense_gradient
        Position of an output that is the gradient of a dense tensor, and that tensor's position.

    Raises
    ------
    NotImplementedError
        For listed pairs or a seed that differ along the mapped axis, and for a sparse prior, whose gradient is a sum
        over the batch.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        size = info.batch_size
        joined = list(arguments)
        for place, (argument, axis) in enumerate(zip(arguments, in_dims, strict=True)):
            if not isinstance(argument, Tensor):
                continue
            if place < batched or place in dense:
                moved = argument.expand(size, *argument.shape) if axis is None else argument.movedim(axis, 0)
                if place in dense:
                    moved = moved.expand(size, joined[0].shape[0] // size, *moved.shape[2:])
                joined[place] = moved.flatten(0, 1)
            elif axis is not None:
                raise NotImplementedError("torch.vmap cannot map listed pairs or dropout; loop over them.")
            elif argument.is_floating_point():
                raise NotImplementedError("torch.vmap cannot map attention with a sparse prior; give a dense one.")
        outputs = [_split(output, size) for output in operator(*joined)]
        if dense_gradient is not None and arguments[dense_gradient[1]] is not None:
            place, source = dense_gradient
            axis = in_dims[source]
            shared = arguments[source].shape[0] if axis is None else arguments[source].movedim(axis, 0).shape[1]
            if shared == 1 and outputs[place].dim() > 2:
                outputs[place] = outputs[place].sum(1, keepdim=True)
        return tuple(outputs), (0,) * len(outputs)

    return rule


def _split(output: Tensor, size: int) -> Tensor:
    # An empty vector stands for a gradient that was not asked for.
    return output.unflatten(0, (size, -1)) if output.dim() > 1 else output.expand(size, *output.shape)
