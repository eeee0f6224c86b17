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
