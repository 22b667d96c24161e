"""Every command and snippet of the README and of docs/, run as it stands there; and what they name is there.

Blocks of a page run in order, in one folder that holds what they take for granted, made tiny. A comment before a block
says what stands in for what a test cannot have: `<!-- test: tiny -->` for hours (two steps, few and small pictures, by
flags added to a command), `network` for other machines (an archive and a Hub on this one), `app` for an app that runs
(one is started), `onnx` for an export (that is tests/sharing/test_onnx.py's), `installs` for an installation,
`torchrun` for several processes (tests/training/test_processes.py's), `parsed` for a cluster
(tests/bulk/test_cluster.py's): every flag and value is understood; `replicas` for copies of the app; `hub` for
commands of the Hub's own client, which need a network.
"""

import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from huggingface_hub import SpaceHardware
from huggingface_hub.cli.hf import app as hf
from packaging.specifiers import SpecifierSet
from torch.distributed.run import get_args_parser
from typer.main import get_command

from qsneg import weights
from qsneg.__main__ import cli
from qsneg.data import paper_sets
from qsneg.evaluation import comparison, evaluate, study
from qsneg.metrics import fidelity
from qsneg.sharing import onnx as export
from tests import check_fixture
from tests.conftest import TOKEN, run, tiny
from tests.data.archives import picture, zipped
from tests.data.test_cityscapes import street
from tests.evaluation.test_evaluate import Tiny
from tests.test_package import PROJECT, required

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- test: (\w+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = re.compile("torchrun .*-m qsneg")  # flags before this are torchrun's own
COMMANDS = get_command(cli).commands
TINY = {
    "train": "--crop 64 --resize 64 --resize-max 0 --device cpu --autocast off --no-film --evaluate-every 0",
    "new": "--width 4 --disc-width 4 --patches 16 --scenes 4",  # of a run that is not resumed
    "score": "--count 2 --device cpu",
    "study": "--count 1 --device cpu",
    "evaluate": "--count 2 --size 32 --device cpu",
    "miniature": "--steps 2 --seeds 1 --preset debug --count 2 --device cpu",
    "bench": "--size 32 --width 4 --rounds 1 --device cpu",
}


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)


# --- what is named is there ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_commands_and_flags_exist():
    """In text and blocks, in cards, and in the code's own words."""
    files = [*PAGES, *ROOT.glob("checkpoints/*/README.md"), *(ROOT / "qsneg").rglob("*.py")]
    found = [c for f in files for c in re.findall(r"python -m qsneg ([a-z]+)((?: +[^\s`\",#]+)*)", f.read_text())]
    assert len(found) > 60
    for name, arguments in found:
        parameters = COMMANDS[name].params
        known = {option for p in parameters for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<= )--[a-z-]+", arguments)) <= known, (name, arguments)


def test_flags_named_in_text_exist():
    options = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    options |= {option for command in COMMANDS.values() for p in command.params for option in p.secondary_opts}
    options |= set(re.findall(r'"(--[a-z-]+)"', (ROOT / "qsneg" / "ui" / "app.py").read_text())) | {"--help"}
    for page in PAGES:
        spans = [s for s in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text())) if not s.startswith("ruff")]
        named = {flag for span in spans for flag in re.findall(r"--[a-z][a-z0-9-]*", OTHERS.sub("", span))}
        assert named <= options, (page.name, named - options)


def test_the_tree_names_every_file_of_the_model_and_every_folder():
    tree = re.search(r"```text\n(.*?)```", PAGES[0].read_text(), re.DOTALL)[1]
    for path in sorted((ROOT / "qsneg").iterdir()):
        if path.suffix == ".py" and path.name != "__init__.py":
            assert re.search(rf"\b{path.name}\b", tree), path.name
        elif (path / "__init__.py").is_file():
            assert f"  {path.name}/ " in tree, path.name
    assert len(PAGES[0].read_text().splitlines()) <= 150


