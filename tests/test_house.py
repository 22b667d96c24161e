"""The house: a folder uses only what stands above it, no two files import each other in a circle, gradio stays in one
folder, and looking into a model loads nothing that draws, uploads or serves.

Read from the source, imports inside functions with them. The order is that of the folders in FOLDERS; the files at the
top come before all of them. Only `__init__` (which loads `qsneg.translate` late, and tells its version to anybody) and
`__main__` stand outside it.
"""

import ast
import functools
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "data", "inspect", "bulk", "rendering", "metrics", "training", "evaluation", "sharing", "pages", "learning", "ui",
)  # fmt: skip
FILES = {}  # by the module's name
for file in sorted((ROOT / "qsneg").rglob("*.py")):
    parts = file.relative_to(ROOT).with_suffix("").parts
    FILES[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file


def imported(path: Path) -> set[str]:
    """Every name that a file imports, in full: "a.b" and "a.b.c" of `from a.b import c`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively: name the module in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def uses(module: str) -> frozenset[str]:
    """The modules of qsneg that a module imports: of a folder's `__init__` only what is taken from it by name."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in full}
    return frozenset(found & FILES.keys() - {"qsneg"})


def storey(module: str) -> int:
    """0 for the files at the top, then the folder's place in FOLDERS."""
    parts = module.split(".")
    return FOLDERS.index(parts[1]) + 1 if len(parts) > 1 and (ROOT / "qsneg" / parts[1]).is_dir() else 0


def test_no_circles():
    try:
        list(TopologicalSorter({module: uses(module) for module in FILES}).static_order())
    except CycleError as error:
        pytest.fail("in a circle: " + " → ".join(reversed(error.args[1])))


def test_no_folder_uses_what_stands_below_it():
    assert {path.name for path in (ROOT / "qsneg").iterdir() if (path / "__init__.py").is_file()} <= set(FOLDERS)
    upward = [
        f"{module} uses {other}"
        for module in FILES
        if module not in ("qsneg", "qsneg.__main__")
        for other in uses(module)
        if storey(other) > storey(module)
    ]
    assert upward == []


def test_only_the_app_imports_gradio():
    files = [*FILES.values(), ROOT / "app.py"]
    found = {path for path in files if any(name.split(".")[0] == "gradio" for name in imported(path))}
    assert {path.parent.relative_to(ROOT) for path in found} == {Path("qsneg/ui")}
    assert {name for name in imported(ROOT / "app.py") if name in FILES} == {"qsneg.ui.app"}


def test_looking_into_a_model_loads_little():
    code = "import sys, qsneg.methods, qsneg.translate, qsneg.inspect; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "qsneg.inspect.features" in loaded
    for name in ("gradio", "matplotlib", "huggingface_hub", "qsneg.data.drawn_scenes", "qsneg.ui"):
        assert name not in loaded


@pytest.mark.parametrize("what, homes", [
    ("127.5", {"image_io"}),  # bytes to [-1, 1] and back
    (r"\bpyplot\b|matplotlib\.use", set()),  # figures are matplotlib.figure.Figure's: no backend is switched
    (r'" \| "\.join', {"rendering.markdown"}),  # a Markdown table
    (r'"global", "local", "local\+global"', {"bounds"}),  # attention modes
    (r"-10\.0", {"losses"}),  # the masking constant of the contrastive loss
    (r"endswith\(\"negcut\"\)|startswith\(\"fast\"\)|TITLES", set()),  # what config.METHODS says
])  # fmt: skip
def test_small_things_have_one_home(what, homes):
    found = {module for module, path in FILES.items() if re.search(what, path.read_text())}
    assert found == {f"qsneg.{home}" for home in homes}
