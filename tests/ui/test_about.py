"""The page About: cards of the families, and nothing in it that files could do harm with."""

import re
import shutil

from PIL import Image

from qsneg.pages import PAGES
from qsneg.ui.about import about, demoted
from qsneg.ui.models import Models
from qsneg.weights import load, save


def test_a_readme_becomes_part_of_the_page(tmp_path, monkeypatch):
    """What is for visitors; pictures are fetched once they are seen, and have their room before."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    Image.new("RGB", (8, 8)).save(tmp_path / "sheet.webp")
    (tmp_path / "README.md").write_text(
        "---\nlicense: mit\n---\n# day2sunset\n\n## Models\n\n```\n# a comment\n```\n"
        "![a sheet](sheet.webp)![gone](gone.png)\n"
        "## How they were made\n\na rate that did not help\n\n## Limits\n\nOf use.\n"
    )
    text = demoted(tmp_path / "README.md")
    assert text.startswith("#### Models") and "\n# a comment" in text
    assert "license" not in text and "day2sunset" not in text
    assert text.count("<img") == 1 and 'width="8" height="8" loading="lazy"' in text and "gone" not in text
    assert "data:" not in text and "a rate that did not help" not in text and text.endswith("Of use.")


def test_what_comes_from_files_is_escaped(checkpoints, tmp_path):
    shutil.copytree(checkpoints / "day2sunset", tmp_path / "<b>")
    weights = load("<b>/cut", tmp_path)
    weights.card["data"] = "<script>"
    save(weights, tmp_path / "<b>" / "cut.safetensors")
    text = about(Models(tmp_path, "cpu"))
    assert "<script>" not in text and "&lt;script&gt;" in text and "<b>" not in text


def test_every_paper_that_a_page_names_is_told_of(tmp_path):
    text = about(Models(tmp_path, "cpu"))
    for paper in {paper for page in PAGES.values() for paper in page.words.papers}:
        assert f"### {paper.name}" in re.sub("<.*?>", "", text) and paper.title in text and paper.url in text
