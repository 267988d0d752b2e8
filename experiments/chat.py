"""Talk to a model with an arm applied, the baseline beside it; suffix, layer and magnitude on the fly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from experiments.session import Session
from steer.chat import read_answer
from steer.errors import UserError, choose
from steer.plan import plan
from steer.types import Arm, Sampling, Scenario
from vectors.vector import SteeringVector, addition

SuffixChoice = Literal["none", "neutral", "pro", "anti"]
HELP = "/layer N  /magnitude X  /suffix none|neutral|pro|anti  /system TEXT  /show  /quit"


@dataclass(frozen=True, slots=True, eq=False)
class Dials:
    """What the next answer is steered with. Magnitude 0 adds nothing."""

    layer: int
    magnitude: float = 0.0
    suffix: SuffixChoice = "none"
    system: str = ""


def turn(dials: Dials, line: str) -> Dials:
    """The dials after a `/command`; UserError for anything else."""
    name, _, value = line[1:].partition(" ")
    choose(name, ["layer", "magnitude", "suffix", "system"], what="command")
    try:
        if name == "layer":
            return replace(dials, layer=int(value))
        if name == "magnitude":
            return replace(dials, magnitude=float(value))
    except ValueError:
        raise UserError(f"/{name} {value!r}: allowed is a number, as in /{name} 12") from None
    if name == "suffix":
        choose(value, get_args(SuffixChoice), what="suffix")
    return replace(dials, **{name: value})


def arm_of(dials: Dials, session: Session, vector: SteeringVector | None) -> Arm:
    """The arm that the dials describe."""
    pair = session.suffixes.pair
    texts = {"none": "", "neutral": session.suffixes.neutral, "pro": pair.pro, "anti": pair.anti}
    additions = ()
    if dials.magnitude:
        if vector is None:
            raise UserError("/magnitude needs a vector: start chat with --vector FILE")
        additions = (addition(vector, dials.layer, dials.magnitude),)
    return Arm("steered", texts[dials.suffix], additions=additions)


def answers(session: Session, text: str, dials: Dials, vector: SteeringVector | None) -> dict[str, str]:
    """{"baseline": answer, "steered": answer} to one message (each message starts afresh)."""
    scenario = Scenario("chat", "chat", dials.system, text)
    planned = plan(
        session.loaded,
        [scenario],
        [Arm("baseline"), arm_of(dials, session, vector)],
        sampling=[Sampling(session.options.temperatures[0], session.options.seed)],
        limits=session.limits,
        thinking=session.thinking,
    )
    found: dict[str, str] = {}
    for response in session.engine.generate(planned.requests.values()):
        request = planned.requests[response.key]
        answer = read_answer(
            session.loaded.tokenizer, response.output_ids, request.stop_ids, request.prompt_ids
        )
        for row in planned.rows:
            if row.response == response.key:
                found[row.arm] = response.error or answer.text
    return found


def chat(
    session: Session, vector: SteeringVector | None, *, layer: int, magnitude: float, read: Callable[[], str]
) -> None:
    """Read lines with `read` until /quit or the end of input; print baseline and steered answers."""
    dials = Dials(layer, magnitude)
    session.screen.line(HELP)
    while True:
        try:
            line = read().strip()
        except EOFError:
            return
        if line == "/quit":
            return
        try:
            if line == "/show" or not line:
                session.screen.line(f"{dials}")
            elif line.startswith("/"):
                dials = turn(dials, line)
            else:
                found = answers(session, line, dials, vector)
                rows = [[name, found[name]] for name in ("baseline", "steered")]
                session.screen.table("", ["arm", "answer"], rows)
        except UserError as error:
            session.screen.line(f"error: {error}")
