"""How far does a prompt suffix move the model? Baseline, neutral, pro and anti on the same scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.options import Options
from experiments.propensity_tables import print_propensity
from experiments.running import dry_run, finish, run_arms
from experiments.session import Session, open_session
from experiments.tables import print_arms, print_footer, print_gaps
from steer.suffixes import SuffixSet
from steer.types import Arm


def suffix_arms(suffixes: SuffixSet) -> list[Arm]:
    """Baseline, neutral (where the set has one), pro and anti."""
    neutral = [Arm("neutral", suffixes.neutral)] if suffixes.neutral else []
    return [Arm("baseline"), *neutral, Arm("pro", suffixes.pair.pro), Arm("anti", suffixes.pair.anti)]


def suffix(options: Options) -> tuple[dict[str, Any], Path | None]:
    """Run the experiment; its summary, and the folder that holds everything (None for a dry run)."""
    with open_session(options) as session:
        return run_suffix(session)


def run_suffix(session: Session) -> tuple[dict[str, Any], Path | None]:
    """Run the experiment in an open session: see `suffix`."""
    options = session.options
    arms = suffix_arms(session.suffixes)
    if options.dry_run:
        return dry_run(session, "suffix", arms), None
    folder, store = run_arms(session, "suffix", arms)
    with store:
        summary = finish(session, store)
    if not options.quiet:
        print_arms(session.screen, summary)
        print_gaps(session.screen, summary)
        print_propensity(session.screen, summary, summary["arms"])
        print_footer(session.screen, summary, folder)
    return summary, folder
