"""The README's pictures, made anew from the app as it runs: after a change of page or weights.

    pip install -r tests/requirements.txt
    python app.py --port 7861 &
    python docs/pictures.py http://127.0.0.1:7861

Needs Chromium on the PATH (or playwright's own). Writes app.webp, anchors.webp, … and scenes.webp beside this file.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file: qsneg lies beside docs

from qsneg.data.drawn_scenes import draw, label_map  # noqa: E402
from qsneg.evaluation.table import DRAWN_COLOURS  # noqa: E402
from qsneg.rendering import sample_pictures  # noqa: E402

HERE = Path(__file__).parent
TABS = {"Anchors": "anchors", "Attention": "attention", "Negatives": "negatives", "Loss": "loss"}
SCENES = (12, 10, 35, 15)  # indices of test scenes: several coats
SIDE, GAP = 256, 8  # pixels of a drawn scene, and between two


def shoot(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").save(HERE / f"{name}.webp", quality=90, method=6)


def pages(address: str) -> None:
    """A picture of every page, as a first visitor finds it at 1440×1000 pixels."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"{address}?__theme=light")
        page.wait_for_selector("#cards img", timeout=120_000)
        page.wait_for_timeout(2000)  # the pictures fade in
        shoot(page, "app")
        for tab, name in TABS.items():
            page.get_by_role("tab", name=tab, exact=True).click()
            page.wait_for_selector(f"#stage-{name} .fig.negcut .stack", timeout=120_000)
            page.wait_for_timeout(1000)
            shoot(page, name)
        page.get_by_role("tab", name="Film", exact=True).click()
        page.wait_for_timeout(5000)
        shoot(page, "film")
        browser.close()


def scenes() -> None:
    """Drawn scenes in columns: the horse, its zebra, the label map."""
    sheet = Image.new("RGB", (len(SCENES) * (SIDE + GAP) - GAP, 3 * (SIDE + GAP) - GAP), "white")
    for column, seed in enumerate(map(sample_pictures.test_seed, SCENES)):
        column_of = (*(draw(seed, SIDE, domain) for domain in "AB"), DRAWN_COLOURS[label_map(seed, SIDE)])
        for row, picture in enumerate(column_of):
            sheet.paste(Image.fromarray(picture), (column * (SIDE + GAP), row * (SIDE + GAP)))
    sheet.save(HERE / "scenes.webp", quality=90, method=6)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the address of the running app, such as http://127.0.0.1:7861.")
    scenes()
    pages(sys.argv[1].rstrip("/") + "/")
