"""A small report with everything that the page shows: two data sets, a setting that fails, hostile labels."""

import base64
import io
import math
import random
from typing import Any

from PIL import Image

HOSTILE = "loss=</script><script>window.broken=1</script>"
"""A label that would run if the page did not show it as text."""
LABELS = ("loss=hinge penalty=gp", "loss=wasserstein penalty=none", HOSTILE, "loss=saturating penalty=r1")
SEEDS = (0, 1, 2)
STEPS = (250, 500, 750, 1000)
METRICS = {
    "ring8": (("hq", "target", 0.98889), ("modes", "higher", None), ("bpd", "lower", None), ("nll_true", "none", None)),
    "digits": (("fd32c", "lower", 0.0), ("coverage", "higher", 0.97), ("recall", "higher", None)),
}
BASE = {"hq": 0.9, "modes": 7.0, "bpd": 3.0, "nll_true": 1.2, "fd32c": 1.0, "coverage": 0.8, "recall": 0.7}
T95 = {2: 12.706204736, 3: 4.30265273}
"""Student's quantile of the interval by the number of runs."""


def example() -> dict[str, Any]:
    """The report, always the same."""
    draw = random.Random(1)
    runs: dict[str, Any] = {}
    tables = [_table(data, draw, runs) for data in METRICS]
    rows = [
        {"label": label, "iqm": 0.1 * i, "n": 6, "by_data": dict.fromkeys(METRICS, 0.1 * i)}
        for i, label in enumerate(LABELS)
    ]
    return {
        "title": "An <b>example</b>",
        "created": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef",
        "dirs": ["runs/sweeps/example"],
        "notes": ["1 folder is damaged and was left out."],
        "tables": tables,
        "normalised": {"rows": rows},
        "configs": {f"{data}{i}": _config(i) for data in METRICS for i in range(len(LABELS))},
        "runs": runs,
    }


def config_of(report: dict[str, Any], run: str) -> dict[str, Any]:
    """The config of a run, as the page shows it."""
    own = report["runs"][run]
    return {**report["configs"][own["setting"]], "seed": own["seed"], "name": own["name"]}


def _config(i: int) -> dict[str, Any]:
    weight = {"penalty.weight": 10.0} if i == 0 else {}
    return {"batch_size": 256, "loss._target_": f"losses.{i}", "hidden": [128, 128], **weight}


def _table(data: str, draw: random.Random, runs: dict[str, Any]) -> dict[str, Any]:
    headline = METRICS[data][0][0]
    settings = [_setting(data, i, label, draw, runs) for i, label in enumerate(LABELS)]
    numbers = [value for setting in settings for value in setting["values"][headline] if value is not None]
    numbers.sort(reverse=headline == "fd32c")
    return {
        "data": data,
        "headline": headline,
        "fingerprint": {"data": data, "n": 500, "draws": 4, "headline": headline},
        "caption": "4 draws of 500 samples\nBold: not separable from the best of the column.",
        "metrics": [
            {
                "name": name,
                "better": better,
                "null": null,
                "aim": {"lower": "↓", "higher": "↑", "target": "→", "none": ""}[better],
                "meaning": f"what {name} means",
            }
            for name, better, null in METRICS[data]
        ],
        "anchors": [
            {"name": name, "values": {metric: at * BASE[metric] for metric, *_ in METRICS[data]}}
            for name, at in (("perfect", 1.02), ("gaussian", 1.3), ("uniform", 60.0))
        ],
        "settings": settings,
        "comparisons": [_pair(headline, a, b) for i, a in enumerate(settings) for b in settings[i + 1 :]],
        "budget": {
            "metric": headline,
            "failures": 1,
            "points": [
                {"k": k, "expected": numbers[k - 1], "cpu_seconds": 20.0 * k} for k in range(1, len(numbers) + 1)
            ],
        },
    }


