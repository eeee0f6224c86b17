import pytest

from genexp.data.digits import Digits


@pytest.fixture(scope="session")
def digits() -> Digits:
    return Digits()
