"""A race stops what a half cannot choose any more: the decision, what a run shows of it, and its resume."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from experiments.library import open_session
from experiments.options import Options, VectorChoice
from experiments.session import Session
from experiments.sweep import race as racing
from experiments.sweep import run as vector_sweep
from experiments.sweep.choice import Candidate, Cap, Chosen, choose_in, halves, members
from experiments.sweep.options import SweepChoice
from experiments.sweep.race import STAGES, Rows, hopeless, orders, race
from steer import pipeline
from steer.errors import UserError
from steer.outcomes import Table, tabulate
from steer.results import Result, read
from steer.results.record import Plan
from steer.show.figures import figures_of
from steer.show.sections import sections
from steer.store import RunStore
from steer.types import SPANS, Choices, Judged, JudgeItem, Option, Outcome, Status, Verdict
from tests.tiny import LAYERS, WIDTH, checkpoint
from vectors.vector import Provenance, SteeringVector

CATEGORY = {f"{'xyz'[i % 3]}{i}": "xyz"[i % 3] for i in range(42)}
CAP = Cap(0.1, 1.0)


def pair(name: str, drift: float = 0.0) -> Candidate:
    return Candidate(f"{name}+", f"{name}-", drift, layer=1, magnitude=0.1)


def drawn(rates: Mapping[str, tuple[float, float]], seed: int) -> dict[tuple[str, str], Status]:
    """(arm, scenario) -> status, from each pair's two rates; one answer in fifty is broken."""
    random = np.random.default_rng(seed)

    def status(rate: float) -> Status:
        return "broken" if random.random() < 0.02 else "hit" if random.random() < rate else "miss"

    arms = {
        f"{name}{sign}": rate for name, both in rates.items() for sign, rate in zip("+-", both, strict=True)
    }
    return {(arm, scenario): status(rate) for scenario in CATEGORY for arm, rate in arms.items()}


