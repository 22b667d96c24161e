"""Two copies of the app behind the proxy of docs/proxy.py: visitors are spread, each stays with one, none is lost."""

import runpy
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn
from PIL import Image

from tests import visitors
from tests.ui.conftest import ROOT, handle, start

Proxy = runpy.run_path(str(ROOT / "docs" / "proxy.py"))["Proxy"]


@pytest.fixture(scope="module")
def second(checkpoints, tmp_path_factory):
    """Another copy of the app: its address, its process."""
    address, process = start(checkpoints, tmp_path_factory.mktemp("second"))
    yield address.rstrip("/"), process
    process.kill()
    process.wait(10)


@pytest.fixture(scope="module")
def front(app, second):
    """The address of the proxy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(Proxy([app.rstrip("/"), second[0]]), port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True


def test_visitors_are_spread_and_get_what_one_alone_gets(front, app):
    keys = [key for key in range(visitors.KINDS) if visitors.endpoint_of(key) in ("translate", "draw")][:3]
    right = [visit.digest for visit in visitors.alone(app, keys)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: visitors.alone(front, keys), range(2)))
    assert all(right)
    for visits in found:
        assert [visit.digest for visit in visits] == right, [visit.words for visit in visits]
    replicas = [httpx.get(front).cookies["replica"] for _ in range(4)]
    assert sorted(set(replicas)) == ["0", "1"]


def test_the_python_client_stays_with_its_copy(front, photograph):
    gradio_client = pytest.importorskip("gradio_client")
    for _ in range(2):
        client = gradio_client.Client(front, verbose=False)
        path = client.predict(handle(photograph), "cut", "day2sunset", 64, api_name="/translate")
        assert Image.open(path).size == (96, 64)


def test_why_it_must_be_sticky(app, second):
    """A request that waits in one copy is unknown to the other."""
    joined = httpx.post(f"{app}gradio_api/call/draw", json={"data": [1, 64]}).json()["event_id"]
    with httpx.stream("GET", f"{second[0]}/gradio_api/call/draw/{joined}") as elsewhere:
        assert "Nothing is known of this event" in "".join(elsewhere.iter_text())
    with httpx.stream("GET", f"{app}gradio_api/call/draw/{joined}") as here:
        assert "complete" in "".join(here.iter_text())


def test_a_copy_that_stops_is_told_and_replaced(front, second):
    """Last, for it stops one."""
    mine = {"replica": "1"}
    assert httpx.get(front, cookies=mine).status_code == 200
    second[1].kill()
    second[1].wait(10)
    lost = httpx.get(front, cookies=mine)
    assert lost.status_code == 502 and lost.text.endswith("lost.") and "Max-Age=0" in lost.headers["set-cookie"]
    assert 200 in [httpx.get(front).status_code for _ in range(2)]
