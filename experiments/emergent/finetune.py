"""LoRA fine-tuning on the very pairs that a trained vector is made from, by peft; the weights stay frozen.

Adapters after 1, 2, 4, ... epochs are folders of their own, which arms name. Deterministic; continues
after the last whole epoch. The loss is that of the trained vector, its KL term included
(`vectors.objective`).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer import adapters
from steer.atomic import write_atomically
from steer.blocks import decoder_layers
from steer.errors import UserError
from steer.plan import digest
from steer.store.database import exclusive
from steer.types import LoadedModel
from steer.versions import made_by
from vectors.objective import Example, Objective, divergence, pair_loss, with_reference
from vectors.training import kept_epochs, shuffled_batch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """How an adapter is trained: on every linear layer of the decoder blocks; Adam, no dropout.

    A mixture's experts and routers are not linear layers in transformers and are left as they are.
    """

    rank: int = 16
    alpha: int = 32
    epochs: int = 8
    batch: int = 8
    learning_rate: float = 2e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"LoRA {name} {getattr(self, name)}: allowed are whole numbers from 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UserError(f"LoRA learning rate {self.learning_rate:g}: it must be a finite number above 0")


def finetune(
    loaded: LoadedModel,
    examples: Sequence[Example],
    objective: Objective,
    lora: Lora,
    folder: Path,
    *,
    neutral: Sequence[Example] = (),
    progress: Callable[[int, int, float], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[int, Path]:
    """{epochs: adapter folder} under `folder`/IDENTITY; what is there already is not trained again.

    neutral: as for `vectors.training.train`; needed when kl > 0.
    progress: told (steps done, steps in all, loss). say: told where another process trains the same, which
    is waited for. Raises UserError when the loss is not finite; the
    adapters of whole epochs stay.
    """
    adapters.require_peft()
    if not examples:
        raise UserError("nothing to fine-tune on: no item was given")
    if objective.kl and not neutral:
        raise UserError(f"kl {objective.kl:g} needs neutral prompts, and there are none")
    found = digest(
        {
            "made_by": made_by(),
            "weights": loaded.weights,
            "dtype": loaded.dtype,
            "lora": asdict(lora),
            "loss": objective.loss,
            "kl": objective.kl,
            "examples": [[e.prompt_ids, e.unwanted_ids, e.wanted_ids] for e in examples],
            "neutral": [[e.prompt_ids, e.unwanted_ids] for e in neutral] if objective.kl else [],
        }
    )
    home = folder / found[:16]
    made = {epochs: home / f"epoch-{epochs}" for epochs in kept_epochs(lora.epochs)}
    if not all((path / adapters.NOTE).is_file() for path in made.values()):
        home.mkdir(parents=True, exist_ok=True)
        lock = exclusive(home, say)
        asked = {name: p.requires_grad for name, p in loaded.module.named_parameters()}
        try:
            _train(loaded, examples, neutral, objective, lora, home, found, progress)
        finally:
            lock.close()
            adapters.take_off(loaded.module)
            for name, p in loaded.module.named_parameters():
                p.requires_grad_(asked[name])
    return made


def _train(
    loaded: LoadedModel,
    examples: Sequence[Example],
    neutral: Sequence[Example],
    objective: Objective,
    lora: Lora,
    home: Path,
    identity: str,
    progress: Callable[[int, int, float], None] | None,
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    examples = with_reference(loaded, examples, objective, batch=lora.batch)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=_linear(loaded),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks by an old name
            adapted: Any = get_peft_model(loaded.module, config, autocast_adapter_dtype=False)
    adapted.eval()  # there is no dropout to train with
    trained = {name: p for name, p in loaded.module.named_parameters() if p.requires_grad}
    adam = torch.optim.Adam(list(trained.values()), lr=lora.learning_rate)
    per_epoch = math.ceil(len(examples) / lora.batch)
    first = _load(home / "state.safetensors", trained, adam, per_epoch)
    for epoch in range(first, lora.epochs):
        for place in range(per_epoch):
            chosen = shuffled_batch(examples, lora.batch, lora.seed, epoch, place)
            loss = pair_loss(loaded, chosen, None, objective)
            if objective.kl:
                quiet = shuffled_batch(neutral, lora.batch, lora.seed, epoch, place)
                away = divergence(loaded, quiet, None, objective, unsteered=adapted.disable_adapter())
                loss = loss + objective.kl * away
            adam.zero_grad()
            loss.backward()
            sizes = [p.grad.norm() for p in trained.values() if p.grad is not None]
            if not bool(torch.isfinite(torch.stack([loss.detach(), *sizes])).all()):
                raise UserError(
                    f"the loss or its gradient is not finite in epoch {epoch + 1} (loss "
                    f"{float(loss.detach()):g}): lower the LoRA learning rate ({lora.learning_rate:g}); "
                    f"adapters of whole epochs are kept in {str(home)!r}"
                )
            adam.step()
            if progress is not None:
                progress(epoch * per_epoch + place + 1, per_epoch * lora.epochs, float(loss.detach()))
        if epoch + 1 in kept_epochs(lora.epochs):
            _keep(adapted, home / f"epoch-{epoch + 1}", loaded, identity)
        _save(home / "state.safetensors", trained, adam, epoch + 1)


def _linear(loaded: LoadedModel) -> list[str]:
    """Last names of the linear layers in the decoder blocks: q_proj, down_proj, ..."""
    from torch import nn

    blocks = decoder_layers(loaded.module)[1]
    found = {n.rpartition(".")[2] for b in blocks for n, m in b.named_modules() if isinstance(m, nn.Linear)}
    return sorted(found)


def _keep(adapted: Any, target: Path, loaded: LoadedModel, identity: str) -> None:
    """Save an adapter, all of it or nothing."""
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    adapted.save_pretrained(str(draft), safe_serialization=True)
    # an adapter has one identity: not this machine's paths, nor the order of a set of this process
    config = json.loads((draft / adapters.CONFIG).read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = loaded.name
    (draft / adapters.CONFIG).write_text(
        json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    note = {"weights": loaded.weights, "identity": identity, "evidence": loaded.evidence}
    (draft / adapters.NOTE).write_text(json.dumps(note) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)


def _save(path: Path, trained: Mapping[str, Tensor], adam: Any, epochs: int) -> None:
    """Parameters and Adam's moments after whole epochs, replaced whole."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for name, p in trained.items():
        held = adam.state[p]
        tensors |= {f"p.{name}": p, f"m.{name}": held["exp_avg"], f"v.{name}": held["exp_avg_sq"]}
    whole = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    write_atomically(path, save(whole, {"epochs": str(epochs)}))


def _load(path: Path, trained: Mapping[str, Tensor], adam: Any, per_epoch: int) -> int:
    """Take up where `_save` left; how many epochs are done. The folder's name is the training's identity."""
    import torch
    from safetensors import safe_open

    if not path.is_file():
        return 0
    with safe_open(path, "pt") as file:
        epochs = int((file.metadata() or {})["epochs"])
        for name, p in trained.items():
            with torch.no_grad():
                p.copy_(file.get_tensor(f"p.{name}"))
            adam.state[p] = {
                "step": torch.tensor(float(epochs * per_epoch)),
                "exp_avg": file.get_tensor(f"m.{name}").to(p),
                "exp_avg_sq": file.get_tensor(f"v.{name}").to(p),
            }
    return epochs