def test_the_header_of_a_space_is_what_the_package_needs():
    """Both headers parse, agree, and ask for versions that the requirements allow."""
    front = yaml.safe_load(PAGES[0].read_text().split("---\n")[1])
    (block,) = [text for _, language, text in BLOCK.findall((ROOT / "docs" / "spaces.md").read_text()) if language]
    header = yaml.safe_load(block)
    assert header == front | {"models": ["somebody/zebra"]}
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    (bounds,) = [line.split("]")[1] for line in required("requirements.txt") if line.startswith("gradio[")]
    assert front["sdk_version"] in SpecifierSet(bounds)
    assert front["python_version"] in SpecifierSet(PROJECT["project"]["requires-python"])
    assert isinstance(front["python_version"], str) and len(front["short_description"]) <= 60
    assert front["suggested_hardware"] in [hardware.value for hardware in SpaceHardware]
    assert front["license"] == PROJECT["project"]["license"].lower() and "image-to-image" in front["tags"]


# --- commands and snippets ---


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The shipped families, tiny."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for family in ("photo2ink", "day2sunset", "horse2zebra-drawn"):
        for seed, method in enumerate(("cut", "qs-attn", "negcut")):
            weights.save(
                tiny(method, seed, {"data": family, "steps": 10, "minutes": 1}),
                folder / family / f"{method}.safetensors",
            )
    return folder


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(2):
        (folder / f"{i}.png").write_bytes(picture(i, (72, 68)))


@pytest.fixture
def here(checkpoints, tmp_path, monkeypatch, hub):
    """A folder with what the pages take for granted, and this machine in place of others."""
    here = tmp_path / "here"
    domains = ("trainA", "trainB", "testA", "testB")
    for name in ("photos", "pictures/trainA", "pictures/trainB", *(f"path/to/folder/{domain}" for domain in domains)):
        pictures(here / name)
    monkeypatch.chdir(here)
    Path("photo.jpg").write_bytes(picture(5, (62, 46)))
    for part in ("G", "F"):
        shutil.copy(ROOT / "tests" / "fixtures" / "cut" / f"latest_net_{part}.pth", here)
    weights.save(tiny(card={"steps": 10}), here / "runs" / "zebra" / "model.safetensors")
    street(here / "own")
    for kind in ("gtFine", "leftImg8bit"):
        shutil.make_archive(here / "downloads" / f"{kind}_trainvaltest", "zip", here / "own", kind)
    archive = zipped({f"set/{domain}/{i}.png": picture(i, (72, 68)) for domain in domains for i in range(2)})
    monkeypatch.setattr(paper_sets, "download", lambda urls, path, *a, **k: path.write_bytes(archive) and path)
    monkeypatch.setattr(paper_sets, "verify", lambda *a, **k: None)
    monkeypatch.setattr(weights, "FOLDER", checkpoints)
    monkeypatch.setattr(study, "SIZE", 64)
    monkeypatch.setattr(study, "CATCH_UP", dict(steps=1, train=1, test=1))
    monkeypatch.setattr(evaluate, "SIZE", 32)
    monkeypatch.setattr(comparison, "variants", lambda: {"CUT": dict(method="cut")})
    monkeypatch.setattr(fidelity, "inception", lambda path: Tiny())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", hub)
    return here


def execute(words: list[str], marker: str, trained: list[str]) -> None:
    """Run one command; whatever a page has that is not known here fails."""
    match words:
        case ["python", "-m", "qsneg", name, *arguments]:
            COMMANDS[name].make_context(name, list(arguments))  # as it stands: every flag and value is understood
            if marker == "tiny":
                arguments += TINY.get(name, "").split()
            if marker == "tiny" and name == "train":
                trained.append(name)
                arguments += ["--steps", str(2 * len(trained))]
                arguments += TINY["new"].split() if "--resume" not in arguments else []
            code, _, err = run(name, *arguments)
            assert code == 0, (words, err)
            if "--out" in arguments:
                assert Path(arguments[arguments.index("--out") + 1]).exists(), words
        case ["python", "-m", "tests.check_fixture", folder, *arguments]:
            assert check_fixture.main([str(ROOT / folder), *arguments]) == 0
        case _:
            pytest.fail(f"Nobody runs '{shlex.join(words)}'.")


def understood(words: list[str]) -> None:
    """A command that starts several processes is not run: torchrun and the command know what stands there."""
    if "torchrun" in words:
        words = words[words.index("torchrun") + 1 :]
        assert (started := get_args_parser().parse_args(words)).training_script == "qsneg" and started.module
        name, *arguments = started.training_script_args
        COMMANDS[name].make_context(name, arguments)


