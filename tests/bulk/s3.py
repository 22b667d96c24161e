"""A stand-in for S3: what its interface answers to pyarrow, from memory."""

import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from xml.sax.saxutils import escape

from tests.stand_in import StandIn, served


class Bucket(StandIn):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes] = {}  # by bucket/key
    parts: dict[str, dict[int, bytes]] = {}  # of uploads in several parts

    def asked(self) -> tuple[str, dict[str, str], bytes]:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = unchunked(body)
        return urllib.parse.unquote(url.path).strip("/"), query, body

    def do_GET(self) -> None:
        path, query, _ = self.asked()
        if "list-type" in query:
            return self.listing(path, query.get("prefix", ""))
        data = self.objects.get(path)
        if data is None:
            known = "/" not in path and any(name.startswith(f"{path}/") for name in self.objects)
            return self.say(200 if known else 404)
        dates = dict(ETag='"1"', Last_Modified=formatdate(1, usegmt=True))
        if wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            part = data[int(first) : int(last) + 1]
            end = int(first) + len(part) - 1
            return self.say(206, part, Content_Range=f"bytes {first}-{end}/{len(data)}", **dates)
        self.say(200, data, **dates)

    do_HEAD = do_GET

    def listing(self, bucket: str, prefix: str) -> None:
        keys = sorted(n.split("/", 1)[1] for n in self.objects if n.startswith(f"{bucket}/{prefix}"))
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[f'{bucket}/{key}'])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        self.say(200, f"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{len(keys)}</KeyCount>{rows}"
                      "</ListBucketResult>", Content_Type="application/xml")  # fmt: skip

    def do_PUT(self) -> None:
        path, query, body = self.asked()
        if "partNumber" in query:
            self.parts[query["uploadId"]][int(query["partNumber"])] = body
        elif "/" in path:
            self.objects[path + "/" * urllib.parse.urlsplit(self.path).path.endswith("/")] = body
        self.say(200, ETag='"1"')

    def do_POST(self) -> None:
        path, query, _ = self.asked()
        if "uploads" in query:
            number = str(len(self.parts))
            self.parts[number] = {}
            return self.say(200, f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId>"
                                 "</InitiateMultipartUploadResult>", Content_Type="application/xml")  # fmt: skip
        found = self.parts[query["uploadId"]]
        self.objects[path] = b"".join(found[number] for number in sorted(found))
        self.say(200, "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>",
                 Content_Type="application/xml")  # fmt: skip

    def do_DELETE(self) -> None:
        path, query, _ = self.asked()
        self.objects.pop(path, None)
        self.say(204)


def unchunked(body: bytes) -> bytes:
    """What is in a body sent as chunks with signatures or checksums: "<hex length>[;…]\\r\\n<data>\\r\\n"."""
    found = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        length = int(head.split(b";")[0], 16)
        if not length:
            break
        found, body = found + rest[:length], rest[length + 2 :]
    return found


@contextmanager
def bucket() -> Iterator[str]:
    """Runs the stand-in; gives the address of a bucket, to whose end a key and "?" + `query` are put."""
    with served(Bucket) as port:
        yield f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
