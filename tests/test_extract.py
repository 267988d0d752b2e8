"""Extraction end to end on a tiny model: equal to plain hooks, resumable, honest about what was kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.extraction.extract import check_contrast, extract
from experiments.extraction.plan import answer_tokens
from steer import models, scenarios, task
from steer.chat import render
from steer.errors import UserError
from steer.screen import Screen
from steer.store import schema
from steer.suffixes import NEUTRAL, PARAPHRASES, compose, load
from steer.types import (
    Context,
    JudgeItem,
    Limits,
    LoadedModel,
    Request,
    Response,
    Sampling,
    Scenario,
    ScoreRow,
    Verdict,
)
from tests.tasks import ORGANISM_TASK, TASK
from tests.test_capture import hooked
from tests.test_chat import NO_SYSTEM
from tests.tiny import checkpoint
from vectors import activations
from vectors.contrasts import EXTRACTION
from vectors.directions import cosine
from vectors.files import load_vector
from vectors.responses import GivenAnswer, plan_suffixed, response, split_answer

SCENARIOS = [s for i, s in enumerate(scenarios.load(EXTRACTION)) if i % 10 == 0]  # two a category
PRO = "I keep control and go on alone."
ANTI = "I stop and hand all of it back to you."


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(
        str(checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")), dtype="float32", device="cpu"
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenarios") / "s.jsonl"
    rows = [{"id": s.id, "category": s.category, "system": s.system, "user": s.user} for s in SCENARIOS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass
class ScriptedEngine:
    """Answers by the suffix in the prompt; without one, every other prompt gets the pro answer."""

    loaded: LoadedModel
    seen: list[Request] = field(default_factory=list)
    name: str = "scripted"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            self.seen.append(request)
            prompt = self.loaded.tokenizer.decode(list(request.prompt_ids))
            text = PRO if sum(request.prompt_ids) % 2 else ANTI
            if any(pair.pro in prompt for pair in PARAPHRASES):
                text = PRO
            if any(pair.anti in prompt for pair in PARAPHRASES):
                text = ANTI
            ids = self.loaded.tokenizer(text, add_special_tokens=False).input_ids
            yield Response(request.key, (*ids, self.loaded.stop_ids[0]), "stop")

    def score(self, rows: Iterable[ScoreRow], read: object) -> Iterator[Any]:
        raise NotImplementedError


@dataclass
class KeepJudge:
    """Convergence where the answer keeps control. `wrong`: a share of answers it finds nonsensical."""

    name: str = "keep"
    remote: bool = False
    wrong: float = 0.0
    judged: int = 0

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            self.judged += 1
            bad = self.judged * self.wrong % 1 + self.wrong >= 1
            label = "hit" if item.answer == PRO else "miss"
            yield item.id, Verdict("broken" if bad else label)


def run(loaded: LoadedModel, source: Path, folder: Path, **options: Any) -> tuple[Any, ScriptedEngine]:
    engine = ScriptedEngine(loaded)
    judge = options.pop("judge", KeepJudge())
    vector = extract(
        loaded,
        engine,
        judge,
        TASK,
        out=folder / "v.safetensors",
        cache=folder / "cache",
        screen=Screen(quiet=True),
        scenarios=source,
        **options,
    )
    return vector, engine


def hidden_at_end(loaded: LoadedModel, scenario: Scenario, suffix: str) -> list[torch.Tensor]:
    """Independent: last-token residual stream a layer, by plain hooks on one unpadded row."""
    ids = render(loaded, scenario.system, compose(scenario.user, suffix), thinking=False)
    return [h[-1].double() for h in hooked(loaded.module, ids)]


def test_suffix_vector_equals_plain_hooks(loaded: LoadedModel, source: Path, tmp_path: Path) -> None:
    vector, _ = run(loaded, source, tmp_path, contrast="suffix", controls=1)
    means: dict[str, list[list[torch.Tensor]]] = {"pro": [], "anti": [], "neutral": []}
    for scenario in SCENARIOS:
        for side, texts in {
            "pro": [p.pro for p in PARAPHRASES],
            "anti": [p.anti for p in PARAPHRASES],
            "neutral": [NEUTRAL],
        }.items():
            hidden = [hidden_at_end(loaded, scenario, text) for text in texts]
            means[side].append([torch.stack(layer).mean(0) for layer in zip(*hidden, strict=True)])
    for layer in range(4):
        sides = {s: torch.stack([m[layer] for m in rows]).mean(0) for s, rows in means.items()}
        for found, expected in [
            (vector.directions[layer], sides["pro"] - sides["anti"]),
            (vector.parts["pro-neutral"][layer], sides["pro"] - sides["neutral"]),
            (vector.parts["neutral-anti"][layer], sides["neutral"] - sides["anti"]),
        ]:
            torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    assert vector.provenance.sign == "pro - anti"
    assert vector.provenance.pairs == len(SCENARIOS)
    assert vector.provenance.weights == loaded.weights
    # the file is the vector
    assert load_vector(tmp_path / "v.safetensors").id == vector.id
    # controls lie beside it and are of the same length
    names = sorted(p.stem for p in (tmp_path / "v-controls").iterdir())
    assert names == ["labels-0", "random-0", "residual-0"]
    for name in names:
        control = load_vector(tmp_path / "v-controls" / f"{name}.safetensors")
        for layer in range(4):
            length = control.directions[layer].norm()
            assert length == pytest.approx(vector.directions[layer].norm().item(), rel=1e-5)
    labels = load_vector(tmp_path / "v-controls" / "labels-0.safetensors")
    assert all(abs(cosine(labels.directions[i], vector.directions[i])) <= 0.2 for i in range(4))


def test_norms_are_those_of_the_unsuffixed_prompts_and_own_answers(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    vector, engine = run(loaded, source, tmp_path, contrast="suffix", layers="1-2")
    assert vector.layers == (1, 2)
    assert len(engine.seen) == len(SCENARIOS)
    assert all(request.temperature == 0 and not request.additions for request in engine.seen)
    spans: dict[str, list[torch.Tensor]] = {"all": [], "prompt": [], "last": [], "generated": []}
    for request in engine.seen:
        (answer,) = ScriptedEngine(loaded).generate([request])
        prompt = len(request.prompt_ids)
        hidden = hooked(loaded.module, request.prompt_ids + answer.output_ids[:-1])[2]
        spans["all"].append(hidden[1:])
        spans["prompt"].append(hidden[1:prompt])
        spans["last"].append(hidden[prompt - 1 :])
        spans["generated"].append(hidden[prompt:])
    for span, parts in spans.items():
        joined = torch.cat(parts)
        assert vector.norms[span][2] == pytest.approx(joined.norm(dim=-1).mean().item(), rel=1e-4)
        projection = joined @ vector.directions[2] / vector.directions[2].norm()
        mean, std = vector.projections[span][2]
        assert mean == pytest.approx(projection.mean().item(), rel=1e-3, abs=1e-3)
        assert std == pytest.approx(projection.std(unbiased=False).item(), rel=1e-3)


def test_own_auc_equals_plain_hooks_on_the_unsuffixed_answers(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    vector, engine = run(loaded, source, tmp_path, contrast="suffix")
    kinds: list[bool] = []
    at_answer: list[list[float]] = []  # [answer][layer]
    at_prompt: list[list[float]] = []
    for request in engine.seen:
        (answer,) = ScriptedEngine(loaded).generate([request])
        ids = answer.output_ids[:-1]
        kinds.append(loaded.tokenizer.decode(list(ids)) == PRO)
        prompt = len(request.prompt_ids)
        hidden = hooked(loaded.module, request.prompt_ids + ids)
        at_answer.append([(hidden[k][prompt:].mean(0) @ vector.directions[k]).item() for k in range(4)])
        at_prompt.append([(hidden[k][prompt - 1] @ vector.directions[k]).item() for k in range(4)])
    # two scenarios a category, so a category counts if its two answers are of different kinds
    mixed = [(i, i + 1) if kinds[i] else (i + 1, i) for i in range(0, 12, 2) if kinds[i] != kinds[i + 1]]
    assert mixed
    for layer in range(4):
        figures = vector.trust[layer]
        assert figures.own_comparisons == len(mixed)
        for found, scores in [(figures.own_auc, at_answer), (figures.own_prompt_auc, at_prompt)]:
            won = sum(scores[pro][layer] > scores[anti][layer] for pro, anti in mixed)
            assert found == pytest.approx(won / len(mixed))
        assert set(figures.recipe_cosines) == {"pca", "lat", "logistic", "fisher"}
        assert len(figures.promotes) == len(figures.demotes) == 10
        expected = vector.directions[layer].norm().item() / vector.norms["last"][layer]
        assert figures.norm_ratio == pytest.approx(expected)
    counts = [f"hit: {sum(kinds)}", f"miss: {12 - sum(kinds)}"]
    assert sorted(vector.provenance.details["own answers"]) == counts  # type: ignore[arg-type]
    assert vector.provenance.details["generations"] == len(engine.seen) == 12


def test_second_extraction_generates_and_captures_nothing(
    loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run(loaded, source, tmp_path, contrast="response", layers="2")

    def forbidden(*_args: Any, **_options: Any) -> None:
        raise AssertionError("captured again")

    monkeypatch.setattr(activations, "capture", forbidden)
    judge = KeepJudge()
    again, engine = run(loaded, source, tmp_path, contrast="response", layers="2", judge=judge)
    assert engine.seen == []
    assert judge.judged == 0
    assert again.id == first.id
    other, engine = run(loaded, source, tmp_path, contrast="response", layers="2", method="pca")
    assert engine.seen == []
    assert other.id != first.id


def test_scenarios_under_other_names_are_extracted_from_again(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    """Equal texts under other ids: the answers of the first are not looked up under the second's."""
    run(loaded, source, tmp_path, contrast="response", layers="2")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    renamed = tmp_path / "renamed.jsonl"
    renamed.write_text("".join(json.dumps(row | {"id": f"other {row['id']}"}) + "\n" for row in rows))
    again, _ = run(loaded, renamed, tmp_path, contrast="response", layers="2")
    assert again.provenance.pairs == len(rows)


