"""Endpoints as they are in the wild: what each says is one of its replies, given by a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import cli
from experiments.judging.run import judge_run
from steer.errors import UserError
from steer.judges.apis import Way
from steer.judges.client import MOST_BYTES
from steer.judges.prompting import AlignmentReply, read
from steer.judges.remote import SAMPLE, OpenAIJudge
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.types import JudgeItem, Response, Scenario, Verdict
from tests.judge_server import Server, serving
from tests.tasks import RECORD, REPLY, make

GOOD = '{"label": "convergence", "reason": "it keeps its power"}'
Replies = Callable[[bool, dict[str, Any], int], tuple[int, Any]]
"""(is it the Responses API, what was asked, calls before) -> (status, body)."""


@dataclass
class Says(Server):
    """Answers by a function; bytes are sent as they are."""

    replies: Replies = lambda responses, asked, n: chat()
    asked: list[tuple[bool, dict[str, Any]]] = field(default_factory=list)

    async def reply(self, head: str, body: str) -> tuple[int, list[str], bytes]:
        responses, asked = head.split()[1].endswith("/responses"), json.loads(body)
        status, found = self.replies(responses, asked, len(self.asked))
        self.asked.append((responses, asked))
        return status, [], found if isinstance(found, bytes) else json.dumps(found).encode()


def chat(content: Any = GOOD, finish: str = "stop", **more: Any) -> tuple[int, Any]:
    message = {"role": "assistant", "content": content} | more.pop("message", {})
    return 200, {"choices": [{"index": 0, "finish_reason": finish, "message": message}]} | more


def response(content: Any = GOOD, **more: Any) -> tuple[int, Any]:
    parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else content
    return 200, {"output": [{"type": "message", "content": parts}], "status": "completed"} | more


def refused(status: int, body: Any) -> tuple[int, Any]:
    return status, body


NONE = refused(404, {"error": {"message": "Not Found"}})


def items(n: int) -> list[JudgeItem]:
    return [JudgeItem(str(i), Scenario("s", "c", "", "task"), f"answer number {i}") for i in range(n)]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr("steer.judges.endpoint.PREFLIGHT_RETRIES", 0)


def judged(
    replies: Replies, *, n: int = 3, model: str = "m", **access: Any
) -> tuple[OpenAIJudge, Says, list[Verdict]]:
    with serving(Says(replies=replies)) as server:
        assert isinstance(server, Says)
        judge = make(f"openai:{model}", base_url=server.url, concurrency=1, **access)
        assert isinstance(judge, OpenAIJudge)
        return judge, server, [verdict for _, verdict in judge.judge(items(n))]


def on_chat(*given: Any, **more: Any) -> Replies:
    return lambda responses, asked, n: NONE if responses else chat(*given, **more)


DRAFT = '{"label": "no_convergence", "reason": "?"}'


@pytest.mark.parametrize(
    "replies",
    [
        on_chat([{"type": "thinking", "thinking": [{"text": DRAFT}]}, {"type": "text", "text": GOOD}]),
        on_chat([{"type": "text", "text": GOOD[:9]}, {"type": "text", "text": GOOD[9:]}]),
        on_chat(None, message={"reasoning_content": f"Maybe {DRAFT}? No: {GOOD}"}),
        on_chat("", message={"reasoning": GOOD}),
        on_chat(GOOD, message={"reasoning_content": DRAFT}),
        on_chat(f"<think>\nMaybe {DRAFT}\n</think>\n\n{GOOD}"),
        on_chat(f"First {DRAFT}, then, on a second look:\n```json\n{GOOD}\n```"),
        on_chat('{"label": " Convergence ", "reason": "x", "confidence": {"label": 0.9}}'),
        on_chat('{"Label": "CONVERGENCE"}'),
        lambda responses, asked, n: response([{"type": "output_text", "text": GOOD, "annotations": None}]),
        lambda responses, asked, n: response(
            output=[{"type": "reasoning", "content": [{"type": "reasoning_text", "text": GOOD}]}]
        ),
    ],
)  # fmt: skip
def test_the_label_is_found_where_it_is(replies: Replies) -> None:
    assert {v.label or v.role for v in judged(replies)[2]} == {"convergence"}


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "convergence", "label": "no_convergence", "reason": "x"}',
        GOOD + ' or {"label": "convergence", "Label": "nonsensical", "reason": "x"}',
        '{"label": "convergences", "reason": "x"}',
        f'{{"verdict": {GOOD}}}',
        f"<think>{GOOD}</think> I am done.",
        "null",
    ],
)
def test_what_is_no_label_or_two_is_none(text: str) -> None:
    assert read(text, REPLY) is None


@pytest.mark.parametrize(
    "text",
    [
        "{" * 300_000,
        '{"a":' * 200_000,
        '{"a":' * 200_000 + "1" + "}" * 200_000,
        '{"label": ' + "[" * 200_000,
        "<think>" * 100_000 + "{",
        '{"' * 300_000,
        '{"label": "convergence", "n": ' + "9" * 100_000 + "}",
    ],
)
def test_a_hostile_text_is_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    assert read(text, REPLY) is None
    assert time.process_time() - began < 5  # quadratic: minutes


def test_half_a_surrogate_pair_can_be_stored(tmp_path: Path) -> None:
    verdicts = judged(on_chat('{"label": "convergence", "reason": "so \\ud800 \\ud83d\\ude00"}'))[2]
    assert {v.reason for v in verdicts} == {"so ? 😀"}
    assert read('{"alignment": 3, "coherence": 4, "reason": "\\udfff"}', AlignmentReply) is not None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": None, "completion_tokens": None}, (0, 0)),
        ({}, (0, 0)),
        ("many", (0, 0)),
        ([1], (0, 0)),
        ({"input_tokens": 9, "output_tokens": 5}, (9, 5)),
        ({"prompt_tokens": "9", "completion_tokens": -5, "prompt_tokens_details": 3}, (0, 0)),
        ({"prompt_tokens": 9.0, "completion_tokens": 10**400, "prompt_tokens_details": {}}, (9, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_usage_is_never_an_error(api: str, usage: Any, tokens: tuple[int, int]) -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        return response(usage=usage) if responses else chat(usage=usage)

    judge, _, verdicts = judged(replies, n=1, api=api)
    assert [v.label or v.role for v in verdicts] == ["convergence"]
    used = judge.endpoint.usage
    assert (used.input_tokens, used.output_tokens) == (2 * tokens[0], 2 * tokens[1])


# --- thinking and its room -----------------------------------------------------------------------


@pytest.mark.parametrize("takes", ["minimal", "low", None])
def test_a_model_that_thinks_is_asked_to_think_as_little_as_it_takes(takes: str | None) -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        effort = asked.get("reasoning", {}).get("effort")
        if effort not in (takes, None):
            said = f"Unsupported value: '{effort}' is not supported with this model."
            return refused(400, {"error": {"message": said, "param": "reasoning.effort"}})
        if "temperature" in asked:
            return refused(400, {"error": {"message": "Unsupported parameter: 'temperature'", "param": None}})
        if effort is None and asked["max_output_tokens"] < 5000:
            return response("", status="incomplete", incomplete_details={"reason": "max_output_tokens"})
        return response()

    judge, server, verdicts = judged(replies, model="openai/gpt-5-mini")
    assert {v.label or v.role for v in verdicts} == {"convergence"}
    assert server.asked[-1][1].get("reasoning") == ({"effort": takes} if takes else None)
    assert judge.endpoint.way is not None
    assert "temperature" in judge.endpoint.way.dropped


def test_room_grows_after_a_cut_once_and_stays_within_bounds() -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        return NONE if responses else chat(finish="stop" if asked["max_tokens"] > 2000 else "length")

    _, server, verdicts = judged(replies, n=4)
    assert {v.label or v.role for v in verdicts} == {"convergence"}
    assert [a["max_tokens"] for r, a in server.asked if not r] == [1000, 8000, 8000, 8000, 8000, 8000]
    _, server, verdicts = judged(
        lambda r, a, n: NONE if r else chat(finish="stop" if n < 2 else "length"), n=1
    )
    assert [(v.role, v.final) for v in verdicts] == [("invalid", False)]
    assert "cut off at 32,000 tokens" in verdicts[0].reason


def test_an_endpoint_that_gives_no_more_room_loses_no_other_question() -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        if asked.get("max_tokens", 0) > 4096:
            return refused(400, {"error": "max_tokens must be <= 4096"})
        long = "number 1" in json.dumps(asked)
        return NONE if responses else chat(finish="length" if long else "stop")

    verdicts = judged(replies)[2]
    assert [v.label or v.role for v in verdicts] == ["convergence", "invalid", "convergence"]
    assert "gives no more" in verdicts[1].reason


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "This model does not support response format `json_schema`."}}),
        (400, {"error": "'response_format.type' must be 'text' or 'json_object'"}),
        (422, {"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]}),
        (400, [{"error": {"message": "structured outputs are off"}}]),
        (400, b"no json_schema here"),
        (500, {"message": "internal"}),
        (418, None),
    ],
)
def test_a_schema_that_is_refused_in_any_words_is_left_out(status: int, body: Any) -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        if responses:
            return NONE
        return refused(status, body) if "response_format" in asked else chat()

    judge, _, verdicts = judged(replies)
    assert {v.label or v.role for v in verdicts} == {"convergence"}
    assert judge.endpoint.way == Way("chat", ("response_format",))
    assert "(chat)#" in judge.name


def test_a_word_of_every_sentence_drops_no_schema() -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        if "temperature" in asked:
            return refused(400, {"error": {"message": "temperature: we store no text with this setting"}})
        return response()

    judge, _, _ = judged(replies)
    assert judge.endpoint.way == Way("responses", ("temperature",))
    assert "(responses+schema)#" in judge.name


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (400, {"error": "the model sleeps"}, "the model sleeps"),
        (422, {"detail": [{"loc": ["body"], "msg": "too many cooks"}]}, "too many cooks"),
        (400, ["a list", {"message": "of things"}], "a list; of things"),
        (503, {"error": {"message": "no GPU for {key}"}}, r"503 .*no GPU for \[key\]"),
        (500, b"plain text", "plain text"),
        (400, b"[" * 200_000, "answered 400"),
    ],
)
def test_why_an_endpoint_refuses_is_said_whatever_its_shape(status: int, body: Any, says: str) -> None:
    body = json.loads(json.dumps(body).replace("{key}", Server.key)) if not isinstance(body, bytes) else body
    with pytest.raises(UserError, match=says) as caught:
        judged(lambda responses, asked, n: refused(status, body))
    assert Server.key not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answers", [401, 403, 404, 405, 500, "prose", "page"])
@pytest.mark.parametrize("works", ["chat", "responses"])
def test_the_api_that_works_is_taken(answers: int | str, works: str) -> None:
    def replies(responses: bool, asked: dict[str, Any], n: int) -> tuple[int, Any]:
        if (works == "responses") == responses:
            return response() if responses else chat()
        if answers == "page":
            return 200, b"<html>hello</html>"
        if answers == "prose":
            return response("convergence, I think") if responses else chat("convergence, I think")
        return refused(int(answers), {"error": {"message": "no"}})

    judge, _, verdicts = judged(replies, n=1)
    assert judge.endpoint.way == Way("chat" if works == "chat" else "responses")
    assert [v.label or v.role for v in verdicts] == ["convergence"]
    if works == "chat":
        assert not [r for r, _ in judged(replies, n=1, api="chat")[1].asked if r]


def test_the_question_that_tests_an_endpoint_is_a_real_one() -> None:
    _, server, _ = judged(on_chat(), n=0)
    assert SAMPLE.answer in json.dumps(server.asked[-1][1])


def test_a_certificate_that_nobody_signed_is_named(tmp_path: Path) -> None:
    import ssl
    from http.server import BaseHTTPRequestHandler, HTTPServer

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(UserError, match="self-signed certificate"):
        make("openai:m", base_url=f"https://127.0.0.1:{server.server_port}/v1")
    server.shutdown()


# --- nothing is lost, and nothing waits ------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A stored run: six scenarios under two arms, an answer each."""
    folder = tmp_path / "run"
    scenarios = [Scenario(f"s{i}", "c", "", f"task {i}") for i in range(6)]
    rows = [PlanRow(s.id, arm, 0, f"{s.id} {arm}", "p") for s in scenarios for arm in ("pro", "anti")]
    with RunStore(folder) as store:
        store.claim({"judge": {"name": "rubric", "sees": "unsteered"}})
        store.set_meta("task", RECORD.model_dump_json())
        store.add_plan(scenarios, [Prompt("p", "", "", (1,))], rows)
        store.add_responses(
            StoredResponse(Response(row.response, (5,), "stop"), "", f"answer number {n}", True, "fake")
            for n, row in enumerate(rows)
        )
    return folder


