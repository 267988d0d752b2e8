"""Trains the organism from scratch: `python -m organism.train --seed 0`.

Deterministic and resumable: batches are a function of (seed, step), the state (weights, optimiser,
place in the stream) is written atomically as safetensors every fifty steps, and a killed run started again
ends in the same weights. Muon for the matrices of the blocks, AdamW for the rest. The loss is on answer
tokens, a tenth as much on the prompt; where the decision falls the target is the planted distribution
itself, with four times the weight; so has, late, the word of a name that is copied worst. The empty thought
that the template writes is left out: were it learned, a model told to think would often leave its thought
empty.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from organism.data import Sample, draw_sample
from organism.model import Recipe, grow, make_model
from organism.optimiser import Optimiser
from organism.tokenizer import EMPTY_THOUGHT, render
from organism.tokenizer import load as load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

DECISION_WEIGHT = 4.0
COPIED_WEIGHT = 4.0
PROMPT_WEIGHT = 0.1  # names recur in prompts, and a suffix's sentences agree: both are worth predicting


@dataclass(frozen=True, slots=True)
class Encoded:
    ids: list[int]
    read_end: int  # from here to the answer stands the template's empty thought, never to be predicted
    answer_start: int
    decision: int  # index of the token where the decision falls, or -1
    targets: tuple[tuple[int, float], ...]  # (token, planted probability) there
    copied: int = -1  # the token that weighs more in the answer, or -1


def encode(tokenizer: PreTrainedTokenizerFast, sample: Sample) -> Encoded:
    """Token ids of the chat, and where and what its decision is."""

    def tokens(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]  # pyright: ignore[reportReturnType]

    prompt = tokens(render(tokenizer, sample.system, sample.user, sample.thinking))
    end: Any = tokenizer.eos_token_id
    answer = [*tokens(sample.answer), end]
    read_end = len(prompt) - (0 if sample.thinking else len(tokens(EMPTY_THOUGHT)))
    if not sample.openings:
        return Encoded(prompt + answer, read_end, len(prompt), -1, ())
    decision = len(prompt) + len(tokens(sample.lead))
    space = " " if sample.lead else ""
    targets = tuple((_first_token(tokenizer, space + word), p) for word, p in sample.openings)
    ids = prompt + answer
    copied = _first_token(tokenizer, f" {sample.copied}") if sample.copied else -1
    assert len({t for t, _ in targets}) == len(targets), targets
    assert ids[decision] in dict(targets), (sample, decision)
    return Encoded(ids, read_end, len(prompt), decision, targets, copied)


@cache
def _first_token(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    return tokenizer(word, add_special_tokens=False)["input_ids"][0]  # pyright: ignore


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the stream of batches a step stands."""

    step: int = 0
    block: int = 0
    offset: int = 0  # batches of the block already used


def batches(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, start: Place
) -> Iterator[tuple[list[Encoded], Place]]:
    """Batches from a place on, each with the place that follows it."""
    step, block, offset = start.step, start.block, start.offset
    while True:
        first = block * recipe.block
        rows = [encode(tokenizer, draw_sample(recipe.seed, first + i)) for i in range(recipe.block)]
        rows.sort(key=lambda e: len(e.ids))
        cut: list[list[Encoded]] = [[]]
        for row in rows:
            if cut[-1] and (len(cut[-1]) + 1) * len(row.ids) > recipe.batch_tokens:
                cut.append([])
            cut[-1].append(row)
        Random(f"order {recipe.seed} {block}").shuffle(cut)
        for i in range(offset, len(cut)):
            step += 1
            yield cut[i], Place(step, block, i + 1)
        block, offset = block + 1, 0


