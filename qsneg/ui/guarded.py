"""What comes from outside, whoever sends it, is answered in one sentence: no odd call ends in a traceback.

with Guarded(title="qsneg") as demo: ...
demo.launch(app_kwargs={"middleware": [Middleware(Sentences)]})
"""

import contextlib
import errno
import re
import sys

import gradio as gr
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qsneg.ui.components import sentence
from qsneg.ui.disk import FULL

NOT_TAKEN = "A value that was sent is none that can be set here: reload the page, or see 'Use via API' at its foot."
NO_FILE = "This is not a file that was uploaded here: send a JPEG, PNG or WebP file."
GONE = "This file is no longer kept here: upload it again."
NO_CALL = "This call is not understood: 'Use via API' at the foot of the page shows names and values."

UNKNOWN = b'event: error\ndata: {"error": "Nothing is known of this event here: make the call again."}\n\n'

HALF = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
# half of a character that JSON writes in two parts: as the name of a session it would stay in the queue for good


class Guarded(gr.Blocks):
    """Blocks whose handlers get what their components promise, and whose errors are sentences."""

    def validate_inputs(self, block_fn, inputs):
        if not isinstance(inputs, list) or len(inputs) < len(block_fn.inputs):
            raise refused(f"{len(inputs)} values came and {len(block_fn.inputs)} are needed: {NO_CALL}")
        if block_fn.fn is None:  # which the browser does on its own
            raise refused(NO_CALL)

    async def preprocess_data(self, block_fn, inputs, state, explicit_call=False):
        """Of an endpoint, values that are not given at the end are the defaults: older callers know fewer."""
        if block_fn.api_visibility == "public":
            inputs = [*inputs, *(block.value for block in block_fn.inputs[len(inputs) :])]
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error as error:  # gradio's own name Python's types
            raise refused(NOT_TAKEN if "(type:" in error.message else error.message) from None
        except FileNotFoundError:
            raise refused(GONE) from None
        except Exception as error:
            is_file = isinstance(error, ValidationError) and error.title in ("ImageData", "FileData")
            raise refused(NO_FILE if is_file else NOT_TAKEN) from None

    async def process_api(self, *args, **kwargs):
        try:
            return await super().process_api(*args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            raise refused(sentence(error)) from None


def refused(words: str) -> gr.Error:
    return gr.Error(words, print_exception=False)


class Sentences:
    """Around gradio's server: a request that it fails on is answered, and told in one line."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def received():
            message = await receive()
            is_call = scope["type"] == "http" and not scope["path"].endswith("/upload")
            if is_call and HALF.search(message.get("body", b"")):
                raise ValueError("half a character")
            return message

        async def sent(message):
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, received, sent)
        except Exception as error:
            if isinstance(error, ClientDisconnect) or scope["type"] != "http":
                return
            print(f"Not understood: {scope['method']} {scope['path']!r:.100} ({type(error).__name__})", file=sys.stderr)
            is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if begun:  # a stream, such as of an event that another copy of the app knows
                with contextlib.suppress(Exception):
                    body = UNKNOWN if "/call/" in scope["path"] else b""
                    await send({"type": "http.response.body", "body": body, "more_body": False})
            else:
                answer = JSONResponse({"error": FULL}, 507) if is_full else JSONResponse({"error": NO_CALL}, 400)
                await answer(scope, receive, send)