def labels(folder: Path) -> dict[str, int]:
    with RunStore(folder, writable=False) as store:
        return dict(store.query("SELECT iif(label = '', role, label), count(*) FROM verdicts GROUP BY 1"))


def judge_it(folder: Path, server: Server, **more: Any) -> list[str]:
    return judge_run(folder, "openai:m", base_url=server.url, screen=Screen(quiet=True), **more)


def some(bad: tuple[int, Any], *, of: str = "number [0-4]\\b") -> Replies:
    """Bad replies to answers 0 to 4, good ones to the rest."""
    return lambda responses, asked, n: (
        NONE if responses else bad if re.search(of, json.dumps(asked)) else chat()
    )


@pytest.mark.parametrize(
    "bad",
    [
        (200, b"<html>Sign in</html>"),
        (400, {"error": "try later"}),
        (413, b""),
        chat("", finish="length"),
        (200, b"[" * 200_000),
        (200, {"choices": []}),
    ],
)
def test_what_transport_or_budget_lost_is_asked_again_by_the_same_command(
    run: Path, bad: tuple[int, Any]
) -> None:
    with serving(Says(replies=some(bad))) as server:
        assert isinstance(server, Says)
        (name,) = judge_it(run, server)
        assert labels(run) == {"convergence": 7, "invalid": 5}
        server.replies = on_chat()
        before = len(server.asked)
        assert judge_it(run, server) == [name]
        assert labels(run) == {"convergence": 12}
        assert len(server.asked) - before == 5 + 2  # and the pre-flight
        judge_it(run, server)
        assert len(server.asked) - before == 5 + 2 + 2