def _setting(data: str, i: int, label: str, draw: random.Random, runs: dict[str, Any]) -> dict[str, Any]:
    key = f"{data}{i}"
    ids = [f"{key}-s{seed}" for seed in SEEDS]
    names = [name for name, *_ in METRICS[data]]
    shift = (0.0, 0.15, 0.05, 0.02)[i]
    values: dict[str, list[float | None]] = {
        name: [BASE[name] * (1 + (shift if name == "fd32c" else -shift)) + 0.02 * draw.random() for _ in SEEDS]
        for name in names
    }
    failures = []
    if i == 1:  # its last seed diverges
        failures = [{"seed": 2, "status": "diverged", "reason": "loss/critic became NaN at step 340.", "run": ids[2]}]
        for name in names:
            values[name][2] = None
    for seed, run in zip(SEEDS, ids, strict=True):
        runs[run] = _run(data, i, label, seed, run, draw, failed=bool(failures) and seed == 2)
    intervals = {name: interval([value for value in values[name] if value is not None]) for name in names}
    return {
        "id": key,
        "label": label,
        "command": f"genexp train experiment={data}_gan seeds=3",
        "seeds": list(SEEDS),
        "n": len(SEEDS) - len(failures),
        "failures": failures,
        "unfinished": 1 if i == 3 else 0,
        "values": values,
        "mean": {name: mean for name, (mean, _) in intervals.items()},
        "half_width": {name: half for name, (_, half) in intervals.items()},
        "best": dict.fromkeys(names, i in (0, 3)),
        "kinds": {"bpd": "lower bound"},
        "bpd_kind": "lower bound",
        "seconds": 20.0 + i,
        "cpu_seconds": 15.0 + i,
        "images_per_second": 25000.0 - 100 * i,
        "parameters": 83715,
        "runs": ids,
    }


def _run(data: str, i: int, label: str, seed: int, run: str, draw: random.Random, failed: bool) -> dict[str, Any]:
    steps = [step for step in range(50, 1001, 50) if not failed or step <= 300]
    first = seed == SEEDS[0]
    return {
        "folder": f"runs/sweeps/example/{run}",
        "name": f"{data}_gan",
        "seed": seed,
        "setting": run.rpartition("-")[0],
        "status": "diverged" if failed else "complete",
        "reason": "loss/critic became NaN at step 340." if failed else None,
        "step": 340 if failed else 1000,
        "seconds": 20.0 + i,
        "commit": "0123456789abcdef",
        "command": f"genexp train experiment={data}_gan seed={seed}",
        "curves": {
            "step": steps,
            f"fast/{METRICS[data][0][0]}": [
                None if step % 100 else 1.0 - math.exp(-step / 300) * (1 + 0.1 * draw.random()) for step in steps
            ],
            "loss/critic": [0.7 + math.exp(-step / 400) + 0.02 * draw.random() for step in steps],
        },
        "pictures": [{"step": step, "src": picture(i, step)} for step in STEPS] if first else [],
        "final": picture(i, 2000) if first else None,
        "nearest": picture(i, 3000, width=64) if first and data == "digits" else None,
    }


def _pair(metric: str, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    pairs = zip(a["seeds"], a["values"][metric], b["values"][metric], strict=True)
    shared = [(seed, x, y) for seed, x, y in pairs if x is not None and y is not None]
    difference, half_width = interval([x - y for _, x, y in shared])
    return {
        "metric": metric,
        "a": a["id"],
        "b": b["id"],
        "of": None,
        "seeds": [seed for seed, *_ in shared],
        "difference": difference,
        "half_width": half_width,
        "p": 0.012,
        "welch_p": 0.034,
        "a_wins": 0,
    }


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half-width of the 95 % Student interval."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, T95[len(values)] * math.sqrt(variance / len(values))


def picture(i: int, step: int, width: int = 16) -> str:
    """A picture that no other step and setting has."""
    image = Image.new("RGB", (width, 16), (40 * i, step % 251, step // 251 * 9))
    out = io.BytesIO()
    image.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
