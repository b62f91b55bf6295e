"""A loopback server that speaks as much of the hub's HTTP API as an upload needs, and fails when it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class HubState:
    """What the hub holds: objects of large files, and the files of one repository by path → content."""

    token: str
    objects: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    #: How many of the next uploads are cut in the middle, and of the next commits answered by 503.
    cut_uploads: int = 0
    failing_commits: int = 0
    #: Uploads after this many wait until they are killed.
    hang_after: int | None = None
    uploaded: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> HubState:
        return self.server.state  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def _answer(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.state.token}"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.state.requests[f"GET {path}"] += 1
        if not self._allowed():
            self._answer(401, {"error": "Invalid credentials"})
        elif "/tree/" in path:
            self._answer(200, [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in self.state.files])
        elif path.startswith("/api/datasets/"):
            names = [{"rfilename": name} for name in self.state.files]
            self._answer(200, {"id": path.removeprefix("/api/datasets/").split("/revision")[0], "siblings": names})
        else:
            self._answer(404, {"error": path})

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        kind = next((one for one in ("create", "preupload", "batch", "validate-yaml", "commit") if one in path), path)
        self.state.requests[kind] += 1
        if not self._allowed():
            self._answer(401, {"error": f"Invalid credentials {self.headers.get('Authorization')}"})
        elif kind == "create":
            data = json.loads(body)
            name = f"{data['organization']}/{data['name']}" if data.get("organization") else data["name"]
            known = name in self.state.repositories
            self.state.repositories.setdefault(name, data)
            self._answer(409 if known else 200, {"url": f"{self._base()}/datasets/{name}", "id": name, "name": name})
        elif kind == "preupload":
            files = json.loads(body)["files"]
            self._answer(200, {"files": [self._mode(one["path"]) for one in files]})
        elif kind == "batch":
            self._answer(
                200, {"transfer": "basic", "objects": [self._object(one) for one in json.loads(body)["objects"]]}
            )
        elif kind == "validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif kind == "commit":
            self._commit(body)
        else:
            self._answer(404, {"error": path})

    def do_PUT(self) -> None:
        state = self.state
        oid = urlsplit(self.path).path.rsplit("/", 1)[-1]
        state.requests["PUT"] += 1
        if state.hang_after is not None and state.uploaded >= state.hang_after:
            threading.Event().wait(20)
        if state.cut_uploads:
            state.cut_uploads -= 1
            self.rfile.read(10)
            self.connection.close()
            self.close_connection = True
            return
        data = self._body()
        assert hashlib.sha256(data).hexdigest() == oid
        state.objects[oid] = data
        state.uploaded += 1
        self._answer(200, {})

    def _mode(self, path: str) -> dict[str, Any]:
        large = path.endswith(".parquet")
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

    def _object(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.state.objects:
            return one
        return one | {"actions": {"upload": {"href": f"{self._base()}/storage/{one['oid']}"}}}

    def _commit(self, body: bytes) -> None:
        if self.state.failing_commits:
            self.state.failing_commits -= 1
            self._answer(503, {"error": "busy"})
            return
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.state.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.state.files[value["path"]] = self.state.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del self.state.files[unquote(value["path"])]
        self._answer(200, {"commitUrl": f"{self._base()}/datasets/o/n/commit/abc", "commitOid": "a" * 40})

    def _base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


class HubServer:
    """Runs the server in a thread while the context lasts."""

    def __init__(self, token: str) -> None:
        self.state = HubState(token)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.state = self.state  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
