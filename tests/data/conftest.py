"""A server on this machine that misbehaves as asked."""

import http.server
import threading
from types import SimpleNamespace

import pytest

from qsneg.data import download
from tests.data.archives import WHOLE


@pytest.fixture
def server(monkeypatch):
    """Serves `server.body`; `cuts` are the bytes after which connections break, `log` what was asked for."""
    state = SimpleNamespace(
        body=WHOLE, type="application/zip", status=200, tag='"one"', date=None, ranges=True, chunked=False, cuts=[],
        log=[],
    )  # fmt: skip

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked = self.headers.get("Range")
            state.log.append((self.path, asked, self.headers.get("If-Range")))
            start = int(asked[6:-1]) if asked and state.ranges else 0
            if self.headers.get("If-Range", state.tag or state.date) not in (state.tag, state.date):
                start = 0
            if state.status != 200:
                return self.send_error(state.status)
            if start >= len(state.body) and start:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206 if start else 200)
            body = state.body[start:]
            for name, value in (("ETag", state.tag), ("Last-Modified", state.date), ("Content-Type", state.type)):
                if value:
                    self.send_header(name, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.body) - 1}/{len(state.body)}")
            if state.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else len(body)
            self.wfile.write(body[:cut])
            self.close_connection = True

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"http://127.0.0.1:{running.server_port}/some.zip"
    monkeypatch.setattr(download, "PAUSE", 0.0)
    yield state
    running.shutdown()
    running.server_close()
