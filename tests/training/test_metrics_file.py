import pytest

from genexp.errors import Busy
from genexp.locks import Lock
from genexp.training.metrics_file import MetricsFile


def test_rows_columns_and_exact_numbers(tmp_path):
    file = MetricsFile(tmp_path / "m.csv")
    file.append({"step": 1, "images": 64, "loss": 0.1 + 0.2})
    file.append({"step": 2, "images": 128, "loss": 1e-17, "score": 3.5})
    rows = MetricsFile(tmp_path / "m.csv").rows()
    assert [row["step"] for row in rows] == ["1", "2"]
    assert float(rows[0]["loss"]) == 0.1 + 0.2
    assert float(rows[1]["loss"]) == 1e-17
    assert rows[0]["score"] == "" and rows[1]["score"] == "3.5"


def test_truncation_and_a_torn_last_line(tmp_path):
    path = tmp_path / "m.csv"
    file = MetricsFile(path)
    for step in range(1, 5):
        file.append({"step": step, "images": step, "a": float(step)})
    whole = path.read_text()
    path.write_text(whole + "5,5")  # a process that died while it wrote
    again = MetricsFile(path)
    assert len(again.rows()) == 4
    again.truncate(2)
    assert [row["step"] for row in again.rows()] == ["1", "2"]
    for step in (3, 4):
        again.append({"step": step, "images": step, "a": float(step)})
    assert path.read_text() == whole


def test_what_a_crashed_host_leaves_is_passed_over(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("step,ima")  # killed in its first write
    file = MetricsFile(path)
    assert file.rows() == []
    file.truncate(0)
    file.append({"step": 1, "images": 1, "a": 2.0})
    good = path.read_bytes()
    path.write_bytes(good + b"\0" * 40 + b"\n2,2\n3,3,4,5\n")  # zeros, a short row, a long one
    assert [row["step"] for row in MetricsFile(path).rows()] == ["1"]
    MetricsFile(path).truncate(5)
    assert path.read_bytes() == good


def test_a_lost_run_gets_no_row(tmp_path):
    lock = Lock(tmp_path / ".lock")
    lock.acquire()
    file = MetricsFile(tmp_path / "m.csv")
    file.append({"step": 1, "images": 1})
    before = file.path.read_bytes()
    lock._lost = "taken over"
    for change in (lambda: file.append({"step": 2, "images": 2}), lambda: file.truncate(0)):
        with pytest.raises(Busy, match="taken over"):
            change()
    assert file.path.read_bytes() == before