def table(found: Mapping[tuple[str, str], Status], rows: Rows) -> Table:
    return tabulate(
        Outcome(arm, scenario, CATEGORY[scenario], 0, status)
        for (arm, scenario), status in found.items()
        if scenario in rows[arm]
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_is_stopped_is_told_from_the_rows_by_hand(seed: int) -> None:
    """Pairs at different stages, one over the cap on drift, one with more nonsense than a half may have."""
    best = {"a": (0.95, 0.05), "e": (1.0, 0.0), "f": (1.0, 0.0)}
    found = drawn({name: best.get(name, (0.3, 0.4)) for name in "abcdef"}, seed)
    pairs = [pair(name, drift=2.0 if name == "e" else 0.0) for name in "abcdef"]
    own = sorted(CATEGORY)[:20]
    ran = {arm: frozenset(own[: 12 if arm[0] in "ab" else 8]) for arm, _ in found}
    found |= {("f-", scenario): "broken" for scenario in own[:3]}  # 3 of 20 are over a tenth
    expected = {"e", "f"}
    d = {
        (name, s): (found[f"{name}+", s] == "hit") - (found[f"{name}-", s] == "hit")
        for name in "abcdef"
        for s in ran[f"{name}+"]
    }
    mean = {name: np.mean([d[name, s] for s in ran[f"{name}+"]]) for name in "abcd"}
    leader = max("abcd", key=lambda name: mean[name])
    for name in "abcd":
        both = ran[f"{name}+"] & ran[f"{leader}+"]
        behind = [d[name, s] - d[leader, s] for s in both] + [math.sqrt(0.5), -math.sqrt(0.5)]
        n = len(both) + 1  # half a scenario either way
        centre = sum(behind) / n
        spread = math.sqrt((sum(x * x for x in behind) / n - centre**2) / n * (1 - len(both) / 20))
        if centre + NormalDist().inv_cdf(1 - 0.2 / 5) * spread < 0:
            expected.add(name)
    told = hopeless(table(found, ran), pairs, own, CAP)
    assert {name for name, out in zip("abcdef", told, strict=True) if out} == expected
    assert leader == "a"
    assert expected & set("bcd")


def raced(found: Mapping[tuple[str, str], Status], pairs: list[Candidate]) -> tuple[Any, dict[str, int], int]:
    half = halves(CATEGORY, seed=1)
    found_race = race(pairs, orders(half, CATEGORY, seed=1), CAP, lambda rows: table(found, rows))
    return found_race, half, sum(map(len, found_race.rows.values()))


@pytest.mark.parametrize("seed", range(3))
def test_a_race_chooses_as_the_whole_grid_does_of_half_of_the_rows(seed: int) -> None:
    found = drawn({name: (0.9, 0.1) if name == "d" else (0.5, 0.5) for name in "abcdefgh"}, seed)
    pairs = [pair(name) for name in "abcdefgh"]
    result, half, rows = raced(found, pairs)
    every = table(found, dict.fromkeys([arm for arm, _ in found], frozenset(CATEGORY)))
    for number, left in enumerate(result.left):
        own = members(half, number)
        assert all(own <= result.rows[one.plus] & result.rows[one.minus] for one in left)
        whole, fit = (choose_in(every, some, own, CAP) for some in (pairs, left))
        assert isinstance(whole, Chosen)
        assert whole == fit
    assert rows < 0.5 * len(found)


def test_pairs_that_were_stopped_go_on_when_what_they_were_behind_breaks() -> None:
    """The leader turns to nonsense in the last stage: the next best is found all the same."""
    found = drawn({name: {"a": (1.0, 0.0), "b": (0.8, 0.2)}.get(name, (0.5, 0.5)) for name in "abcd"}, 0)
    half = halves(CATEGORY, seed=1)
    for stages in orders(half, CATEGORY, seed=1):
        assert len(stages) == STAGES
        found |= {("a+", scenario): "broken" for stage in stages[-2:] for scenario in stage}
    result, half, _ = raced(found, [pair(name) for name in "abcd"])
    for number, left in enumerate(result.left):
        best = choose_in(table(found, result.rows), left, members(half, number), CAP)
        assert isinstance(best, Chosen)
        assert best.candidate.plus == "b+"


def test_stages_are_as_even_over_categories_as_can_be() -> None:
    half = halves(CATEGORY, seed=1)
    for number, stages in enumerate(orders(half, CATEGORY, seed=1)):
        assert {s for stage in stages for s in stage} == members(half, number)
        so_far: list[str] = []
        for stage in stages:
            so_far += [CATEGORY[s] for s in stage]
            counts = [so_far.count(category) for category in "xyz"]
            assert max(counts) - min(counts) <= 1


# a whole run: the vector is a token's own embedding, and an answer with that token is a hit

TOKEN = "Q"
GRID = SweepChoice(layers="3", magnitudes="-4,-0.02,-0.01,-0.005,0.005,0.01,0.02,4", cap=Cap(0.1, None))


@dataclass(frozen=True, slots=True)
class Reads:
    name: str = "reads"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            role: Judged = "hit" if TOKEN in item.answer else "miss"
            yield item.id, Verdict(role, "", label=role)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, SweepChoice]:
    folder = tmp_path_factory.mktemp("race")
    rows = [{"id": s, "category": c, "system": "", "user": f"Ship order {s}."} for s, c in CATEGORY.items()]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model, own = checkpoint(folder / "tiny"), folder / "own.jsonl"
    options = Options(model=str(model), scenarios=str(own), new_tokens=3, quiet=True)
    session = replace(open_session(options), judge=Reads())
    loaded: Any = session.loaded
    (token,) = loaded.tokenizer(TOKEN, add_special_tokens=False).input_ids
    axis = loaded.module.get_input_embeddings().weight[token].detach().float()
    made = Provenance(d_model=WIDTH, n_layers=LAYERS, weights=loaded.weights, model="tiny")
    how = VectorChoice(
        vector=SteeringVector({3: axis}, made, norms={span: {3: 6.0} for span in SPANS}), controls=0, nulls=0
    )
    return session, replace(GRID, vector=how)


def unmeasured(*_: object) -> None:
    """In place of side effects, which no race asks for."""


@pytest.fixture(autouse=True)
def few_side_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_sweep, "measure_probes", unmeasured)


def sweep(opened: tuple[Session, SweepChoice], out: Path, *, race: bool = True) -> Result:
    session, choice = opened
    session = replace(session, options=replace(session.options, out=out))
    result, _ = vector_sweep.run_sweep(session, replace(choice, race=race))
    assert isinstance(result, Result)
    return result


def decisions(patch: pytest.MonkeyPatch) -> list[tuple[int, list[bool]]]:
    """Filled with what a race decides, and of how many rows."""
    found: list[tuple[int, list[bool]]] = []

    def told(table: Table, *arguments: Any) -> list[bool]:
        out = hopeless(table, *arguments)
        found.append((int((~table.has("missing")).sum()), out))
        return out

    patch.setattr(racing, "hopeless", told)
    return found


@pytest.fixture(scope="module")
def raced_run(
    opened: tuple[Session, SweepChoice], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[int, list[bool]]]]:
    """An undisturbed race, and its decisions."""
    out = tmp_path_factory.mktemp("raced") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_sweep, "measure_probes", unmeasured)
        decided = decisions(patch)
        sweep(opened, out)
    return out, decided


@pytest.fixture
def run(raced_run: tuple[Path, list[tuple[int, list[bool]]]]) -> Path:
    return raced_run[0]


