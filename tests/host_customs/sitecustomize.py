"""Python imports this at its start if this folder is in PYTHONPATH: another host's name, or locks that do nothing."""

import fcntl
import os
import socket

if "TEST_HOST" in os.environ:
    socket.gethostname = lambda: os.environ["TEST_HOST"]
if os.environ.get("TEST_FLOCK") == "0":
    fcntl.flock = lambda file, operation: None
