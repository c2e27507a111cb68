"""Object storage on loopback that answers every request with an error, as S3, GCS and Azure document theirs.

Also servers that do not answer, or not with HTTP.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
S3 = {
    "AccessDenied": (403, "Access Denied"),
    "AllAccessDisabled": (403, "All access to this object has been disabled."),
    "AuthorizationHeaderMalformed": (
        400,
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
    ),
    "ExpiredToken": (400, "The provided token has expired."),
    "IllegalLocationConstraintException": (
        400,
        "The eu-central-1 location constraint is incompatible for the region specific endpoint.",
    ),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not exist in our records."),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "InvalidToken": (400, "The provided token is malformed or otherwise invalid."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "PermanentRedirect": (
        301,
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
    ),
    "RequestTimeTooSkewed": (403, "The difference between the request time and the current time is too large."),
    "RequestTimeout": (
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    "ServiceUnavailable": (503, "Reduce your request rate."),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided.",
    ),
    "SlowDown": (503, "Please reduce your request rate."),
}
# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
AZURE = {
    "AuthenticationFailed": (403, "Server failed to authenticate the request."),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (
        403,
        "This request is not authorized to perform this operation using this permission.",
    ),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "PublicAccessNotPermitted": (409, "Public access is not permitted on this storage account."),
    "ServerBusy": (503, "The server is busy."),
}
GCS = {
    "401": "Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.",
    "403": "a@b.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket.",
    "404": "The specified bucket does not exist.",
    "503": "Backend Error",
}

BROKEN = {
    "silent": None,
    "closing": b"",
    "not HTTP": b"220 mail.example.com\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: 99\r\n\r\n<ListBucket",
}
"""What a server sends before it closes the connection; None if it never does."""


def broken_server(answer: bytes | None) -> str:
    """Return the address of a server that takes each connection and ``answer``s so."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if answer is None:
                kept.append(connection)
                continue
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


class Storage:
    """An HTTP server whose buckets each have one answer for every request."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, str, dict[str, str]]] = {}
        answers = self._answers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                bucket = next(part for part in self.path.replace("?", "/").split("/") if part in answers)
                status, text, headers = answers[bucket]
                body = b"" if self.command == "HEAD" else text.encode()
                self.send_response(status)
                for name, value in headers.items():
                    # Without a body there is nothing to have a type, and the Azure SDK would parse it.
                    if body or name != "content-type":
                        self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - the names that the base class calls

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def bucket(self, status: int, text: str, **headers: str) -> str:
        """Return the name of a new bucket that answers so. The name is that of another failure."""
        name = f"unauthorized-{len(self._answers)}"
        self._answers[name] = (status, text, {key.replace("_", "-"): value for key, value in headers.items()})
        return name

    def s3_bucket(self, code: str) -> str:
        """Return a bucket with an error of S3."""
        status, message = S3[code]
        names = "<BucketName>unauthorized</BucketName><Key>timeout/403.parquet</Key>"
        error = f"<Error><Code>{code}</Code><Message>{message}</Message>{names}</Error>"
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
        region = {"x-amz-bucket-region": "eu-central-1"} if code == "PermanentRedirect" else {}
        return self.bucket(status, text, content_type="application/xml", **region)
