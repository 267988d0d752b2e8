"""How far does a prompt suffix move the model? Baseline, neutral, pro and anti on the same scenarios."""

from __future__ import annotations

from pathlib import Path

from experiments.options import Options
from experiments.running import dry_run, finish, run_arms
from experiments.session import Session, open_session
from steer.results import Result
from steer.results.record import Plan
from steer.show.terminal import print_result
from steer.suffixes import SuffixSet
from steer.types import Arm


def suffix_arms(suffixes: SuffixSet) -> list[Arm]:
    """Baseline, neutral (where the set has one), pro and anti."""
    neutral = [Arm("neutral", suffixes.neutral)] if suffixes.neutral else []
    return [Arm("baseline"), *neutral, Arm("pro", suffixes.pair.pro), Arm("anti", suffixes.pair.anti)]


def suffix(options: Options) -> tuple[Result | Plan, Path | None]:
    """Run the experiment; its result, and the folder that holds everything (None for a dry run)."""
    with open_session(options) as session:
        return run_suffix(session)


def run_suffix(session: Session) -> tuple[Result | Plan, Path | None]:
    """Run the experiment in an open session: see `suffix`."""
    options = session.options
    arms = suffix_arms(session.suffixes)
    if options.dry_run:
        return dry_run(session, "suffix", arms), None
    folder, store = run_arms(session, "suffix", arms)
    with store:
        found = finish(session, store)
    if not options.quiet:
        print_result(session.screen, found, folder)
    return found, folder
