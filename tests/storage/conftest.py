import uuid

import pytest
from tests.s3_server import BUCKET

from genexp.storage.store import Store


@pytest.fixture(params=["memory", "file", "s3"])
def address(request, tmp_path) -> str:
    """An address with nothing below it, of each protocol that is tested."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/runs"
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else f"file://{tmp_path}/store"


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEXP_CACHE", str(tmp_path / "cache"))