def installs(words: list[str]) -> None:
    """An installation is not run: what it names is there, and what is started after it is tested elsewhere."""
    match words:
        case ["python3", "-m", "venv", ".venv"] | [".venv/bin/python", "-m", "pytest"]:
            pass
        case [".venv/bin/pip", "install", "-r", file]:
            assert required(file)
        case ["pip", "install", *packages]:
            extras = PROJECT["project"]["optional-dependencies"].values()
            assert set(packages) in [{re.match(r"[\w-]+", name)[0] for name in extra} for extra in extras]
        case [".venv/bin/python", file]:
            assert (ROOT / file).is_file()
        case _:
            pytest.fail(f"Nobody checks '{shlex.join(words)}'.")


def parsed(words: list[str]) -> None:
    assert words[:3] == ["python", "-m", "qsneg"]
    COMMANDS[words[3]].make_context(words[3], words[4:])


def replicas(words: list[str]) -> None:
    """Copies of the app and a proxy are tests/ui/test_replicas.py's: files and flags are there."""
    file = next(word for word in words if word.endswith(".py"))
    assert set(re.findall(r"--[a-z]+", " ".join(words))) <= set(re.findall(r'"(--[a-z-]+)"', known(file)))


def hub_command(words: list[str]) -> None:
    """The Hub's client knows the command, its flags and their values; nothing is sent."""
    if words[0] == "pip":
        assert words[:2] == ["pip", "install"] and "huggingface_hub" in words[2]
        return
    assert words[0] == "hf"
    command, arguments = hf, words[1:]
    while hasattr(command, "resolve_command"):  # of a group, which loads its commands when they are asked for
        context = command.make_context(command.name, [], resilient_parsing=True)
        name, command, arguments = command.resolve_command(context, arguments)
        assert command, words
    command.make_context(name, arguments)


def known(file: str) -> str:
    return (ROOT / {"app.py": "qsneg/ui/app.py"}.get(file, file)).read_text()


CHECKED = {
    "installs": installs,
    "torchrun": understood,
    "parsed": parsed,
    "replicas": replicas,
    "hub": hub_command,
}


def pass_through(_) -> bytes:
    """An ONNX model that gives back what it takes."""
    onnx = pytest.importorskip("onnx")
    taken, given = (onnx.helper.make_tensor_value_info(n, 1, ["B", 3, "h", "w"]) for n in ("picture", "translation"))
    node = onnx.helper.make_node("Identity", ["picture"], ["translation"])
    graph = onnx.helper.make_graph([node], "model", [taken], [given])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]).SerializeToString()


@pytest.fixture
def app(checkpoints, tmp_path, monkeypatch):
    """Starts the app as the README does, on a free port, and gives its address; ends it after the test."""
    started = []
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))

    def start() -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        flags = ["--port", str(port), "--device", "cpu", "--checkpoints", str(checkpoints)]
        started.append(subprocess.Popen([sys.executable, ROOT / "app.py", *flags], stdout=subprocess.DEVNULL))
        until = time.monotonic() + 120
        while time.monotonic() < until and started[0].poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                return f"http://127.0.0.1:{port}"
            except OSError:
                time.sleep(0.25)
        pytest.fail("The app did not start.")

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda page: page.name)
def test_commands_and_snippets_run(page, here, app, monkeypatch):
    names, trained = {}, []
    for marker, language, text in BLOCK.findall(page.read_text()):
        assert marker in ("", "tiny", "network", "app", "onnx", *CHECKED) and language in ("", "python", "text", "yaml")
        if marker == "onnx":
            monkeypatch.setattr(export, "to_onnx", pass_through)
            monkeypatch.setattr(export, "differences", lambda content, generator: {})
        if language == "python":
            text = text.replace("http://127.0.0.1:7860", app()) if marker == "app" else text
            exec(compile(text, str(page), "exec"), names)
        elif not language:
            for line in text.replace("\\\n", " ").splitlines():
                for part in line.split(" && "):
                    words = words_of(part)
                    if marker in CHECKED:
                        CHECKED[marker](words)
                    else:
                        execute(words, marker, trained)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.py")), ids=lambda path: path.name)
def test_programs_of_the_documentation_find_what_they_import(path):
    if path.name == "pictures.py":
        pytest.importorskip("playwright")
    runpy.run_path(str(path), run_name="imported")
