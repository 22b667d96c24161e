"""What the stand-ins for services on the net share: how they answer, and where they run."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers requests from memory, without a word."""

    def say(self, status: int = 200, body: object = b"", **headers) -> None:
        """Answer with bytes, a text, or anything else as JSON."""
        body = body.encode() if isinstance(body, str) else body
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@contextmanager
def served(kind: type[StandIn]) -> Iterator[int]:
    """Runs a stand-in on this machine; gives its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
