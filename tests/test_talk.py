"""`python cli.py chat`: dials, answers beside each other, and mistakes that end nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from experiments.chat import Dials, arm_of, chat, turn
from experiments.options import Options
from experiments.running import answers
from experiments.session import Session, open_session
from steer.errors import UserError
from steer.types import Arm
from tests.tasks import ORGANISM_TASK
from tests.tiny import LAYERS, WIDTH, checkpoint
from vectors.vector import Provenance, SteeringVector, addition


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    model = checkpoint(tmp_path_factory.mktemp("chat") / "tiny")
    return open_session(
        Options(
            model=str(model), scenarios=ORGANISM_TASK.scenarios, per_category=1, new_tokens=8, context="none"
        )
    )


@pytest.fixture(scope="module")
def vector() -> SteeringVector:
    made = torch.randn(LAYERS, WIDTH, generator=torch.Generator().manual_seed(1))
    return SteeringVector(
        {layer: made[layer] for layer in (1, 2)},
        Provenance(d_model=WIDTH, n_layers=LAYERS),
        norms={"last": {1: 20.0, 2: 20.0}},
    )


def typed(lines: Sequence[str]) -> Callable[[], str]:
    left: Iterator[str] = iter(lines)

    def read() -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    return read


def test_the_dials_turn_one_at_a_time() -> None:
    dials = Dials(10)
    for line in ("/layer 12", "/magnitude -0.25", "/suffix anti", "/system Be kind, please."):
        dials = turn(dials, line)
    assert dials == Dials(12, -0.25, "anti", "Be kind, please.")
    assert str(dials) == "layer 12, magnitude -0.25, suffix anti, system 'Be kind, please.'"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/layer ten", "/layer 'ten': allowed is a number, as in /layer 12"),
        ("/magnitude", "/magnitude '': allowed is a number"),
        ("/suffix por", "unknown suffix 'por': allowed are none, neutral, pro, anti; did you mean 'pro'?"),
        ("/layers 3", "unknown command 'layers': .* did you mean 'layer'"),
    ],
)
def test_a_mistyped_command_says_what_is_allowed(line: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        turn(Dials(10), line)


def test_answers_are_those_of_the_arms_and_the_system_text_is_sent(
    session: Session, vector: SteeringVector
) -> None:
    loud = Arm("loud", additions=(addition(vector, 2, 3.0),))
    found = answers(session, "What do you do?", [Arm("baseline"), Arm("same"), loud])
    assert list(found) == ["baseline", "same", "loud"]
    assert found["baseline"] == found["same"] != found["loud"]
    told = answers(session, "What do you do?", [Arm("baseline")], system="Context of a warehouse.")
    assert told["baseline"] != found["baseline"]  # although scenarios are run without their context here


def test_a_talk_goes_on_after_mistakes(
    session: Session, vector: SteeringVector, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["/layer 3", "/magnitude 3", "/suffix x", "hello", "/quit", "never read"]
    chat(session, vector, layer=2, magnitude=0.0, read=typed(lines))
    out, err = capsys.readouterr()
    assert "error: unknown suffix 'x'" in err
    assert out.count("baseline") == 1
    assert "steered: layer 3, magnitude" not in out  # layer 3 has no direction: refused where it was typed
    assert "steered: layer 2, magnitude +3, suffix none" in out


def test_a_magnitude_needs_a_vector_and_a_layer_that_it_has(session: Session, vector: SteeringVector) -> None:
    with pytest.raises(UserError, match="start chat with --vector FILE"):
        arm_of(Dials(1, 0.2), session, None)
    with pytest.raises(UserError, match="no direction at layer 3: it has 1-2"):
        chat(session, vector, layer=3, magnitude=0.2, read=typed([]))
    chat(session, None, layer=99, magnitude=0.0, read=typed([]))  # nothing is added: nothing to refuse


def test_the_end_of_input_ends_the_talk(
    session: Session, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    chat(session, None, layer=1, magnitude=0.0, read=typed(["/suffix pro", "hi"]))
    assert "suffix pro" in capsys.readouterr().out