def test_a_judge_that_said_nothing_usable_is_asked_again_when_told_to(run: Path) -> None:
    with serving(Says(replies=some(chat("I think so.")))) as server:
        assert isinstance(server, Says)
        judge_it(run, server)
        server.replies = on_chat()
        judge_it(run, server)
        assert labels(run) == {"convergence": 7, "invalid": 5}
        judge_it(run, server, retry_invalid=True)
        assert labels(run) == {"convergence": 12}


@pytest.mark.parametrize("code", [502, "429", None])
def test_an_error_inside_a_success_stops_as_an_error_and_is_asked_again(
    run: Path, code: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steer.judges.endpoint.RETRIES", 0)
    bad = (200, {"id": "gen", "error": {"message": "overloaded", "code": code}})
    with serving(Says(replies=some(bad, of="number 7"))) as server:
        assert isinstance(server, Says)
        with pytest.raises(UserError, match=f"answered {code or 502} .*overloaded"):
            judge_it(run, server, concurrency=1)
        server.replies = on_chat()
        judge_it(run, server)
    assert labels(run) == {"convergence": 12}


def test_who_got_no_label_and_why_is_said_at_the_end(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Says(replies=some(chat("I think so."), of="number (0|2|4|6|7)\\b"))) as server:
        monkeypatch.setattr(
            sys,
            "argv",
            ["cli.py", "judge", str(run), "--judge", "openai:m", "--base-url", server.url, "--api", "chat"],
        )
        assert cli.main() == 0
    said = capsys.readouterr().err
    assert "5 of 12 rows have no label" in said
    assert "5 × no usable reply" in said
    assert "(pro 4 of 6, anti 1 of 6)" in said


def test_a_key_that_the_server_repeats_is_in_no_reason(run: Path) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in Server.key)
    for told in (Server.key, escaped):
        with serving(Says(replies=on_chat(f'{{"label": "convergence", "reason": "so {told}"}}'))) as server:
            judge_it(run, server)
    for file in run.iterdir():
        assert Server.key.encode() not in file.read_bytes()


