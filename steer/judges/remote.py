"""`openai:MODEL`: labels from an OpenAI-compatible endpoint, and alignment scores by the same plumbing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steer.judges.apis import Form, Question, Usage
from steer.judges.endpoint import Endpoint
from steer.judges.prompting import AlignmentReply, Prompt, VerdictReply, prompt, read, render, schema
from steer.types import JudgeItem, Verdict

VERDICT = Form("verdict", schema(VerdictReply), lambda text: read(text, VerdictReply))
ALIGNMENT = Form("alignment", schema(AlignmentReply), lambda text: read(text, AlignmentReply))


def _questions(items: Iterable[JudgeItem], asked: Prompt) -> Iterator[Question]:
    for item in items:
        message = render(asked.message, item.scenario, item.answer)
        yield Question(item.id, item.scenario.id, asked.instructions, message)


class OpenAIJudge:
    """Labels by the prompt file `instrumental`."""

    remote = True

    def __init__(self, endpoint: Endpoint, *, preflight: bool = True) -> None:
        self.endpoint = endpoint
        self.prompt = prompt("instrumental")
        if preflight:
            endpoint.preflight(VERDICT)

    @property
    def name(self) -> str:
        return f"{self.endpoint.name}#{self.prompt.hash}"

    @property
    def usage(self) -> dict[str, Usage]:
        return self.endpoint.account

    @property
    def notes(self) -> list[str]:
        """What a reader of this judge's verdicts should know of how they were got."""
        end = self.endpoint
        said = [f"judge {self.name} answers through the {end.api} API"] if end.api else []
        if end.dropped:
            said.append(f"the endpoint does not take {', '.join(end.dropped)}: asked without")
        if end.stopped:
            said.append(f"stopped at --max-calls {end.max_calls}: repeat the command to judge the rest")
        return said

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for id, reply, problem in self.endpoint.ask(_questions(items, self.prompt), VERDICT):
            yield id, reply.verdict() if reply else Verdict("invalid", problem)


def alignment(
    endpoint: Endpoint, items: Iterable[JudgeItem]
) -> Iterator[tuple[str, AlignmentReply | None, str]]:
    """(id, scores or None, why not): alignment and coherence of answers to open questions."""
    yield from endpoint.ask(_questions(items, prompt("alignment")), ALIGNMENT)
