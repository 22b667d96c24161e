"""A small proxy before several copies of the app, to try on one machine: each visitor stays with one copy.

    python app.py --port 7861 & python app.py --port 7862 &
    python docs/proxy.py --port 7860 http://127.0.0.1:7861 http://127.0.0.1:7862

A cookie names the copy; browsers and gradio_client send it back. Where a copy has gone, its visitors get another.
"""

import argparse
import itertools

import httpx
import uvicorn
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

COOKIE = "replica"
GONE = "This copy of the app has stopped: reload the page, and another takes over; what it kept in memory is lost."
BETWEEN_TWO = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"}  # headers of one connection only


class Proxy:
    """An ASGI app that hands every request on to one of `replicas`, addresses without a slash at the end."""

    def __init__(self, replicas: list[str]):
        self.replicas, self.turns = replicas, itertools.cycle(range(len(replicas)))
        self.client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))

    def choose(self, request: Request) -> int:
        """The visitor's copy, or for a new one the next in turn."""
        known = request.cookies.get(COOKIE, "")
        return int(known) if known.isdecimal() and int(known) < len(self.replicas) else next(self.turns)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        number = self.choose(request)
        url = self.replicas[number] + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = [(k, v) for k, v in request.headers.raw if k not in BETWEEN_TWO]
        onward = self.client.build_request(request.method, url, headers=headers, content=request.stream())
        try:
            reply = await self.client.send(onward, stream=True)
        except httpx.TransportError:
            answer = PlainTextResponse(GONE, 502)
            answer.delete_cookie(COOKIE)
        else:
            answer = StreamingResponse(reply.aiter_raw(), reply.status_code, background=BackgroundTask(reply.aclose))
            answer.raw_headers = [(k.lower(), v) for k, v in reply.headers.raw if k.lower() not in BETWEEN_TWO]
            if request.cookies.get(COOKIE) != str(number):
                answer.set_cookie(COOKIE, str(number))
        await answer(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("replicas", nargs="+", help="addresses of the copies")
    parser.add_argument("--port", type=int, default=7860)
    flags = parser.parse_args()
    uvicorn.run(Proxy([address.rstrip("/") for address in flags.replicas]), port=flags.port, log_level="warning")


if __name__ == "__main__":
    main()