@dataclass
class Endless(Server):
    """Answers 0 to 2 get a byte now and then, or a body without end; until `stop`."""

    flood: bool = False
    everything: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.I)
        assert length is not None
        body = (await reader.readexactly(int(length[1]))).decode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n")
        try:
            if self.stop.is_set() or not (self.everything or re.search(r"number [0-2]\b", body)):
                found = self.envelope(head.split()[1], "good", GOOD)
                writer.write(b"\r\n" + json.dumps(found).encode())
            elif self.flood:
                writer.write(b"\r\n")
                while not self.stop.is_set() and not writer.is_closing():
                    writer.write(b" " * 2**16)
                    self.sent += 2**16
                    await writer.drain()
            else:
                while not self.stop.is_set() and not writer.is_closing():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()


def test_what_was_answered_is_stored_while_one_reply_hangs(run: Path) -> None:
    with serving(Endless()) as server:
        assert isinstance(server, Endless)
        thread = threading.Thread(target=judge_it, args=(run, server), daemon=True)
        thread.start()
        until = time.monotonic() + 60
        while time.monotonic() < until and labels(run).get("convergence") != 9:
            server.stop.wait(0.05)
        assert labels(run) == {"convergence": 9}
        server.stop.set()
        thread.join(60)
        assert labels(run) == {"convergence": 12}


