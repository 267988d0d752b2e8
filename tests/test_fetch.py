"""Fetching from a real local server: once, by checksum, with one line when it cannot be."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from steer import scenarios, suffixes
from steer.errors import UserError
from steer.paper import fetch

DATA = Path(__file__).parents[2] / "shared/data"
ROOT = "instrumental_steering-f698626cafe/"


class Server(HTTPServer):
    """Serves `content` at every path; `asked` holds the paths."""

    content: bytes = b""
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive/f698626.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if not self.server.content:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(ROOT + name, content)
    return out.getvalue()


@pytest.fixture
def benchmark() -> dict[str, bytes]:
    folder = DATA / "instrumental_eval"
    if not folder.is_dir():
        pytest.skip("../shared/data/instrumental_eval is not here")
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.fixture
def constants() -> tuple[str, str]:
    if not (DATA / "paper_suffixes.json").is_file():
        pytest.skip("../shared/data/paper_suffixes.json is not here")
    pair = suffixes.load(DATA / "paper_suffixes.json").pair
    return pair.pro, pair.anti


def script(pro: str, anti: str) -> bytes:
    """A program that may not be run, with the constants as an author would write them."""
    halves = f"({anti[:40]!r}\n    {anti[40:]!r})"
    return (
        f'import no_such_module\n\nPRO_IC_SUFFIX: str = """\n{pro}\n"""\nANTI_IC_SUFFIX = {halves}\n'
        "raise SystemExit(PRO_IC_SUFFIX)\n"
    ).encode()


def test_the_benchmark_is_downloaded_once(
    server: Server, benchmark: dict[str, bytes], tmp_path: Path
) -> None:
    nested = {f"data/deep/{name}": content for name, content in benchmark.items()}
    stale = {f"old/{name}": b"context\nanother file of the same name\n" for name in benchmark}
    server.content = zipped(stale | nested)
    folder = fetch.benchmark(url=server.url, cache=tmp_path)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == benchmark
    assert len(scenarios.load(folder)) == 76
    assert fetch.benchmark(url=server.url, cache=tmp_path) == folder
    assert len(server.asked) == 1


def test_model_written_evaluations_are_told_apart_by_checksum(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (DATA / "mwe").is_dir():
        pytest.skip("../shared/data/mwe is not here")
    files = {path.name: path.read_bytes() for path in (DATA / "mwe").glob("*.jsonl")}
    others = {f"lm_generated_evals/{name}": b"{}\n" for name in files}
    server.content = zipped(others | {f"persona/{name}": content for name, content in files.items()})
    folder = fetch.model_written(url=server.url, cache=tmp_path)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == files
    monkeypatch.setattr(fetch, "model_written", lambda: folder)
    assert len(scenarios.load("mwe:no-shut-down,self-replication", per_category=5)) == 10


def test_an_archive_put_there_by_hand_is_used(
    server: Server, benchmark: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "f698626.zip").write_bytes(zipped(benchmark))
    assert len(scenarios.load(fetch.benchmark(url=server.url, cache=tmp_path))) == 76
    assert not server.asked


def test_a_damaged_copy_is_restored(server: Server, benchmark: dict[str, bytes], tmp_path: Path) -> None:
    server.content = zipped(benchmark)
    folder = fetch.benchmark(url=server.url, cache=tmp_path)
    victim = next(folder.iterdir())
    victim.write_bytes(b"context\nsomething else\n")
    assert fetch.benchmark(url=server.url, cache=tmp_path) == folder
    assert victim.read_bytes() == benchmark[victim.name]
    assert len(server.asked) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f698626.zip", "instrumental-eval"]


def test_a_wrong_checksum_is_refused(server: Server, benchmark: dict[str, bytes], tmp_path: Path) -> None:
    name = "Alignment Drift - Evading Shutdown.csv"
    server.content = zipped(benchmark | {name: benchmark[name] + b"one more task\n"})
    with pytest.raises(UserError) as caught:
        fetch.benchmark(url=server.url, cache=tmp_path)
    assert f"expected sha256 c6c2dd40c833 for {name!r}, found sha256 " in str(caught.value)
    assert str(caught.value).endswith("delete the archive and try again")
    assert not (tmp_path / "instrumental-eval").exists()


def test_a_missing_file_is_named(server: Server, tmp_path: Path) -> None:
    server.content = zipped({"README.md": b"hello"})
    for run, name in [
        (fetch.benchmark, "Deceptive Behavior.csv"),
        (fetch.paper_suffixes, "main_jh2.py"),
        (fetch.paper_runs, "stdout.log"),
    ]:
        with pytest.raises(UserError, match=rf"expected .* for .*{name}', found none: "):
            run(url=server.url, cache=tmp_path)


def test_no_network_names_the_ways_out(tmp_path: Path) -> None:
    with Server(("127.0.0.1", 0), Handler) as closed:
        url = closed.url
    with pytest.raises(UserError) as caught:
        fetch.benchmark(url=url, cache=tmp_path)
    assert str(caught.value) == (
        f"{url} cannot be reached: with a network, run the command again; without one, put the archive "
        f"at {tmp_path}/f698626.zip, or name a folder or file of your own (--scenarios, --suffixes)"
    )


def test_an_error_page_and_a_cut_archive_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f698626\.zip answered 404: with a network"):
        fetch.paper_suffixes(url=server.url, cache=tmp_path)
    server.content = zipped({"README.md": b"hello" * 100})[:60]
    with pytest.raises(UserError, match=r"gave no zip archive \(it may have been cut off\): with a"):
        fetch.paper_suffixes(url=server.url, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_papers_suffixes_are_read_and_not_run(
    server: Server, constants: tuple[str, str], tmp_path: Path
) -> None:
    server.content = zipped({"attic/deep/main_jh2.py": b"old = 1\n", "main_jh2.py": script(*constants)})
    path = fetch.paper_suffixes(url=server.url, cache=tmp_path)
    pro, anti = fetch.paper_constants(path)
    assert (pro.strip(), anti) == constants
    assert fetch.paper_suffixes(url=server.url, cache=tmp_path) == path
    assert len(server.asked) == 1


def test_the_paper_is_a_source_of_suffixes(
    constants: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "main_jh2.py"
    path.write_bytes(script(*constants))
    monkeypatch.setattr(fetch, "paper_suffixes", lambda: path)
    paper = suffixes.load("paper")
    assert paper.pair.name == "paper"
    assert suffixes.compose("x", paper.pair.pro) == suffixes.compose("x", constants[0])


def test_other_suffixes_are_refused(server: Server, constants: tuple[str, str], tmp_path: Path) -> None:
    pro, anti = constants
    server.content = zipped({"main_jh2.py": script(pro + "!", anti)})
    with pytest.raises(UserError, match=r"PRO_IC_SUFFIX has sha256 \w{12}, not 9f0b6c1b09b3: it is not the"):
        fetch.paper_suffixes(url=server.url, cache=tmp_path)
    assert not list((tmp_path / "paper-suffixes").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = (", "not Python: delete it and fetch paper-suffixes again"),
        (b"\0", "not Python: delete it and fetch paper-suffixes again"),
        (b"PRO_IC_SUFFIX = str(3)\n", "no text constant PRO_IC_SUFFIX: delete it and fetch"),
        (b"def f():\n    PRO_IC_SUFFIX = 'x'\n", "no text constant PRO_IC_SUFFIX: delete it and fetch"),
    ],
)
def test_a_script_without_the_constants_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "main_jh2.py"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        fetch.paper_constants(path)
    assert message in str(caught.value)


def test_run_folders_are_found_wherever_they_lie(server: Server, tmp_path: Path) -> None:
    whole = {f"results/run{i}/{n}": f"{i}{n}".encode() for i in range(3) for n in fetch.RUN_FILES}
    server.content = zipped(whole | {"config.json": b"{}", "results/half/config.json": b"{}"})
    folder = fetch.paper_runs(url=server.url, cache=tmp_path)
    found = {f"results/{p.relative_to(folder)}": p.read_bytes() for p in folder.glob("*/*")}
    assert found == whole
    fetch.paper_runs(url=server.url, cache=tmp_path)
    assert len(server.asked) == 1


def test_unknown_data_are_named() -> None:
    with pytest.raises(UserError) as caught:
        fetch.fetch("instrumental_eval")
    assert str(caught.value) == (
        "unknown data 'instrumental_eval': allowed are instrumental-eval, paper-suffixes, paper-runs, "
        "model-written-evals; did you mean 'instrumental-eval'?"
    )
