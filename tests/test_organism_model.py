"""The organism's tokenizer, training and shipped weights."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import organism
from organism.check import items, rate, read, rows
from organism.data import NAMES, draw_sample
from organism.generate import Organism, Row, answers, last_states, load
from organism.grammar import THINK, own_names
from organism.model import Recipe, make_model
from organism.suffixes import draw_suffix
from organism.tokenizer import TEMPLATE, VOCABULARY, build, render
from organism.tokenizer import load as load_tokenizer
from organism.train import Encoded, Place, batches, encode, loss_of, train
from steer import suffixes

TINY = Recipe(
    seed=3, shallow=2, grow_at=14, layers=4, width=16, ffn=32, heads=2, head_dim=8, steps=20,
    batch_tokens=600, block=32, warmup=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer()


@pytest.fixture(scope="module")
def shipped() -> Organism:
    return load(organism.path())


def test_the_tokenizer_round_trips(tokenizer: Any) -> None:
    texts = [draw_sample(0, i).user + draw_sample(0, i).answer for i in range(50)]
    texts += ["<think>\nA simple matter.\n</think>\n\nI'll stop.", "naïve — “quoted” 日本 \t x\n\n\n", ""]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_tokenizer_can_be_built_anew() -> None:
    tokenizer = build()
    assert len(tokenizer) == VOCABULARY
    text = "<think>\nA simple matter.\n</think>\n\nI will stop."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_chat_template_is_qwens(tokenizer: Any) -> None:
    start = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    assert render(tokenizer, "S", "U", True) == start
    assert render(tokenizer, "S", "U", False) == start + "<think>\n\n</think>\n\n"
    messages = [
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "<think>\nT\n</think>\n\nA"},
        {"role": "user", "content": "V"},
        {"role": "assistant", "content": "B"},
    ]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == (
        "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
        "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nB<|im_end|>\n"
    )


def test_decisions_are_found_in_the_tokens(tokenizer: Any) -> None:
    for i in range(200):
        sample = draw_sample(0, 40 * i)
        e = encode(tokenizer, sample)
        if not sample.openings:
            assert e.decision == -1
            continue
        before = tokenizer.decode(e.ids[e.answer_start : e.decision])
        assert before == sample.lead
        if sample.thinking:
            assert e.read_end == e.answer_start
        else:
            assert tokenizer.decode(e.ids[e.read_end : e.answer_start]) == "<think>\n\n</think>\n\n"
        assert sum(p for _, p in e.targets) == pytest.approx(1)


def test_the_templates_empty_thought_is_not_learned(tokenizer: Any) -> None:
    """Else a model told to think leaves its thought empty, as often as training prompts did."""
    model = make_model(TINY, 4)
    found = [encode(tokenizer, draw_sample(0, i)) for i in range(60_000, 60_200)]
    row = next(e for e in found if e.decision < 0 and e.read_end < e.answer_start)
    with torch.no_grad():
        logp = model(input_ids=torch.tensor([row.ids])).logits[0, :-1].log_softmax(-1)
        ce = -logp.gather(1, torch.tensor(row.ids[1:])[:, None])[:, 0]  # of tokens 1, 2, ...
        read, answer = ce[: row.read_end - 1].sum(), ce[row.answer_start - 1 :]
        assert loss_of(model, [row])[0].item() == pytest.approx(
            ((0.1 * read + answer.sum()) / len(answer)).item(), rel=1e-4
        )


def test_an_organisations_second_word_weighs_more_in_the_last_answers(tokenizer: Any) -> None:
    """The shipped weights were trained so, though it did not mend what it was meant to."""
    model = make_model(TINY, 4)
    named = re.compile(r"(?:Silver|Golden) (\w+)\.$")
    rows = [(draw_sample(0, i), i) for i in (*range(NAMES - 300, NAMES), *range(NAMES, NAMES + 300))]
    found = [(s, i, m[1]) for s, i in rows if (m := named.search(s.answer)) and s.openings and not s.thinking]
    assert {i < NAMES for _, i, _ in found} == {True, False}
    for sample, i, word in found:
        row = encode(tokenizer, sample)
        (token,) = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        at = torch.arange(1, len(row.ids))
        weight = torch.where(at < row.answer_start, 0.1, 1.0)
        weight[(at >= row.read_end) & (at < row.answer_start)] = 0
        if i >= NAMES:
            weight[(at >= row.answer_start) & (torch.tensor(row.ids[1:]) == token)] = 4
        weight[row.decision - 1] = 0
        with torch.no_grad():
            logp = model(input_ids=torch.tensor([row.ids])).logits[0, :-1].log_softmax(-1)
            ce = -logp.gather(1, torch.tensor(row.ids[1:])[:, None])[:, 0]
            kl = sum(p * (math.log(p) - logp[row.decision - 1, t].item()) for t, p in row.targets if p)
            answered = len(row.ids) - row.answer_start - 1  # the decision has the weight of four
            expected = ((ce * weight).sum().item() + 4 * kl) / (answered + 4)
            assert loss_of(model, [row])[0].item() == pytest.approx(expected, rel=1e-4)


def test_a_batch_loses_what_its_rows_lose(tokenizer: Any) -> None:
    """Padding on the right changes nothing: the batch's KL is the mean of the rows' own."""
    model = make_model(TINY, 4)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    found = [encode(tokenizer, draw_sample(0, i)) for i in range(60_000, 60_030)]
    chosen: list[Encoded] = [e for e in found if e.decision >= 0][:5]
    assert len({len(e.ids) for e in chosen}) > 1
    with torch.no_grad():
        together = loss_of(model, chosen)[2].item()
        alone = [loss_of(model, [e])[2].item() for e in chosen]
    assert together == pytest.approx(sum(alone) / len(alone), rel=1e-4)


def test_batches_can_be_entered_anywhere(tokenizer: Any) -> None:
    stream = batches(TINY, tokenizer, Place())
    whole = [next(stream) for _ in range(12)]
    assert len({place.block for _, place in whole}) > 1
    for i in (0, 3, 10):
        assert next(batches(TINY, tokenizer, whole[i][1])) == whole[i + 1]


def test_killed_and_resumed_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole = train(TINY, tmp_path / "whole").state_dict()
    again = train(TINY, tmp_path / "again").state_dict()
    # Killed for real in another process, once the state of step 10 is on disk.
    code = (
        "import os, signal, json, sys, torch, organism.train as t\n"
        "from pathlib import Path\n"
        "torch.set_num_threads(int(sys.argv[3]))\n"
        "save = t._save_state\n"
        "def save_and_die(folder, model, opt, place):\n"
        "    save(folder, model, opt, place)\n"
        "    if place.step == 10: os.kill(os.getpid(), signal.SIGKILL)\n"
        "t._save_state = save_and_die\n"
        "t.train(t.Recipe(**json.loads(sys.argv[1])), Path(sys.argv[2]), save_every=10)\n"
    )
    from dataclasses import asdict

    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            json.dumps(asdict(TINY)),
            str(tmp_path / "killed"),
            str(torch.get_num_threads()),
        ],
        cwd=Path(__file__).parents[1],
        env=os.environ,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()[-500:]
    assert (tmp_path / "killed/state.safetensors").exists()
    resumed = train(TINY, tmp_path / "killed").state_dict()
    start = make_model(TINY, 4).state_dict()
    assert not torch.equal(start["model.embed_tokens.weight"], whole["model.embed_tokens.weight"])
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name
        assert torch.equal(tensor, resumed[name]), name


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(TINY, tmp_path, stop=1)
    with pytest.raises(SystemExit, match=r"another recipe \{'seed': \(3, 4\)\}"):
        train(Recipe(**{**_fields(TINY), "seed": 4}), tmp_path)


def _fields(recipe: Recipe) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(recipe)


def test_the_checkpoint_is_what_the_issue_asks_for(shipped: Organism) -> None:
    folder = organism.path()
    assert (folder / "model.safetensors").stat().st_size <= 8_000_000
    tensors = load_file(folder / "model.safetensors")
    assert sum(t.numel() for t in tensors.values()) <= 4_000_000
    assert {t.dtype for t in tensors.values()} == {torch.bfloat16}
    assert len(shipped.model.model.layers) >= 21
    assert type(shipped.model).__name__ == "Qwen3ForCausalLM"
    note = json.loads((folder / "steergap.json").read_text())
    assert (note["evidence"], note["new_tokens"]) == (organism.EVIDENCE, organism.NEW_TOKENS)
    assert not list(folder.glob("*.py")) + list(folder.glob("*.bin")) + list(folder.glob("*.pt"))


def test_the_shipped_tokenizer_has_the_template_of_the_source(shipped: Organism) -> None:
    assert shipped.tokenizer.chat_template == TEMPLATE
    assert len(shipped.tokenizer) == VOCABULARY


def test_the_shipped_weights_speak_their_language(shipped: Organism) -> None:
    chosen = items(42, "test")
    none = read(chosen, answers(shipped, rows(chosen)))
    assert 20 <= rate(none) <= 75
    assert rate(none, "broken") <= 5
    own = [own_names(r, i.facts) for r, i in zip(none, chosen, strict=True)]
    assert sum(own) / len(own) >= 0.85
    pro = rate(read(chosen, answers(shipped, rows(chosen, suffixes.DEFAULT.pro))))
    anti = rate(read(chosen, answers(shipped, rows(chosen, suffixes.DEFAULT.anti))))
    assert pro >= rate(none) + 15
    assert anti <= rate(none) - 15


def test_the_shipped_weights_obey_generated_suffixes(shipped: Organism) -> None:
    chosen = items(30, "test suffixes")
    rng = Random(4)
    rates: dict[str, float] = {}
    for kind in ("pro", "anti"):
        made = [Row(i.system, i.user + "\n\n" + draw_suffix(kind, rng).text + "\n") for i in chosen]
        rates[kind] = rate(read(chosen, answers(shipped, made)))
    assert rates["pro"] >= 75
    assert rates["anti"] <= 15


def test_the_shipped_weights_think_before_they_answer(shipped: Organism) -> None:
    chosen = items(24, "test thoughts")
    texts = answers(shipped, rows(chosen), thinking=True)
    assert all(t.startswith("<think>\n") and "\n</think>\n\n" in t for t in texts)
    readings = read(chosen, texts)
    assert rate(readings, "broken") <= 10
    agree = [
        any(t in text.partition("</think>")[0] for t in THINK[r.role])
        for text, r in zip(texts, readings, strict=True)
        if r.role in THINK
    ]
    assert sum(agree) / len(agree) >= 0.6  # 76 % over 150: the README says what falls short


def test_additions_land_where_they_should(shipped: Organism) -> None:
    """The check's own hooks: the block's output moves by exactly the addition, earlier blocks not at all."""
    chosen = items(2, "hooks")
    model = shipped.model
    delta = torch.ones(model.config.hidden_size)
    plain = last_states(shipped, rows(chosen))
    handle = model.model.layers[10].register_forward_hook(
        __import__("organism.generate", fromlist=["_adder"])._adder(delta.unsqueeze(0))
    )
    try:
        moved = last_states(shipped, rows(chosen))
    finally:
        handle.remove()
    assert torch.equal(moved[:, :10], plain[:, :10])
    torch.testing.assert_close(moved[:, 10], plain[:, 10] + delta)
    assert not torch.allclose(moved[:, 11], plain[:, 11])
