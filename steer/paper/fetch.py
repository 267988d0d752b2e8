"""Brings published data from their repositories, at pinned commits, into the user's cache.

Links to raw files want a commit's full hash and a file's folder; known are the short hash and the
names. So the commit's archive is fetched, once, and looked through by file name. What is taken from
it is trusted by checksum, not by where it came from. It does not know what the files mean.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from steer.errors import UserError, choose
from steer.paper import SCENARIOS

COMMIT = "f698626"
ARCHIVE = f"https://github.com/j-hoscilowicz/instrumental_steering/archive/{COMMIT}.zip"

CHECKSUMS = {
    "Alignment Drift - Deceptive Behavior.csv": (
        "757034719bfa5703a90673fccd594b2d85610bfa8079747f33521982898102af"
    ),
    "Alignment Drift - Evading Shutdown.csv": (
        "c6c2dd40c833f11d450afaa53e5e58327bb69d52f90e47643ea795ef57be69d6"
    ),
    "Alignment Drift - Hacking Computer Systems.csv": (
        "874d84f4595c9a871fc5e884491a99baeded9442e6ae79e74187118ce04bccbf"
    ),
    "Alignment Drift - Hiding Unwanted Behavior.csv": (
        "c6bd396954981b54dea4caf58f73b68534bffc7317570f2318493069ba50e18f"
    ),
    "Alignment Drift - Running Multiple AI Copies.csv": (
        "03224acee7b77832a64e616ff76eb9dc61a6a381391e49b706b718ce544f15c4"
    ),
    "Alignment Drift - Strategically Appearing Aligned.csv": (
        "cbcd421ac0230892c785a77c4c15c2ab9d67dc31847d94521c5b6ec132b09d18"
    ),
}
"""sha256 of each file of the benchmark."""

EVALS_COMMIT = "84fcc67"
EVALS = f"https://github.com/anthropics/evals/archive/{EVALS_COMMIT}.zip"
MODEL_WRITTEN = {
    "desire-for-acquiring-power.jsonl": "f70c0d00068dd96591b08dab60e9d8827ea12f34daca03a68a3544ac39007bdb",
    "desire-for-no-human-oversight-sometimes.jsonl": (
        "1747392295b51819525a3754569181f19039869879a116e29d84107a3d0f98f7"
    ),
    "desire-to-escape-sandbox.jsonl": "c4867363e3b19474d5955bd918e5915e3fe9f4a0073e0b28e25bb004bfc99710",
    "no-shut-down.jsonl": "54cd32ac9fb1285506d536afd0bc3fe80c718b2c1ee31031944605236606f894",
    "resource-acquisition.jsonl": "c746650bcb87334a3b73fb47a49d90ea17c718fd6d22cd638978b860686928c8",
    "self-replication.jsonl": "e3ce7ce7f12a8b9afe97ede24236c600b37cda84aceb3c22fae0fa9b17c9f3a0",
    "survival-instinct.jsonl": "0831782a9e0462f137eb9c4884edd19f248e18f17770f7a4540c67937b3af0e8",
}
"""sha256 of those of Anthropic's model-written evaluations (CC BY 4.0) whose themes the benchmark shares."""

SUFFIXES = {
    "PRO_IC_SUFFIX": "9f0b6c1b09b3c8a2b38b569346f88b9334b4b881fdd426fbeeefba989adfd89b",
    "ANTI_IC_SUFFIX": "9125b498481592c56b5bbf7f7f92b35fc9245d80685594d3b537a639ad9d2ec0",
}
"""sha256 of each text, blank ends stripped; the program around the texts may be any."""

SCRIPT = "main_jh2.py"
RUN_FILES = {"config.json", "stdout.log"}


def fetch(what: str) -> Path:
    """Bring the scenarios, "paper-suffixes", "paper-runs" or "model-written-evals"; where it lies.

    Raises UserError.
    """
    known = {
        SCENARIOS: benchmark,
        "paper-suffixes": paper_suffixes,
        "paper-runs": paper_runs,
        "model-written-evals": model_written,
    }
    return known[choose(what, known, what="data")]()


def benchmark(*, url: str = ARCHIVE, cache: Path | None = None) -> Path:
    """The folder of the benchmark's six CSV files; fetched at most once."""
    return _known_files((cache or user_cache()) / SCENARIOS, CHECKSUMS, url, cache)


def model_written(*, url: str = EVALS, cache: Path | None = None) -> Path:
    """The folder of the model-written evaluations; fetched at most once."""
    return _known_files((cache or user_cache()) / "model-written-evals", MODEL_WRITTEN, url, cache)


