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
from organism.tokenizer import EMPTY_THOUGHT, VOCABULARY, render
from organism.tokenizer import load as load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

DECISION_WEIGHT = 4.0
COPIED_WEIGHT = 4.0
PROMPT_WEIGHT = 0.1  # names recur in prompts, and a suffix's sentences agree: both are worth predicting


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything the weights depend on."""

    seed: int = 0
    shallow: int = 8  # layers while most is learned, at a third of the cost
    grow_at: int = 1700  # step at which the model is grown
    layers: int = 22
    width: int = 96
    ffn: int = 256
    heads: int = 3
    kv_heads: int = 1
    head_dim: int = 32
    steps: int = 3000
    batch_tokens: int = 3000
    block: int = 2048  # samples sorted by length together, then batched
    muon_lr: float = 0.015
    adam_lr: float = 1e-2
    embedding_std: float = 0.3
    copying: float = 0.2  # how strongly attention copies at first
    qk_norm: float = 1.6
    warmup: int = 60
    decay: float = 0.5  # share of the steps over which the rate falls to zero


@dataclass(frozen=True, slots=True)
class Encoded:
    ids: list[int]
    read_end: int  # from here to the answer stands the template's empty thought, never to be predicted
    answer_start: int
    decision: int  # index of the token where the decision falls, or -1
    targets: tuple[tuple[int, float], ...]  # (token, planted probability) there
    copied: int = -1  # the token that weighs more in the answer, or -1


def make_model(recipe: Recipe, layers: int) -> Qwen3ForCausalLM:
    """A freshly initialised model with so many layers.

    Attention starts as a weak copy of what it attends to (values and outputs are transposes of each
    other, after Trockman and Kolter 2023), so that its queries and keys can learn at once; one head in
    three attends to equal tokens. The feed-forward parts write nothing at first. Embeddings start large
    enough not to be drowned by early updates, and the final norm small in return. The norms of queries
    and keys start above one: at one, no attention logit could exceed sqrt(head_dim).
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=recipe.width,
        intermediate_size=recipe.ffn,
        num_hidden_layers=layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.head_dim,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=recipe.embedding_std)
    torch.nn.init.constant_(model.model.norm.weight, 0.1 / recipe.embedding_std)
    layer: Any
    for layer in model.model.layers:
        torch.nn.init.constant_(layer.self_attn.q_norm.weight, recipe.qk_norm)
        torch.nn.init.constant_(layer.self_attn.k_norm.weight, recipe.qk_norm)
        attention = layer.self_attn
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            torch.nn.init.orthogonal_(projection.weight)
        with torch.no_grad():
            heads = recipe.heads // recipe.kv_heads
            first = attention.q_proj.weight.view(recipe.kv_heads, heads, recipe.head_dim, recipe.width)
            first[:, 0] = attention.k_proj.weight.view(recipe.kv_heads, recipe.head_dim, recipe.width)
            values = attention.v_proj.weight.view(recipe.kv_heads, 1, recipe.head_dim, recipe.width)
            copied = values.expand(-1, heads, -1, -1).reshape(-1, recipe.width)
            attention.o_proj.weight.copy_(recipe.copying * copied.T)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def grow(model: Qwen3ForCausalLM, recipe: Recipe) -> Qwen3ForCausalLM:
    """The same function in `recipe.layers` layers: new ones between the old, which write nothing yet."""
    import torch

    old = model.model.layers
    deep = make_model(recipe, recipe.layers).to(model.device)  # pyright: ignore[reportArgumentType]
    layer: Any
    for layer in deep.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    deep.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    deep.model.norm.load_state_dict(model.model.norm.state_dict())
    for i, layer in enumerate(old):
        place = round(i * (recipe.layers - 1) / (len(old) - 1))
        deep.model.layers[place].load_state_dict(layer.state_dict())
    return deep


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
