"""A stand-in for the W&B server: what `wandb sync` asks of it, and the lines of a run's files as it would keep them."""

import gzip
import json
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HISTORY, SUMMARY = "wandb-history.jsonl", "wandb-summary.json"


class StandIn:
    """Keeps the history of runs, by line number as the real server's file stream does."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, str]] = defaultdict(dict)  # of each run, its history
        self.runs: dict[str, dict] = {}
        self.summaries: dict[str, str] = {}
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stand_in": self}))
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "StandIn":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def history(self, run: str) -> list[dict]:
        return [json.loads(self.lines[run][number]) for number in sorted(self.lines[run])]

    def answer(self, query: str, variables: dict) -> dict:
        operation = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = operation[1] if operation else ""
        self.asked.append(name)
        if name == "RunResumeStatus":
            return {
                "model": {
                    "id": "cHJvamVjdA==",
                    "name": "genexp",
                    "entity": {"id": "1", "name": "me"},
                    "bucket": self.resume(variables["name"]),
                }
            }
        if name == "UpsertBucket":
            run = variables["name"]
            inserted = run not in self.runs
            self.runs.setdefault(run, {}).update({k: v for k, v in variables.items() if v is not None})
            project = {"id": "cHJvamVjdA==", "name": "genexp", "entity": {"id": "1", "name": "me"}}
            bucket = {
                "id": "cnVu",
                "name": run,
                "displayName": run,
                "description": None,
                "config": None,
                "sweepName": None,
                "project": project,
                "historyLineCount": len(self.lines[run]),
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}
        if name == "CreateRunFiles":
            files = [{"name": f, "uploadUrl": f"{self.address}/upload/{f}"} for f in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if name == "Viewer":
            return {
                "viewer": {
                    "id": "1",
                    "entity": "me",
                    "username": "me",
                    "email": "me@example.org",
                    "flags": "{}",
                    "teams": {"edges": []},
                }
            }
        if name == "CreateArtifact":  # as if its files were there
            sequence = {"id": "1", "name": "scores", "latestArtifact": {"id": "1", "versionIndex": 0}}
            artifact = {
                "id": "1",
                "digest": variables.get("digest"),
                "state": "COMMITTED",
                "artifactSequence": sequence,
            }
            return {"createArtifact": {"artifact": artifact}}
        return {"project": None}

    def resume(self, run: str) -> dict | None:
        if run not in self.runs:
            return None
        lines = self.history(run)
        tail = json.dumps([json.dumps(lines[-1])] if lines else [])
        return {
            "id": "cnVu",
            "name": run,
            "summaryMetrics": self.summaries.get(run, "{}"),
            "displayName": run,
            "logLineCount": 0,
            "historyLineCount": len(lines),
            "eventsLineCount": 0,
            "historyTail": tail,
            "eventsTail": "[]",
            "config": "{}",
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }


class Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/file_stream"):
            sent, run = json.loads(body), self.path.split("/")[-2]
            files = sent.get("files") or {}
            if SUMMARY in files:
                self.stand_in.summaries[run] = files[SUMMARY]["content"][-1]
            chunk = files.get(HISTORY)
            for place, line in enumerate(chunk["content"] if chunk else ()):
                self.stand_in.lines[run][chunk["offset"] + place] = line
            return self.reply({"limits": {}})
        try:
            asked = json.loads(body or b"{}")
        except ValueError:  # telemetry, which is no JSON
            asked = {}
        self.reply({"data": self.stand_in.answer(asked.get("query", ""), asked.get("variables") or {})})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply({})

    def do_GET(self) -> None:
        self.reply({})

    def reply(self, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Say nothing."""