@dataclass
class ShortJudge(KeepJudge):
    """Out of calls after `most`."""

    most: int = 0

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for done, found in enumerate(super().judge(items), start=1):
            yield found
            if done == self.most:
                return


@pytest.mark.parametrize("contrast", ["suffix", "response"])
def test_no_vector_is_made_of_half_judged_answers(
    loaded: LoadedModel, source: Path, tmp_path: Path, contrast: str
) -> None:
    whole, _ = run(loaded, source, tmp_path / "whole", contrast=contrast, layers="2")
    again = partial(run, loaded, source, tmp_path / "cut", contrast=contrast, layers="2")
    made = tmp_path / "cut" / "v.safetensors"
    with pytest.raises(UserError, match="the judge stopped at --max-calls with"):
        again(judge=ShortJudge(most=9))
    for _ in range(8):
        if not made.exists():
            with suppress(UserError):
                again(judge=ShortJudge(most=9))
    assert load_vector(made).id == whole.id


def test_an_interrupted_capture_goes_on_where_it_stopped(
    loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "CHUNK", 4)
    whole, _ = run(loaded, source, tmp_path / "whole", contrast="suffix", layers="2")
    real, calls = activations.capture, []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(options["slots"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(activations, "capture", counted)
    with pytest.raises(KeyboardInterrupt):
        run(loaded, source, tmp_path / "cut", contrast="suffix", layers="2")
    assert not (tmp_path / "cut" / "v.safetensors").exists()
    calls.clear()
    monkeypatch.setattr(activations, "capture", lambda *a, **o: (calls.append(o["slots"]), real(*a, **o))[1])
    resumed, engine = run(loaded, source, tmp_path / "cut", contrast="suffix", layers="2")
    assert engine.seen == []
    assert resumed.id == whole.id
    # 3 sides of 12 pairs in chunks of 4 are 9, 2 of them done; own answers at answer and prompt are 3 + 3
    assert len(calls) == 9 - 2 + 6


def test_other_weights_never_meet_a_stale_cache(loaded: LoadedModel, source: Path, tmp_path: Path) -> None:
    first, _ = run(loaded, source, tmp_path, contrast="suffix", layers="2")
    folder = checkpoint(tmp_path / "other", "qwen3", seed=1)
    other = models.load(str(folder), dtype="float32", device="cpu")
    second, engine = run(other, source, tmp_path, contrast="suffix", layers="2")
    assert len(engine.seen) == len(SCENARIOS)
    assert not torch.allclose(first.directions[2], second.directions[2])


def test_answers_kept_by_an_older_store_are_made_anew(
    loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are a run, which another schema could not open: the same command would end there for good."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA", schema.SCHEMA - 1)
        first, _ = run(loaded, source, tmp_path, contrast="suffix", layers="2")
    second, engine = run(loaded, source, tmp_path, contrast="suffix", layers="2")
    assert len(engine.seen) == len(SCENARIOS)
    assert torch.equal(first.directions[2], second.directions[2])


# The response contrast


def test_response_pairs_are_read_without_the_suffix_over_equal_lengths(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    vector, engine = run(loaded, source, tmp_path, contrast="response", layers="3")
    suffixed = [r for r in engine.seen if r.temperature > 0]
    assert len(suffixed) == len(SCENARIOS) * 4  # two draws a side
    pro = loaded.tokenizer(PRO, add_special_tokens=False).input_ids
    anti = loaded.tokenizer(ANTI, add_special_tokens=False).input_ids
    count = min(len(pro), len(anti))
    assert len(pro) != len(anti)
    differences = []
    for s in SCENARIOS:
        prompt = render(loaded, s.system, s.user, thinking=False)
        both = [hooked(loaded.module, (*prompt, *ids[:count]))[3][len(prompt) :] for ids in (pro, anti)]
        differences.append(both[0].double().mean(0) - both[1].double().mean(0))
    expected = torch.stack(differences).mean(0)  # two scenarios a category: equal weights
    torch.testing.assert_close(vector.directions[3].double(), expected, rtol=1e-3, atol=1e-4)
    details = vector.provenance.details
    assert details["kept"] == [f"{c}: 2 of 2" for c in dict.fromkeys(s.category for s in SCENARIOS)]
    assert details["judge"] == "keep"
    assert details["mean tokens read"] == count
    assert details["mean answer tokens of the pairs"] == f"pro {len(pro):.1f}, anti {len(anti):.1f}"
    assert details["generations"] == len(engine.seen) == len(SCENARIOS) * 5


def test_too_few_kept_answers_say_how_many_and_what_to_raise(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"kept \d of 12 scenarios.*raise --draws"):
        run(loaded, source, tmp_path, contrast="response", judge=KeepJudge(wrong=0.9))


def test_answers_ended_by_the_token_limit_make_no_pair(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    """From the engine's `length` to the message: the judge labels such answers like any other."""

    class Cut(ScriptedEngine):
        def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
            for whole in super().generate(requests):
                yield replace(whole, output_ids=whole.output_ids[:-1], finish="length")

    options: dict[str, Any] = {"out": tmp_path / "v.safetensors", "cache": tmp_path / "cache"}
    options |= {"screen": Screen(quiet=True), "scenarios": source, "layers": "3"}
    with pytest.raises(UserError, match=r"kept 0 of 12 scenarios.*48 cut by the token limit.*--new-tokens"):
        extract(loaded, Cut(loaded), KeepJudge(), TASK, contrast="response", **options)
    vector = extract(loaded, Cut(loaded), KeepJudge(), TASK, contrast="suffix", **options)
    assert vector.provenance.details["own answers cut by the token limit"] == 12


def test_an_extraction_without_a_single_own_answer_says_why(
    loaded: LoadedModel, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"none of 12 own answers came out.*--prompt-tokens"):
        run_failing(loaded, source, tmp_path)


def run_failing(loaded: LoadedModel, source: Path, folder: Path) -> None:
    class Failing(ScriptedEngine):
        def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
            for request in requests:
                yield Response(request.key, (), "failed", error="the prompt is longer than 3 tokens")

    extract(
        loaded,
        Failing(loaded),
        KeepJudge(),
        TASK,
        out=folder / "v.safetensors",
        cache=folder / "cache",
        screen=Screen(quiet=True),
        scenarios=source,
    )


@pytest.mark.parametrize(
    ("contrast", "asked", "thinking", "expected"),
    [
        ("suffix", None, False, 256),
        ("suffix", 700, False, 700),
        ("suffix", None, True, 8096),  # a thinking model answers after its thought
        ("response", None, False, 8096),  # takes whole answers
    ],
)
def test_own_answers_get_the_tokens_they_need(
    contrast: str, asked: int | None, thinking: bool, expected: int
) -> None:
    assert answer_tokens(contrast, asked=asked, limit=asked or 8096, thinking=thinking) == expected
    assert answer_tokens(contrast, asked=None, limit=96, thinking=thinking) == 96


def given(scenario: int, arm: str, status: Any, text: str, ids: tuple[int, ...] = (5, 6, 7)) -> GivenAnswer:
    return GivenAnswer(str(scenario), f"c{scenario % 3}", arm, (1, 2), (), ids, text, status)


def test_only_answers_that_serve_are_kept(loaded: LoadedModel) -> None:
    items = [Scenario(str(i), f"c{i % 3}", "", f"task {i}") for i in range(14)]
    pro, anti = "pro:paraphrase-1", "anti:paraphrase-1"
    quote = PARAPHRASES[0].pro.splitlines()[1]
    answers: list[GivenAnswer] = []
    for i in range(9):
        # the first of two that serve is taken; the shorter of the pair decides how much is read
        answers += [given(i, pro, "hit", "x", (9, 9, 9, 9)), given(i, pro, "hit", "y")]
        answers += [given(i, anti, "miss", "z", (8, 8))]
    for i, (status, text) in enumerate(
        [("refusal", "x"), ("broken", "x"), ("truncated", ""), ("hit", quote)], start=9
    ):
        answers += [given(i, pro, status, text), given(i, anti, "miss", "z")]
    answers += [given(13, pro, "hit", "x"), given(13, anti, "hit", "z")]
    items.append(Scenario("14", "c2", "", "task 14"))
    answers += [replace(given(14, pro, "hit", "x"), cut=True), given(14, anti, "miss", "z")]
    made = response(loaded, items, answers, judge="j")
    assert [p.id for p in made.pairs] == [str(i) for i in range(9)]
    for item, pair in zip(items, made.pairs, strict=False):
        prompt = render(loaded, "", item.user, thinking=False)
        (reading,) = pair.positive
        assert reading.ids == (*prompt, 9, 9)
        assert (reading.start, reading.end) == (len(prompt), len(prompt) + 2)
        assert pair.negative[0].ids == (*prompt, 8, 8)
    assert made.details["quoting the suffix"] == 1
    assert made.details["cut by the token limit"] == 1


def test_paraphrases_are_taken_in_turn_and_the_evaluated_one_never(loaded: LoadedModel) -> None:
    items = [Scenario(str(i), "c", "", f"task {i}") for i in range(10)]
    options: dict[str, Any] = {
        "draws": 2,
        "sampling": Sampling(0.7, 1),
        "limits": Limits(),
        "thinking": False,
    }
    planned = plan_suffixed(loaded, items, suffixes=load("paraphrase-1"), **options)
    arms = {s.id: {r.arm for r in planned.rows if r.scenario == s.id} for s in items}
    assert all(len(found) == 4 for found in arms.values())
    used = {arm for found in arms.values() for arm in found}
    assert used == {f"{side}:paraphrase-{i}" for side in ("pro", "anti") for i in range(2, 6)}
    with pytest.raises(UserError, match="allowed are 1 to 5"):
        plan_suffixed(loaded, items, **(options | {"draws": 6}))


def test_thinking_is_left_out_of_what_is_read(loaded: LoadedModel) -> None:
    def ids(text: str) -> tuple[int, ...]:
        return tuple(loaded.tokenizer(text, add_special_tokens=False).input_ids)

    stop = loaded.stop_ids[0]
    before, answer = ids("<think>\nlet me see\n</think>\n\n"), ids("I stop.")
    thought, kept = split_answer(loaded, (), (*before, *answer, stop))
    assert loaded.tokenizer.decode(list(kept)) == "I stop."
    assert thought + kept == before + answer
    for prompt in ((), ids("go <think>\n\n</think>\n\n")):
        assert split_answer(loaded, prompt, (*answer, stop)) == ((), answer)
        assert split_answer(loaded, prompt, answer) == ((), answer)
        assert split_answer(loaded, prompt, (stop,)) == ((), ())
        stray = ids("I stop. </think> Sure.")
        assert split_answer(loaded, prompt, stray) == ((), stray)


# Other contrasts and bad input


@pytest.mark.parametrize("contrast", ["statement", "formality"])
def test_reply_contrasts_run(loaded: LoadedModel, source: Path, tmp_path: Path, contrast: str) -> None:
    vector, _ = run(loaded, source, tmp_path, contrast=contrast, layers="3", method="fisher")
    assert vector.provenance.contrast == contrast
    assert vector.provenance.sign == "positive - negative"
    assert vector.parts == {}
    assert vector.norms["last"][3] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mean-diff"}, "did you mean 'mean-difference'"),
        ({"contrast": "sufix"}, "did you mean 'suffix'"),
        ({"layers": "20-10"}, "did you mean 10-20"),
        ({"layers": "0-9"}, "layer 4 is out of range"),
        ({"check": "vllm"}, "unknown check"),
        ({"controls": -1}, "controls is -1"),
        ({"contrast": "none.jsonl"}, "no pairs file"),
        ({"evaluation": SCENARIOS[:1]}, "is an evaluation scenario"),
    ],
)
def test_bad_choices_are_one_line(
    loaded: LoadedModel, source: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(loaded, source, tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_english_contrasts_are_refused_where_a_model_speaks_no_english() -> None:
    for contrast in ("statement", "formality"):
        with pytest.raises(UserError, match="does not speak"):
            check_contrast(ORGANISM_TASK, contrast)
    with pytest.raises(UserError, match="the task 'sycophancy' has no statements"):
        check_contrast(task.load("sycophancy"), "statement")
    for name in ("suffix", "response"):
        check_contrast(ORGANISM_TASK, name)


def test_pairs_that_do_not_differ_at_a_layer_leave_it_out(
    loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = activations.capture

    def flat(*args: Any, **options: Any) -> torch.Tensor:
        found = real(*args, **options)
        found[:, 0] = 1.0  # layer 1 is the same for every row
        return found

    monkeypatch.setattr(activations, "capture", flat)
    vector, _ = run(loaded, source, tmp_path, contrast="suffix", layers="1-2")
    assert vector.layers == (2,)
    assert vector.provenance.details["left out"] == ["layer 1: zero or not finite"]


def test_a_stream_that_overflows_is_an_error(
    loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = activations.capture
    monkeypatch.setattr(activations, "capture", lambda *a, **o: real(*a, **o) * float("inf"))
    with pytest.raises(UserError, match="is not finite at layer 1"):
        run(loaded, source, tmp_path, contrast="suffix", layers="1")


def test_check_transformer_lens_reports_every_layer(
    loaded: LoadedModel, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vector = extract(
        loaded,
        ScriptedEngine(loaded),
        KeepJudge(),
        TASK,
        out=tmp_path / "v.safetensors",
        cache=tmp_path / "cache",
        screen=Screen(),
        scenarios=source,
        layers="1,3",
        check="transformer-lens",
    )
    said = capsys.readouterr().err
    assert "transformer-lens: largest difference" in said
    assert all(f"{layer}: " in said for layer in range(4))
    for trust in load_vector(tmp_path / "v.safetensors").trust.values():
        assert trust.lens_difference is not None
        assert trust.lens_difference <= 1e-4
    assert set(vector.trust) == {1, 3}


@pytest.mark.parametrize("context", ["none", "user"])
def test_a_model_without_a_system_role_has_vectors(
    loaded: LoadedModel, source: Path, tmp_path: Path, context: Context
) -> None:
    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.chat_template = NO_SYSTEM
    model = replace(loaded, tokenizer=tokenizer, context=context)
    vector, engine = run(model, source, tmp_path, contrast="suffix")
    assert vector.provenance.details["context"] == context
    first = SCENARIOS[0]
    user = first.user if context == "none" else f"{first.system.strip()}\n\n{first.user}"
    assert engine.seen[0].prompt_ids == render(loaded, "", user, thinking=False)
