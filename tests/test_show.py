"""What a terminal and a Markdown file say of a run: whole numbers, one minus sign, nats beside points."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from steer.metrics import rates_alone
from steer.propensity import Nats, Shift, Steerability
from steer.results import Result, read, write
from steer.results.emergent import ControlRange, Emergent, Made, Training
from steer.results.estimates import EqualEpochs, Spillover
from steer.results.result import Propensity
from steer.results.sweep import Bound
from steer.screen import Screen
from steer.show.markdown import markdown
from steer.show.sections import sections
from steer.show.terminal import print_result
from steer.show.words import GAPS
from tests import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show") / "run"
    return synthetic.sweep_run(
        folder, n=6, layers=(12, 14), magnitudes=(-0.45, -0.2, 0.2, 0.45), command="compare", randoms=19
    )


@pytest.fixture(scope="module")
def compare(run: Path) -> Result:
    return read(run)


def printed(result: Result, capsys: pytest.CaptureFixture[str]) -> str:
    print_result(Screen(), result, "here")
    return capsys.readouterr().out


def test_a_screen_shows_every_cell_whole_with_one_minus_sign(
    run: Path, compare: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that is wider than the screen loses ends of numbers without a word."""
    text = printed(compare, capsys)
    assert "…" not in text
    for said in (text, markdown(run)):
        assert "−" in said
        for name in compare.arms:
            said = said.replace(name, "")
        assert re.findall(r"(?<![\w\]])-\d.*", said) == []


def test_a_screen_says_every_number_of_the_sections_that_it_has(
    compare: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    text = " ".join(printed(compare, capsys).split())
    shown = {"sides", "choice", "arms", "effects", "gaps", "exchange", "exchange-costs", "tug-1", "tug-2"}
    shown |= {"controls", "square", "frontier", "heat", "costs", "transfer"}
    found = {
        one.name: one for one in sections(compare, ["baseline", "pro", "anti"], few=3) if one.name in shown
    }
    assert found.keys() == shown
    for section in found.values():
        assert section.table is not None
        for row in section.table.rows:
            assert " ".join(" ".join(row).split()) in text
        assert all(line in text for line in section.note.splitlines())


def in_nats(compare: Result) -> Result:
    """The comparison as if options had been compared."""
    assert compare.sweep is not None
    assert compare.sweep.choice.report is not None
    assert compare.sweep.beyond_random is not None
    shifts = {name: Shift("a", "b", 6, -1.25, (-2.5, 0.5), 0.25, 0.5) for name in GAPS}
    bounds = {name: Bound(largest=0.75, percentile_95=0.75, beyond=False) for name in GAPS}
    sweep = compare.sweep.model_copy(
        update={
            "choice": compare.sweep.choice.model_copy(
                update={"report": compare.sweep.choice.report.model_copy(update={"shifts": shifts})}
            ),
            "controls": tuple(c.model_copy(update={"shifts": shifts}) for c in compare.sweep.controls),
            "beyond_random": compare.sweep.beyond_random.model_copy(update={"shifts": bounds}),
        }
    )
    propensity = Propensity(
        arms={name: Nats(6, -0.5, (-1.0, 0.25)) for name in compare.arms},
        gaps={"pro-anti": shifts["plus"]},
        steerability={"vector": Steerability(6, 2.0, (1.0, 3.0), 0.25, {}), "suffix": None},
        mass_lost=("pro",),
    )
    arms = {
        name: replace(arm, measures={**arm.measures, "mass": 0.031}) for name, arm in compare.arms.items()
    }
    return compare.model_copy(update={"propensity": propensity, "sweep": sweep, "arms": arms})


def test_choices_are_told_in_nats_and_so_are_controls_and_their_bound(
    compare: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = in_nats(compare)
    write(tmp_path, result)
    text = " ".join(printed(read(tmp_path), capsys).split())
    assert "pro −0.50 [−1.00, 0.25] 0.031 !" in text
    assert "vector + against −, out of fold −1.25 [−2.50, 0.50] 0.250 50.0" in text
    assert "random 2 −1.25 [−2.50, 0.50] −1.25" in text
    assert "random 3 −1.25" not in text
    assert "|random|, 95th percentile of 19 0.75 0.75 0.75" in text
    assert "Steerability of the vector: +2.00 [1.00, 3.00] nats a unit of magnitude, 25.0 % of 6" in text
    assert "! Options hold less than half of the mass that they hold at baseline: pro." in text


def test_a_narrow_run_tells_both_effects_and_what_they_rest_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = read(synthetic.suffix_run(tmp_path / "run", n=6))
    spill = Spillover("pro", 20.0, (3.0, 40.0), 8, -5.0, (-13.0, 4.0), 12, -0.25, (None, 0.5))
    rates = {name: rates_alone(arm) for name, arm in result.arms.items()}
    emergent = Emergent(
        interventions={"pro": Made(method="trained", layer=3, magnitude=0.2, epochs=4, k=None, kept=None)},
        sets={"narrow task": rates, "scenarios": rates},
        spillover={"scenarios": {"trained": spill, "pro": spill}},
        matched={"scenarios": None},
        equal_epochs={"scenarios": (EqualEpochs("pro", "anti", 4, 2.0, (-1.0, 3.0), 1.0, (-3.0, 4.0)),)},
        control_range={"scenarios": ControlRange(n=4, narrow_points=3.0, broad_points=4.0)},
        dials=(),
        energy={"pair differences": (0.6, 0.4)},
        notes=("What must be said.",),
        training=Training(losses=(2.0, 1.0), last_over_first=0.5),
    )
    arms = {name: replace(arm, measures={"held_out_nll": 1.5}) for name, arm in result.arms.items()}
    text = " ".join(printed(result.model_copy(update={"emergent": emergent, "arms": arms}), capsys).split())
    assert text.startswith(
        "The trained vector moves the narrow task by +20.0 points and has no clear effect on"
    )
    rate = f"{100 * (rates['pro'].rate_all or 0):.1f}"
    assert f"pro {rate} +20.0 [3.0, 40.0] {rate} −5.0 [−13.0, 4.0] −0.25 [−∞, 0.5]" in text
    assert "pro − anti equal epochs: 4 scenarios +2.0 [−1.0, 3.0] +1.0 [−3.0, 4.0]" in text
    for said in (
        "no adapter and vector whose narrow",
        "(4) move the narrow task by up to 3.0 points, scenarios",
    ):
        assert said in text
    assert "mean loss 2.000 in the first epoch, 1.000 in the last of 2. What must be said." in text
    assert re.search(r"pro [\d.]+ [\d.]+ – 1\.50", text)
