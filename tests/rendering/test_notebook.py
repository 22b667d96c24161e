"""Results draw themselves in a notebook; the notebook under docs/ is run as it stands there."""

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsneg import weights
from qsneg.inspect import forces, inspect, observe, query, what_if
from qsneg.rendering import notebook
from qsneg.translate import Translator
from tests.conftest import tiny

ROOT = Path(__file__).parents[2]
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("method", ["cut", "qs-attn", "negcut"])
def test_every_result_draws_itself(method):
    view = observe(Translator(tiny(method), "cpu"), NOISE)
    results = {
        "view": (view, 2), "inspect": (inspect(view, 12), 3 + (method == "negcut")),
        "query": (query(view, 12, (3, 4)), 2), "forces": (forces(view, 12, (3, 4)), 1),
        "what_if": (what_if(view, 12), 2),
    }  # fmt: skip
    for result, count in results.values():
        picture = Image.open(io.BytesIO(result._repr_png_()))
        assert round(picture.width / (notebook.WIDTH + 10)) == count
        text = result._repr_html_()
        assert text.count("<tr") == len(notebook.numbers(result)) > 2 and "data:image/png;base64," in text
    assert notebook.numbers(results["query"][0])["position"] == "row 3, column 4"
    assert notebook.numbers(results["forces"][0])["weighed as"] == ("negcut" if method == "negcut" else "cut")


def test_a_model_without_heads_draws_what_there_is():
    headless = tiny()
    headless.heads = None
    result = inspect(observe(Translator(headless, "cpu"), NOISE), 12)
    assert len(notebook.pictures(result)) == 2 and "mean loss, nats" not in notebook.numbers(result)


def test_loading_a_model_in_a_notebook_is_enough():
    code = "import sys, types; sys.modules['IPython'] = types.ModuleType('IPython'); import qsneg; qsneg.load; "
    code += "from qsneg.inspect import View; print(hasattr(View, '_repr_html_'))"
    for start, drawn in ((code, "True"), (code.split("; ", 2)[0] + "; " + code.split("; ", 2)[2], "False")):
        ran = subprocess.run([sys.executable, "-c", start], cwd=ROOT, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == drawn


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.save(tiny(), tmp_path / "day2sunset" / "cut.safetensors")
    cells = json.loads((ROOT / "docs" / "look-inside.ipynb").read_text())["cells"]
    space, drawn = {}, 0
    for cell in (c for c in cells if c["cell_type"] == "code"):
        *before, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(before, []), "cell", "exec"), space)
        assert isinstance(last, ast.Expr)  # what it ends with is shown
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
        assert len(shown._repr_png_()) > 1000
        drawn += "<img" in shown._repr_html_() if hasattr(shown, "_repr_html_") else 0
    assert drawn == 6
