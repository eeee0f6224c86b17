"""The exit code after a wish to stop, with and without a scheduler that takes 0 for the end."""

import signal

import pytest

from genexp.errors import UserError
from genexp.exit_codes import STOP_CODE_VARIABLE, stop_code


@pytest.mark.parametrize(("said", "code"), [(None, 0), ("", 0), ("0", 0), ("143", 143), ("255", 255)])
def test_after_sigterm_it_is_what_the_scheduler_asks_for(monkeypatch, said, code):
    monkeypatch.delenv(STOP_CODE_VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(STOP_CODE_VARIABLE, said)
    assert stop_code(signal.SIGTERM) == code
    assert stop_code(signal.SIGINT) == 130


@pytest.mark.parametrize("said", ["256", "-1", "yes", "1.5"])
def test_what_is_no_exit_code_is_refused(monkeypatch, said):
    monkeypatch.setenv(STOP_CODE_VARIABLE, said)
    with pytest.raises(UserError, match=f"GENEXP_STOP_CODE={said} is not an exit code"):
        stop_code(signal.SIGTERM)
