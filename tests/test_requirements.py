"""Where packages are missing, as in a Python that is not the environment's, one sentence says what to do."""

import subprocess
import sys

import pytest

from tests.test_package import ROOT

MISSING = """
import runpy, sys
class None_:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, None_())
sys.argv = {argv!r}
is_app = sys.argv[0] == "app.py"
runpy.run_path("app.py", run_name="__main__") if is_app else runpy.run_module("qsneg", run_name="__main__")
"""


@pytest.mark.parametrize(
    "missing, argv",
    [
        ("typer", ["qsneg", "--help"]),
        ("torch", ["qsneg", "translate", "x.png", "--checkpoint", "photo2ink/cut", "--out", "never"]),
        ("gradio", ["app.py"]),
        ("numpy", ["qsneg", "draw", "--split", "test", "--count", "1", "--out", "never"]),
    ],
)
def test_one_sentence_and_no_traceback(missing, argv):
    program = [sys.executable, "-c", MISSING.format(missing=missing, argv=argv)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode not in (0, None) and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"Error: the package '{missing}' is not there for {sys.executable}")
    assert "requirements.txt" in done.stderr and done.stderr.count("\n") == 1
