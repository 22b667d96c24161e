"""The app as it is served, once for all tests: its address, a client, a browser. Models are tiny, films short."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.config import build
from qsneg.rendering.sample_pictures import for_film
from qsneg.training import film
from qsneg.weights import Weights, load, save

ROOT = Path(__file__).parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Two families; the drawn one lacks NEGCUT."""
    folder = tmp_path_factory.mktemp("checkpoints")
    families = {"day2sunset": ("cut", "qs-attn", "negcut"), "horse2zebra-drawn": ("cut", "qs-attn")}
    for family, methods in families.items():
        for seed, method in enumerate(methods):
            torch.manual_seed(seed)
            weights = Weights.empty(build(method, "debug", width=4)[0])
            weights.card = {"data": family, "steps": 10, "figures": {"KID": 0.5}}
            save(weights, folder / family / f"{method}.safetensors")
    return folder


@pytest.fixture(scope="session")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "photograph.jpg"
    Image.linear_gradient("L").resize((120, 80)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    """A picture whose inspected size, 300×258, is no multiple of 4: it is padded."""
    path = tmp_path_factory.mktemp("pictures") / "odd.png"
    noise = np.random.default_rng(0).integers(0, 256, (258, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def start(folder, tmp, by_flag=True, flags=()):
    """Start the app, its port given by flag or by gradio's variable; returns its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    log = open(tmp / "log", "w+")
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp / "files"), "GRADIO_SERVER_NAME": "127.0.0.1"}
    environment |= {} if by_flag else {"GRADIO_SERVER_PORT": str(port)}
    command = [sys.executable, "app.py", "--device", "cpu", "--checkpoints", str(folder), *flags]
    command += ["--port", str(port)] if by_flag else []
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    for _ in range(800):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return address, process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    process.kill()
    log.seek(0)
    pytest.fail(f"The app did not start:\n{log.read()}")


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory):
    """Where the app writes its log and its files."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def app(checkpoints, app_folder, tmp_path_factory):
    """The address of the app, whose first family has films."""
    folder = tmp_path_factory.mktemp("with-films") / "checkpoints"
    shutil.copytree(checkpoints, folder)
    for method, steps in (("cut", (0, 10, 20)), ("qs-attn", (0, 20))):
        pictures = partial(for_film, "horse2zebra-drawn", film.SIZE)
        made = film.Film(folder / "day2sunset" / f"{method}.film", pictures, 20, (12, 16))
        for step in steps:
            torch.manual_seed(step)
            made.record(step, load(f"day2sunset/{method}", folder).generator, torch.device("cpu"))
        film.gather(made.folder)
    address, process = start(folder, app_folder)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def client(app, tmp_path_factory):
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(app, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def handle(path):
    from gradio_client import handle_file

    return handle_file(str(path))


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if not chromium:
        reason = "The page is not tested: playwright or chromium is missing."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


def visit(browser, app):
    """The page at 1440×900, with what it complains of and asks other hosts for in `page.wrong`, and what it has asked
    that is not yet answered in `page.asked`."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.wrong, page.asked = [], set()
    page.on("console", lambda m: page.wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((app, "data:", "blob:")) else page.wrong.append(r.url))
    page.on("request", lambda r: None if "/heartbeat/" in r.url else page.asked.add(r))  # that one is never answered
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda r: page.asked.discard(r))
    page.goto(app)
    page.wait_for_selector(".card.negcut img")
    return page


@pytest.fixture
def page(browser, app):
    page = visit(browser, app)
    yield page
    assert page.wrong == []
    page.close()


def shown(page) -> list[str]:
    """Titles of the cards in which a picture stands, from left to right."""
    cards = page.locator(".card:visible").all()
    return [card.locator("h3").inner_text() for card in cards if card.locator("img").count()]


CUT_OFF = """[...document.querySelectorAll("button, label:not([data-testid=block-label]), summary")]
  .filter((e) => e.checkVisibility({opacityProperty: true}) && e.getBoundingClientRect().width > 2).filter((e) => {
    e.scrollIntoView({block: "center"});
    for (let up = e.parentElement; up; up = up.parentElement) up.scrollLeft = 0;
    const {left, right, top, height} = e.getBoundingClientRect(), middle = top + height / 2;
    return [left + 2, right - 2].some((x) => !e.contains(document.elementFromPoint(x, middle)));
  }).map((e) => e.outerHTML.slice(0, 120))"""


def cut_off(page) -> list[str]:
    """The buttons and controls of which an end cannot be seen, or is covered."""
    return page.evaluate(CUT_OFF)