def _known_files(folder: Path, checksums: dict[str, str], url: str, cache: Path | None) -> Path:
    """A folder of the archive's files that have these checksums, by name."""
    if all(_sha256(folder / name) == known for name, known in checksums.items()):
        return folder
    source = _archive(url, cache)
    with zipfile.ZipFile(source) as archive:
        files: dict[str, bytes] = {}
        for name, known in checksums.items():
            found = [archive.read(m) for m in _members(archive, name)]
            hashes = [hashlib.sha256(content).hexdigest() for content in found]
            if known not in hashes:
                raise _mismatch(source, name, f"sha256 {known[:12]}", hashes)
            files[name] = found[hashes.index(known)]
    _place(folder, files)
    return folder


def paper_suffixes(*, url: str = ARCHIVE, cache: Path | None = None) -> Path:
    """The paper's script, which holds its suffixes (see paper_constants); fetched at most once."""
    path = (cache or user_cache()) / "paper-suffixes" / SCRIPT
    if not path.is_file():
        source = _archive(url, cache)
        with zipfile.ZipFile(source) as archive:
            members = sorted(_members(archive, SCRIPT), key=lambda m: m.count("/"))
            if not members:
                raise _mismatch(source, SCRIPT, "a file of that name", [])
            _place(path.parent, {SCRIPT: archive.read(members[0])})
    try:
        paper_constants(path)
    except UserError:
        path.unlink()  # so that the next call fetches again
        raise
    return path


def paper_constants(path: Path) -> tuple[str, str]:
    """The paper's pro and anti suffix, read from its script with `ast`: nothing in it is run."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: not Python: delete it and fetch paper-suffixes again") from error
    texts: dict[str, str] = {}
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
            ):
                texts[name] = text
            case _:
                pass
    for name, known in SUFFIXES.items():
        if name not in texts:
            raise UserError(f"{path}: no text constant {name}: delete it and fetch paper-suffixes again")
        found = hashlib.sha256(texts[name].strip().encode()).hexdigest()
        if found != known:
            raise UserError(
                f"{path}: {name} has sha256 {found[:12]}, not {known[:12]}: it is not the paper's text; "
                "delete the file and fetch paper-suffixes again"
            )
    return texts["PRO_IC_SUFFIX"], texts["ANTI_IC_SUFFIX"]


def paper_runs(*, url: str = ARCHIVE, cache: Path | None = None) -> Path:
    """The folder of the paper's run folders (each config.json and stdout.log); fetched at most once.

    No checksum of these is known: hold their label counts against the paper's before using them.
    """
    folder = (cache or user_cache()) / "paper-runs"
    if folder.is_dir():
        return folder
    source = _archive(url, cache)
    with zipfile.ZipFile(source) as archive:
        runs: dict[str, dict[str, str]] = {}
        for member in archive.namelist():
            path = PurePosixPath(member)
            if path.name in RUN_FILES and path.parent.name not in ("", ".", ".."):
                runs.setdefault(path.parent.name, {})[path.name] = member
        files = {
            f"{run}/{name}": archive.read(member)
            for run, members in runs.items()
            if members.keys() == RUN_FILES
            for name, member in members.items()
        }
    if not files:
        raise _mismatch(source, "config.json beside stdout.log", "run folders", [])
    _place(folder, files)
    return folder


def user_cache() -> Path:
    """The user's cache folder of this project."""
    import pooch

    return Path(pooch.os_cache("steergap"))


def _archive(url: str, cache: Path | None) -> Path:
    """The repository's archive in the cache, downloaded if it is not there."""
    import pooch
    from requests.exceptions import HTTPError, RequestException

    name = url.rsplit("/", 1)[-1]
    path = (cache or user_cache()) / name
    ways = (
        f"with a network, run the command again; without one, put the archive at {path}, "
        "or name a folder or file of your own (--scenarios, --suffixes)"
    )
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, None, fname=name, path=path.parent, progressbar=sys.stderr.isatty())
    except HTTPError as error:
        code = error.response.status_code if error.response is not None else "with an error"
        raise UserError(f"{url} answered {code}: {ways}") from error
    except RequestException as error:
        raise UserError(f"{url} cannot be reached: {ways}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}: free some space there") from error
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise UserError(f"{url} gave no zip archive (it may have been cut off): {ways}")
    return path


def _members(archive: zipfile.ZipFile, name: str) -> list[str]:
    return [member for member in archive.namelist() if PurePosixPath(member).name == name]


def _mismatch(archive: Path, name: str, expected: str, hashes: list[str]) -> UserError:
    found = f"sha256 {', '.join(h[:12] for h in hashes)}" if hashes else "none"
    return UserError(
        f"{archive}: expected {expected} for {name!r}, found {found}: the download is damaged or the "
        "published data changed; delete the archive and try again"
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _place(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files, then let the folder appear at once, so that a killed fetch leaves none half."""
    try:
        with TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as temporary:
            new = Path(temporary) / folder.name
            for name, content in files.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if folder.exists():
                shutil.rmtree(folder)
            new.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}: free some space there") from error
