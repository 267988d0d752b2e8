"""Muon for the matrices of the blocks, AdamW for embeddings and norms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from organism.model import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3ForCausalLM


def orthogonalise(g: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Jordan et al. 2024) on a stack of matrices [n, rows, columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if tall else x


class Optimiser:
    """Muon for block matrices (stacked by shape), AdamW for embeddings and norms."""

    def __init__(self, model: Qwen3ForCausalLM, recipe: Recipe) -> None:
        import torch

        self.recipe = recipe
        named = list(model.named_parameters())
        self.matrices: dict[tuple[int, ...], list[torch.Tensor]] = {}
        self.rest: list[torch.Tensor] = []
        for name, p in named:
            if p.ndim == 2 and "layers." in name:
                self.matrices.setdefault(tuple(p.shape), []).append(p)
            else:
                self.rest.append(p)
        self.momentum = {
            shape: torch.zeros(len(ps), *shape, device=ps[0].device) for shape, ps in self.matrices.items()
        }
        self.first = [torch.zeros_like(p) for p in self.rest]
        self.second = [torch.zeros_like(p) for p in self.rest]

    def step(self, step: int) -> None:
        import torch

        r = self.recipe
        rate = min((step + 1) / r.warmup, (r.steps - step) / (r.decay * r.steps), 1.0)
        with torch.no_grad():
            for shape, ps in self.matrices.items():
                g = torch.stack([_grad(p) for p in ps])
                m = self.momentum[shape].mul_(0.95).add_(g)
                update = orthogonalise(g + 0.95 * m)
                size = r.muon_lr * rate * max(1.0, shape[0] / shape[1]) ** 0.5
                for p, u in zip(ps, update, strict=True):
                    p.mul_(1 - 0.1 * r.muon_lr * rate).sub_(size * u)
            for p, m, v in zip(self.rest, self.first, self.second, strict=True):
                g = _grad(p)
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.98).addcmul_(g, g, value=0.02)
                m_hat, v_hat = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.98 ** (step + 1))
                p.sub_(r.adam_lr * rate * m_hat / (v_hat.sqrt() + 1e-8))

    def state(self) -> dict[str, torch.Tensor]:
        """Named state tensors, the very ones that `step` updates."""
        out = {f"muon.{'x'.join(map(str, s))}": m for s, m in self.momentum.items()}
        out |= {f"first.{i}": m for i, m in enumerate(self.first)}
        return out | {f"second.{i}": m for i, m in enumerate(self.second)}


def _grad(p: torch.Tensor) -> torch.Tensor:
    assert p.grad is not None
    return p.grad
