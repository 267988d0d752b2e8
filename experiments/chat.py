"""Talk to a model with an arm applied, the baseline beside it; suffix, layer and magnitude on the fly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from experiments.options import Options, VectorChoice
from experiments.running import answers
from experiments.session import Session, open_session
from experiments.sweep.vector_source import vector_for
from steer.errors import UserError, choose
from steer.types import Arm
from vectors.vector import SteeringVector, addition

SuffixChoice = Literal["none", "neutral", "pro", "anti"]
SUFFIXES: tuple[SuffixChoice, ...] = get_args(SuffixChoice)
HELP = "/layer N  /magnitude X  /suffix none|neutral|pro|anti  /system TEXT  /show  /help  /quit"


@dataclass(frozen=True, slots=True)
class Dials:
    """What the next answer is steered with. Magnitude 0 adds nothing."""

    layer: int
    magnitude: float = 0.0
    suffix: SuffixChoice = "none"
    system: str = ""

    def __str__(self) -> str:
        system = f", system {self.system!r}" if self.system else ""
        return f"layer {self.layer}, magnitude {self.magnitude:+g}, suffix {self.suffix}{system}"


def turn(dials: Dials, line: str) -> Dials:
    """The dials after a `/command`; UserError for anything else."""
    name, _, value = line[1:].partition(" ")
    choose(name, ["layer", "magnitude", "suffix", "system", "show", "help", "quit"], what="command")
    try:
        if name == "layer":
            return replace(dials, layer=int(value))
        if name == "magnitude":
            return replace(dials, magnitude=float(value))
    except ValueError:
        raise UserError(f"/{name} {value!r}: allowed is a number, as in /{name} 12") from None
    if name == "suffix":
        return replace(dials, suffix=choose(value, SUFFIXES, what="suffix"))
    return replace(dials, system=value)


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


def talk(options: Options, file: Path | None, *, layer: int, magnitude: float) -> None:
    """Open a model, read a vector's file, and talk at the terminal."""
    session = open_session(options, items=())
    vector = None if file is None else vector_for(session, VectorChoice(file=file))
    chat(session, vector, layer=layer, magnitude=magnitude, read=lambda: input("> "))


def chat(
    session: Session, vector: SteeringVector | None, *, layer: int, magnitude: float, read: Callable[[], str]
) -> None:
    """Read lines with `read` until /quit or the end of input; print baseline and steered answers.

    Every message starts afresh: what was said before is not sent again.
    """
    if len(session.options.temperatures) > 1:
        raise UserError(f"--temperature {session.options.temperatures}: a talk has one; give one")
    screen = session.screen
    dials = Dials(layer, magnitude)
    checked(dials, session, vector)  # a layer that the vector lacks is said before anyone types
    screen.note(f"{HELP}\nevery message starts afresh; now: {dials}")
    while True:
        try:
            line = read().strip()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if line == "/quit":
                return
            if line == "/help":
                screen.note(HELP)
            elif line.startswith("/"):
                dials = dials if line == "/show" else checked(turn(dials, line), session, vector)
                screen.note(f"{dials}")
            elif line:
                arms = [Arm("baseline"), arm_of(dials, session, vector)]
                found = answers(session, line, arms, system=dials.system)
                screen.side_by_side({"baseline": found["baseline"], f"steered: {dials}": found["steered"]})
        except UserError as error:
            screen.note(f"error: {error}")


def checked(dials: Dials, session: Session, vector: SteeringVector | None) -> Dials:
    """The dials, unless they ask for what there is not; UserError then, even at magnitude 0."""
    arm_of(dials, session, vector)
    if vector is not None:
        addition(vector, dials.layer, dials.magnitude)
    return dials
