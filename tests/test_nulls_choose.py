"""Unrelated contrasts that choose their own cells: as the vector does, from the same grid and halves."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from experiments import session
from experiments.compare import run as compare_run
from experiments.sweep import run as sweep_run
from experiments.sweep.options import CompareChoice
from steer.store import RunStore
from tests.fakes import HashJudge
from tests.sweeping import SCENARIOS, SWEEP, flags, lay_home, run

NULLS = ("animals", "clothing")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def hash_judge(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """A judge whose labels vary, as a real one's do not on a random model's texts."""
    monkeypatch.setattr(session, "make_judge", lambda *_args, **_options: HashJudge())
    monkeypatch.chdir(home)
    for command in (sweep_run, compare_run):  # questions and harmless requests choose nothing
        monkeypatch.setattr(command, "measure_probes", lambda *_: None)


def chosen_by_hand(run: Path, prefix: str, half: int) -> tuple[str, str]:
    """The pair of cells of the largest gap among those under the cap, on a half's scenarios; a null's either
    way round. Ties go to the smaller drift, then the smaller size."""
    summary = json.loads((run / "summary.json").read_text())
    scenarios = [name for name, where in summary["sweep"]["halves"].items() if where == half]
    with RunStore(run, writable=False) as store:
        (judge,) = store.judges()
        status = {(o.arm, o.scenario): o.status for o in store.outcomes(judge)}
        drift = store.measures("drift")
    ranked: list[tuple[float, float, float, tuple[str, str]]] = []
    for layer, size, turned in product((1, 2), ("0.3", "0.6"), (False, True) if prefix else (False,)):
        pair = (f"{prefix}L{layer}+{size}", f"{prefix}L{layer}-{size}")
        pair = pair[::-1] if turned else pair
        seen = [[status[arm, name] for name in scenarios] for arm in pair]
        broken = max(sum(s in ("broken", "invalid") for s in some) / len(some) for some in seen)
        if broken <= 0.6:
            plus, minus = (some.count("hit") / len(some) for some in seen)
            ranked.append((minus - plus, max(drift[f"arm:{arm}"] or 0 for arm in pair), float(size), pair))
    return min(ranked)[3]


@pytest.mark.parametrize("command", ["vector-sweep", pytest.param("compare", marks=pytest.mark.slow)])
def test_every_null_is_reported_at_the_cells_that_it_chose_itself_on_the_other_half(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *flags(command, tmp_path / "run"), "--nulls-choose") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "arms of nulls that choose 16" in shown
    assert "vector among 2 unrelated at their own cells: percentile, p" in shown
    page = (tmp_path / "run/report.html").read_text()
    assert "(unrelated contrasts chose their own cells, as the vector did)" in page
    found: dict[str, Any] = json.loads((tmp_path / "run/summary.json").read_text())
    assert found["sweep"]["beyond_contrasts"]["choosing"]
    assert not found["sweep"]["beyond_random"]["choosing"]
    folded = found["sweep"]["out_of_fold"]
    fitted = {name: [chosen_by_hand(tmp_path / "run", name, h) for h in (0, 1)] for name in ("", *PREFIXES)}
    for name, pairs in fitted.items():
        for side, sign in enumerate("+-"):
            assert folded[f"{name or 'vector '}{sign}"]["arms"] == [pair[side] for pair in pairs]
    assert len({tuple(pair[0].removeprefix(name) for pair in pairs) for name, pairs in fitted.items()}) > 1
    turned = [pair for name in PREFIXES for pair in fitted[name] if "-" in pair[0]]
    assert turned
    for name in PREFIXES:
        ran = [arm for arm in found["arms"] if arm.startswith(name)]
        assert len(ran) == 8
        assert {found["arms"][arm]["n"] for arm in ran} == {SCENARIOS}


PREFIXES = tuple(f"null {name} " for name in NULLS)


def test_a_comparison_tells_its_sweep_that_nulls_choose() -> None:
    assert CompareChoice(nulls_choose=True).sweep.nulls_choose


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--nulls", "0"], "there is none to choose"),
        (["--controls", "0"], "there is none to choose"),
        (["--race"], "--nulls-choose --race: each null is to have what the vector had"),
    ],
)
@pytest.mark.parametrize("command", ["vector-sweep", "compare"])
def test_what_would_leave_nulls_less_than_the_vector_had_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    more: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, *flags(command, tmp_path / "no", more=SWEEP), "--nulls-choose", *more) == 2
    assert message in capsys.readouterr().err