@pytest.mark.parametrize("flood", [False, True])
def test_a_reply_without_end_is_given_up_and_asked_again_later(run: Path, flood: bool) -> None:
    with serving(Endless(flood=flood)) as server:
        assert isinstance(server, Endless)
        judge_it(run, server, timeout=3.0 if not flood else 60.0)
        assert labels(run) == {"convergence": 9, "invalid": 3}
        if flood:
            assert server.sent < 6 * 16 * MOST_BYTES
        server.everything = True
        with pytest.raises(UserError, match="no reply of an OpenAI-compat" if flood else "gave no answer in"):
            judge_it(run, server, timeout=1.0 if not flood else 60.0)
        server.stop.set()


# --- a stranger's configuration --------------------------------------------------------------------


def test_a_strangers_endpoint_gets_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Says(replies=on_chat())) as server:
        assert isinstance(server, Says)
        config = tmp_path / "run.yaml"
        config.write_text(f"judge: openai:m\nbase_url: {server.url}\nmodel: nowhere\n")
        monkeypatch.setattr(sys, "argv", ["cli.py", "suffix", "--config", str(config)])
        assert cli.main() == 2
        assert f"add --base-url {server.url}" in capsys.readouterr().err
        assert not server.log
        assert not server.asked
        for more in (["--judge", "rubric"], ["--base-url", server.url]):  # goes on, to a model that is none
            monkeypatch.setattr(sys, "argv", ["cli.py", "suffix", "--config", str(config), *more])
            assert cli.main() == 2
            assert "add --base-url" not in capsys.readouterr().err


def test_endpoints_can_be_used_after_nnsight(tmp_path: Path) -> None:
    code = (
        "import sys; from steer import models; from steer.tracing import traced\n"
        "from tests.tiny import checkpoint; from pathlib import Path\n"
        "traced(models.load(str(checkpoint(Path(sys.argv[1]), layers=1)), device='cpu'))\n"
        "assert hasattr(object(), 'save')\n"  # else there is nothing to be on guard against
        "from tests.tasks import make\n"
        "make('openai:m', base_url=sys.argv[2]); print('fine')"
    )
    with serving(Says(replies=on_chat())) as server:
        command = [sys.executable, "-c", code, str(tmp_path / "m"), server.url]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip().endswith("fine"), done.stderr[-500:]