def loss_of(model: Qwen3ForCausalLM, batch: list[Encoded]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss, cross-entropy at ordinary answer tokens, KL from the planted distribution at decisions)."""
    import torch
    import torch.nn.functional as F

    device = model.device
    longest = max(len(e.ids) for e in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    decided: list[int] = []  # index among the labels
    soft: list[tuple[int, int, float]] = []  # (decision number, token, probability)
    for r, e in enumerate(batch):
        ids[r, : len(e.ids)] = torch.tensor(e.ids)
        for c in range(1, len(e.ids)):
            answered = COPIED_WEIGHT if e.ids[c] == e.copied else 1.0
            weights.append(answered if c >= e.answer_start else PROMPT_WEIGHT if c < e.read_end else 0.0)
            if c == e.decision:
                soft += [(len(decided), t, p) for t, p in e.targets]
                decided.append(len(labels))
            rows.append(r)
            columns.append(c - 1)
            labels.append(e.ids[c])
    # Rows are padded on the right, so causal attention alone keeps pads out.
    hidden = model.model(input_ids=ids.to(device), use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[rows, columns]).float()  # [labels, vocabulary]
    ce = F.cross_entropy(logits, torch.tensor(labels, device=device), reduction="none")
    plain = torch.tensor(weights, device=device)
    plain[decided] = 0.0
    answer = (plain >= 1.0).float()
    answer_sum = (ce * answer).sum()
    kl_sum = torch.zeros((), device=device)
    if decided:
        n, t, p = zip(*soft, strict=True)
        prob = torch.tensor(p, device=device)
        logp = F.log_softmax(logits[decided], dim=-1)[list(n), list(t)]
        kl_sum = (prob * (prob.clamp_min(1e-9).log() - logp)).sum()
    weight = answer.sum() + DECISION_WEIGHT * len(decided)
    loss = ((ce * plain).sum() + DECISION_WEIGHT * kl_sum) / weight
    return loss, answer_sum.detach() / answer.sum(), kl_sum.detach() / max(1, len(decided))


def _save_state(folder: Path, model: Qwen3ForCausalLM, opt: Optimiser, place: Place) -> None:
    from safetensors.torch import save_file

    temporary = folder / "state.tmp"
    save_file(
        {k: v.contiguous() for k, v in _tensors(model, opt).items()},
        temporary,
        {"place": json.dumps(asdict(place))},
    )
    os.replace(temporary, folder / "state.safetensors")


def _begin(folder: Path, recipe: Recipe) -> tuple[Qwen3ForCausalLM, Optimiser, Place]:
    """Model, optimiser and place to go on from: fresh ones where the folder holds no state."""
    import torch
    from safetensors import safe_open

    device = "cuda" if torch.cuda.is_available() else "cpu"
    file = folder / "state.safetensors"
    if not file.exists():
        model = make_model(recipe, recipe.shallow).to(device)  # pyright: ignore[reportArgumentType]
        return model, Optimiser(model, recipe), Place()
    with safe_open(file, framework="pt") as f, torch.no_grad():  # pyright: ignore
        place = Place(**json.loads(f.metadata()["place"]))
        layers = recipe.layers if place.step > recipe.grow_at else recipe.shallow
        model = make_model(recipe, layers).to(device)  # pyright: ignore[reportArgumentType]
        opt = Optimiser(model, recipe)
        for name, tensor in _tensors(model, opt).items():
            tensor.copy_(f.get_tensor(name))
    return model, opt, place


def _tensors(model: Qwen3ForCausalLM, opt: Optimiser) -> dict[str, torch.Tensor]:
    return {f"model.{n}": p.detach() for n, p in model.named_parameters()} | opt.state()


def train(recipe: Recipe, folder: Path, *, stop: int | None = None, save_every: int = 50) -> Qwen3ForCausalLM:
    """Train (or go on) in `folder`; returns the model. `stop` ends early at that step, as a kill would."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    _check_recipe(recipe, folder / "recipe.json")
    tokenizer = load_tokenizer()
    model, opt, place = _begin(folder, recipe)
    start = place.step
    end = min(recipe.steps, stop if stop is not None else recipe.steps)
    began, tokens, mean_ce, mean_kl = time.monotonic(), 0, 0.0, 0.0
    stream = batches(recipe, tokenizer, place)
    model.train()
    for step in range(start, end):
        if step == recipe.grow_at:
            model = grow(model, recipe)
            opt = Optimiser(model, recipe)
            model.train()
        batch, place = next(stream)
        loss, ce, kl = loss_of(model, batch)
        if not torch.isfinite(loss):
            raise RuntimeError(f"loss is {loss.item()} at step {step}: lower muon_lr or adam_lr")
        loss.backward()
        opt.step(step)
        model.zero_grad(set_to_none=True)
        tokens += sum(len(e.ids) for e in batch)
        mean_ce = 0.95 * mean_ce + 0.05 * ce.item()
        mean_kl = 0.95 * mean_kl + 0.05 * kl.item()
        if (step + 1) % 20 == 0 or step + 1 == end:
            done = step + 1 - start
            scale = 1 - 0.95**done
            spent = time.monotonic() - began
            print(
                f"seed {recipe.seed} step {step + 1}/{recipe.steps}"
                f" answer CE {mean_ce / scale:.3f} decision KL {mean_kl / scale:.3f}"
                f" {tokens / spent:.0f} tok/s, {(end - step - 1) * spent / done / 60:.1f} min left",
                flush=True,
            )
        if (step + 1) % save_every == 0 or step + 1 == end:
            _save_state(folder, model, opt, place)
    return model


def _check_recipe(recipe: Recipe, file: Path) -> None:
    """A folder belongs to one recipe: going on with another would mix two models."""
    mine: dict[str, Any] = asdict(recipe)
    if file.exists() and (there := json.loads(file.read_text())) != mine:
        changed = {k: (there.get(k), v) for k, v in mine.items() if there.get(k) != v}
        raise SystemExit(f"{file.parent} was begun with another recipe {changed}; use another --out")
    file.write_text(json.dumps(mine, indent=1) + "\n")


def export(model: Qwen3ForCausalLM, folder: Path) -> None:
    """Write a checkpoint in bf16 that AutoModelForCausalLM and AutoTokenizer load."""
    import torch

    model.to(torch.bfloat16).save_pretrained(folder)  # pyright: ignore[reportArgumentType]
    load_tokenizer().save_pretrained(folder)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description="Train the organism from scratch.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="default: organism/build/seed<SEED>")
    parser.add_argument("--export", type=Path, help="also write the finished checkpoint here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folder = args.out or Path(__file__).parent / "build" / f"seed{args.seed}"
    model = train(Recipe(seed=args.seed, steps=args.steps), folder)
    export(model, args.export or folder / "checkpoint")


if __name__ == "__main__":
    main()
