"""The package as others get it: what it requires, and the wheel, installed away from this checkout."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def required(*files: str) -> list[str]:
    """The packages in files of requirements, with their bounds, in order."""
    lines = [line for name in files for line in (ROOT / name).read_text().splitlines()]
    return sorted(line for line in lines if not line.startswith(("#", "-r ")))


def test_requirements_are_those_of_the_project():
    """requirements.txt is the package with its app; the tests add extras and their own tools."""
    declared, extras = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
    assert required("requirements.txt") == sorted(declared + extras["app"])
    for name in ("onnx", "kid", "ray", "tiff"):
        assert set(extras[name]) <= set(required("tests/requirements.txt"))
    for line in required("requirements.txt", "tests/requirements.txt"):
        assert re.fullmatch(r"[\w-]+(\[\w+\])?(>=[\d.]+,<[\d.]+|==[\d.]+)", line), line  # bounded on both sides


def test_one_version_of_ruff():
    (pinned,) = [line.split("==")[1] for line in required("tests/requirements.txt") if line.startswith("ruff==")]
    assert re.findall(r"rev: v([\d.]+)", (ROOT / ".pre-commit-config.yaml").read_text()) == [pinned]


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*.*") if p.is_file() and p.suffix != ".pyc"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the built wheel, installed without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "qsneg", source / "qsneg", ignore=shutil.ignore_patterns("__pycache__"))
    build = ["-c", f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"]
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--find-links", out, "--target", out / "here"]
    for arguments in (build, [*install, "qsneg"]):
        subprocess.run([sys.executable, *arguments], cwd=source, check=True, capture_output=True)
    return out / "here"


def test_the_wheel_holds_all_of_the_package(installed):
    assert files(installed / "qsneg") == files(ROOT / "qsneg")  # subpackages, styles and scripts
    points = next(installed.glob("qsneg-*.dist-info/entry_points.txt")).read_text()
    assert "qsneg = qsneg.__main__:main" in points


def test_the_command_line_of_the_installed_package(installed, tmp_path):
    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(installed)}
        run = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    assert Path(python("-c", "import qsneg; print(qsneg.__file__)").strip()) == installed / "qsneg" / "__init__.py"
    said = python("-m", "qsneg", "--help")
    assert "translate" in said and "train" in said
