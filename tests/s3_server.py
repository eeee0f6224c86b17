"""An S3 server on this machine that counts what it is asked, and can be gone for a while."""

import logging
import threading
from collections import Counter
from pathlib import PurePosixPath

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

BUCKET = "laboratory"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class S3Server:
    """moto behind a real socket; what it holds survives `stop` and `start`."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self.port = 0
        self.requests: list[tuple[str, str]] = []
        self.refused: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def _answer(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        if self.refused is not None and method == self.refused:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        return self._application(environ, start_response)

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )

    def empty(self) -> None:
        """A bucket with nothing in it, and no requests."""
        client = self.client()
        client.create_bucket(Bucket=BUCKET)
        for name in self.names():
            client.delete_object(Bucket=BUCKET, Key=name)
        self.requests.clear()

    def names(self) -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, name: str) -> bytes:
        return self.client().get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def counted(self) -> dict[str, int]:
        """Requests by method and kind of object."""
        return dict(Counter(f"{method} {_kind(path)}" for method, path in list(self.requests)))


def _kind(path: str) -> str:
    name = PurePosixPath(path)
    if name.parent.name == ".lease":
        return "lease"
    return "listing" if path.count("/") < 2 else name.suffix or name.name
