"""The page itself is sent compressed, as gradio does with the files that it consists of.

demo.launch(app_kwargs={"middleware": [Middleware(CompressedPage)]})
"""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

PATHS = ("", "/config")  # the page, and what a client asks for of it


class CompressedPage(GZipMiddleware):
    """gzip for the page alone: pictures are compressed already, and streams of events must not wait."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"].rstrip("/") in PATHS
        await (super().__call__ if is_page else self.app)(scope, receive, send)