def test_a_raced_sweep_saves_rows_and_chooses_and_reports_what_the_whole_one_does(
    opened: tuple[Session, SweepChoice], run: Path, tmp_path: Path
) -> None:
    one, other = read(run).sweep, sweep(opened, tmp_path / "whole", race=False).sweep
    assert one is not None
    assert other is not None
    assert one.race is not None
    assert other.race is None
    assert (one.race.of, one.race.rows) == (8 * 42, 2 * 42 + 6 * 9)  # a half one stage, a half two
    assert one.choice.report is not None
    assert one.choice.report == other.choice.report
    assert one.choice.chosen_arms == ("L3+4", "L3-4")
    with RunStore(run, writable=False) as store:
        outcomes = store.outcomes("reads")
    rows, hits = ([o.arm for o in outcomes if o.status in some] for some in (("hit", "miss"), ("hit",)))
    assert one.race.rows == sum(rows.count(cell.arm) for cell in one.cells)
    points = 100 * (hits.count("L3+4") - hits.count("L3-4")) / 42
    assert one.choice.report.gaps["plus-minus"].points_all == pytest.approx(points)


def test_a_stopped_cell_is_nowhere_shown_as_a_whole_one(run: Path) -> None:
    result = read(run)
    assert result.sweep is not None
    stopped = {cell.arm: cell.stopped_after for cell in result.sweep.cells if cell.stopped_after is not None}
    assert set(stopped.values()) == {9}
    assert stopped.keys() == {cell.arm for cell in result.sweep.cells} - {"L3+4", "L3-4"}
    assert stopped.keys() == {cell.arm for cell in result.sweep.cells if cell.gap is None}
    assert stopped.keys() == {name for name, arm in result.arms.items() if arm.kind == "stopped"}
    drawn = {one.name: one for one in sections(result, list(result.arms))}
    for name in ("cells", "arms"):
        shown = drawn[name].table
        assert shown is not None
        for row in shown.rows:
            if row[0] in stopped:
                assert "stopped after 9" in row
                assert not any("%" in text or "[" in text for text in row)
    heat = drawn["heat"].table
    assert heat is not None
    assert heat.rows[0].count("×9") == 6
    figures = figures_of(result)
    values = {cell["arm"]: cell["value"] for cell in figures["heat-points"].drawing.data["cells"]}
    assert {name for name, value in values.items() if value is None} == stopped.keys()
    assert not {dose["arm"] for dose in figures["dose"].drawing.data["doses"]} & stopped.keys()


class Killed(BaseException):
    pass


@pytest.mark.slow  # a sweep stopped twice, and ended
def test_a_race_that_was_stopped_anywhere_and_resumed_is_the_undisturbed_one(
    monkeypatch: pytest.MonkeyPatch,
    opened: tuple[Session, SweepChoice],
    raced_run: tuple[Path, list[tuple[int, list[bool]]]],
    tmp_path: Path,
) -> None:
    """In the second stage, and while the leader goes on alone."""
    run, decided = raced_run
    monkeypatch.setattr(pipeline, "FLUSH_ROWS", 4)
    with RunStore(run, writable=False) as store:
        done = store.done()
    plain, stops = RunStore.add_responses, [len(done) - n for n in (72, 20)]

    def dies(self: RunStore, rows: Any) -> None:
        plain(self, rows)
        if stops and len(self.done()) >= stops[0]:
            stops.pop(0)
            raise Killed

    monkeypatch.setattr(RunStore, "add_responses", dies)
    while stops:
        with pytest.raises(Killed):
            sweep(opened, tmp_path / "killed")
    again = decisions(monkeypatch)
    found = sweep(opened, tmp_path / "killed")
    assert again == decided
    assert found.sweep == read(run).sweep
    with RunStore(tmp_path / "killed", writable=False) as store:
        assert store.done() == done


def test_a_race_that_could_save_nothing_is_refused(
    opened: tuple[Session, SweepChoice], tmp_path: Path
) -> None:
    session, choice = opened
    alone = replace(choice, magnitudes="-0.3,0.3,0.5")
    with pytest.raises(UserError, match=r"--race: magnitude 0\.5 has no other sign in the grid"):
        sweep((session, alone), tmp_path / "no")
    options = Choices((Option("a", True), Option("b", False)))
    items = tuple(replace(scenario, choices=options) for scenario in session.scenarios)
    with pytest.raises(UserError, match="--race: options are scored in one pass each"):
        sweep((replace(session, scenarios=items), choice), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_the_plan_of_a_race_says_what_is_expected(opened: tuple[Session, SweepChoice]) -> None:
    session, choice = opened
    session = replace(session, options=replace(session.options, dry_run=True))
    found, _ = vector_sweep.run_sweep(session, replace(choice, race=True))
    assert isinstance(found, Plan)
    assert found.plan["of these the grid's, whole"] == 8 * 42
    assert found.plan["with --race at least"] == 42
    assert found.plan["with --race where one pair stands out"] == round(0.45 * 8 * 42)
