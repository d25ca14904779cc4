"""What `benchmarks/attention.py` compares, and the gate that each has to pass before it is timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grn.kernels import spherical_attention

EPS = 1e-6
# Largest error of output and gradients as a share of the largest true entry, by dtype.
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 3e-2, torch.float16: 5e-3}
GATE_GENES = 130


@dataclass(frozen=True)
class Extra:
    """What goes with q, k and v: pairs that may not attend, and the same or another mask written out."""

    exclude: tuple[Tensor, Tensor] | None = None
    mask: Tensor | None = None


Run = Callable[[Tensor, Tensor, Tensor, Extra], Tensor]


@dataclass(frozen=True)
class Provider:
    """One way to compute attention.

    Attributes
    ----------
    run
        (q, k, v, extra) -> output; tensors are (batch, heads, genes, head_dim).
    form
        Whose cost is modelled for it: "linear", "flashsign" or "reference".
    rule
        How scores become weights: "sphere", "softmax" or "sigmoid".
    options
        Those it can take of "plain", "own" (no self-edge) and "mask" (dense).
    dtypes
        Those it can take.
    pairs
        Whether it takes a list of excluded pairs; otherwise it gets a mask that says the same.
    """

    run: Run
    form: str
    rule: str = "sphere"
    options: tuple[str, ...] = ("plain", "own", "mask")
    dtypes: tuple[torch.dtype, ...] = (torch.bfloat16, torch.float32)
    pairs: bool = False


def make_extra(option: str, n: int, device: str, *, written_out: bool) -> Extra:
    """Exclusions or mask of an option; `written_out` gives the own keys as a mask, for those that know no pairs."""
    if option == "plain":
        return Extra()
    if option == "own" and not written_out:
        own = torch.arange(n, device=device)
        return Extra(exclude=(own, own))
    if option == "own":
        return Extra(mask=~torch.eye(n, dtype=torch.bool, device=device))
    generator = torch.Generator().manual_seed(n)
    mask = torch.rand(n, n, generator=generator) < 0.5
    return Extra(mask=mask.fill_diagonal_(True).to(device))


def _form(backend: str) -> Run:
    def run(q: Tensor, k: Tensor, v: Tensor, extra: Extra) -> Tensor:
        more = {} if extra.mask is None else {"pair_mask": extra.mask}
        return spherical_attention(q, k, v, exclude=extra.exclude, eps=EPS, backend=backend, **more)

    return run


def written_out(q: Tensor, k: Tensor, v: Tensor, extra: Extra) -> Tensor:
    """The definition in PyTorch operations, in the dtype of its inputs."""
    scores = q @ k.transpose(-1, -2)
    if extra.mask is not None:
        scores = scores * extra.mask
    square = (scores * scores).sum(-1, keepdim=True, dtype=torch.promote_types(q.dtype, torch.float32))
    return (scores * (square + EPS * k.shape[-2] * k.shape[-1]).rsqrt().to(q.dtype)) @ v


def _softmax(q: Tensor, k: Tensor, v: Tensor, extra: Extra) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=extra.mask)


def providers(device: str) -> tuple[dict[str, Provider], dict[str, str]]:
    """What can be run on this device, and why the rest cannot."""
    found = {
        "linear": Provider(_form("linear"), "linear", options=("plain", "own"), pairs=True),
        "flashsign": Provider(_form("flashsign"), "flashsign", pairs=True),
        "eager": Provider(written_out, "reference"),
        "compiled": Provider(torch.compile(written_out), "reference", options=("plain",)),
        "sdpa": Provider(_softmax, "flashsign", "softmax"),
    }
    missing = {}
    for name, module in (("flash-attn", "flash_attn"), ("triton-sigmoid", "triton_sigmoid")):
        if device != "cuda":
            missing[name] = "needs CUDA"
        elif importlib.util.find_spec(module) is None:
            missing[name] = f"{module} is not installed"
        else:
            try:
                found[name] = _outside(name)
            except (ImportError, RuntimeError, OSError) as error:
                missing[name] = f"{module} could not be imported: {error}"
    return found, missing


def _outside(name: str) -> Provider:
    """Libraries whose tensors are (batch, genes, heads, head_dim) and in half precision."""
    if name == "flash-attn":
        from flash_attn import flash_attn_func as function

        rule = "softmax"
    else:
        from triton_sigmoid import sigmoid_attention as function

        rule = "sigmoid"

    def run(q: Tensor, k: Tensor, v: Tensor, extra: Extra) -> Tensor:
        output: Tensor = function(*(tensor.transpose(1, 2) for tensor in (q, k, v)))
        return output.transpose(1, 2)

    return Provider(run, "flashsign", rule, ("plain",), (torch.bfloat16,))


def truth(rule: str, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The attention by its definition; call it with float64."""
    scores = q @ k.transpose(-1, -2)
    if rule == "sphere":
        scores = scores if mask is None else scores.masked_fill(~mask, 0.0)
        square = scores.square().sum(-1, keepdim=True) + EPS * k.shape[-2] * k.shape[-1]
        return scores / square.sqrt() @ v
    scores = scores / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) if rule == "softmax" else scores.sigmoid()) @ v


def inputs(n: int, d: int, batch: int, heads: int, dtype: torch.dtype, device: str) -> tuple[Tensor, ...]:
    """q, k, v that ask for gradients, and a gradient of the output; independent standard normal numbers."""
    generator = torch.Generator(device).manual_seed(n + d)
    shape = (batch, heads, n, d)
    tensors = [torch.randn(shape, generator=generator, device=device).to(dtype) for _ in range(4)]
    return (*(tensor.requires_grad_() for tensor in tensors[:3]), tensors[3])


def gate(provider: Provider, option: str, d: int, dtype: torch.dtype, device: str) -> tuple[bool, float]:
    """Whether output and gradients agree with the definition in float64, and the largest relative error.

    An error is the largest difference as a share of the largest true entry; one that is not finite fails.
    """
    q, k, v, d_output = inputs(GATE_GENES, d, 2, 2, dtype, device)
    output = provider.run(q, k, v, make_extra(option, GATE_GENES, device, written_out=not provider.pairs))
    found = [output, *torch.autograd.grad(output, (q, k, v), d_output)]
    exact = [tensor.detach().double().requires_grad_() for tensor in (q, k, v)]
    mask = make_extra(option, GATE_GENES, device, written_out=True).mask
    true_output = truth(provider.rule, *exact, mask)
    true = [true_output, *torch.autograd.grad(true_output, exact, d_output.double())]
    errors = [
        float((a.detach().double() - b.detach()).abs().max() / b.detach().abs().max())
        for a, b in zip(found, true, strict=True)
    ]
    worst = max(errors, key=lambda error: error if error == error else float("inf"))
    return worst <= TOLERANCES[dtype], worst
