"""A small hub for tests: it serves repositories over the parts of the Hugging Face API that downloads use.

Each repository is a folder given by the test. As on the hub, a file above some size is kept by its SHA-256
("LFS") and fetched through a redirect, a smaller one by git's SHA-1; a gated repository lists its files and
refuses their content. Point the client at it with ``HF_ENDPOINT``.
"""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 1000
"""Files of more bytes than this are kept by their SHA-256."""


@dataclass
class Repo:
    """A repository and how it misbehaves."""

    folder: Path
    revision: str
    gated: bool = False
    damaged: set[str] = field(default_factory=set)
    """Files whose content is not what their checksum says."""
    cut: dict[str, list[int]] = field(default_factory=dict)
    """Of a file, how many bytes each of its next answers holds before the connection breaks."""
    hanging: set[str] = field(default_factory=set)
    """Files whose cut answers hang instead of breaking off."""
    renamed: str = ""


@dataclass
class Hub:
    """A running hub. ``repos`` by kind and id, such as ``models/some/model``."""

    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: dict[str, set[str]] = field(default_factory=dict)
    """Valid tokens, and the ids of the gated repositories that each may read."""
    status: int = 0
    """Where not 0, the answer to everything."""
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of content sent, by file."""
    requests: list[str] = field(default_factory=list)
    address: str = ""
    hung: threading.Event = field(default_factory=threading.Event)
    """Set when an answer hangs."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(with_content=True)

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def answer(self, with_content: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.with_content = with_content
        if self.hub.status:
            return self.reply(self.hub.status, b"{}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            return self.fail(401, "", "Invalid credentials in Authorization header")
        if path == "/":
            return self.reply(200, b"a hub")
        blob = re.fullmatch(r"/blobs/(.*)/([0-9a-f]{40})/(.*)", path)  # what the hub keeps elsewhere
        if blob:
            return self.content(self.hub.repos[blob[1]], blob[3])
        api = re.fullmatch(r"/api/((models|datasets)/[^/]+/[^/]+)(/.*)?", path)
        file = re.fullmatch(r"/((datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.*)", path)
        name = api[1] if api else f"{file[2] or 'models'}/{file[3]}" if file else ""
        repo = self.hub.repos.get(name)
        if repo is None:
            # Without a token the hub does not say whether there is such a repository.
            return self.fail(404 if token else 401, "RepoNotFound", "Repository not found")
        if repo.renamed:
            self.send_response(307)
            self.send_header("Location", self.path.replace(name.partition("/")[2], repo.renamed))
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if api:
            return self.tell(repo, name, token, api[3] or "")
        assert file
        if file[4] != repo.revision:
            return self.fail(404, "RevisionNotFound", f"Invalid rev id: {file[4]}")
        if self.refused(repo, name, token):
            return None
        if not (repo.folder / file[5]).is_file():
            return self.fail(404, "EntryNotFound", "Entry not found")
        if (repo.folder / file[5]).stat().st_size <= LARGE:
            return self.content(repo, file[5])
        self.send_response(302)
        self.send_header("Location", f"{self.hub.address}/blobs/{name}/{file[4]}/{file[5]}")
        self.send_header("X-Repo-Commit", repo.revision)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(self.stored(repo, file[5])).hexdigest()}"')
        self.send_header("X-Linked-Size", str((repo.folder / file[5]).stat().st_size))
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def refused(self, repo: Repo, name: str, token: str) -> bool:
        if not repo.gated or (token and name.partition("/")[2] in self.hub.tokens[token]):
            return False
        self.fail(403 if token else 401, "GatedRepo", "Access to this repository is restricted")
        return True

    def tell(self, repo: Repo, name: str, token: str, what: str) -> None:
        """Answer a question about a repository: its state, its files, or whether it may be read."""
        id = name.partition("/")[2]
        state = {"_id": "0" * 24, "id": id, "sha": repo.revision, "gated": "auto" if repo.gated else False}
        revision = re.fullmatch(r"/(tree|revision)/([^/]+)", what)
        if what == "/auth-check":
            if not self.refused(repo, name, token):
                self.reply(200, b"{}")
        elif not what or (revision and revision[1] == "revision" and revision[2] == repo.revision):
            self.reply(200, json.dumps({**state, "private": False, "tags": [], "siblings": []}).encode())
        elif revision and revision[2] == repo.revision:
            self.reply(200, json.dumps(self.tree(repo)).encode())
        else:
            self.fail(404, "RevisionNotFound", "Invalid rev id")

    def tree(self, repo: Repo) -> list[dict[str, Any]]:
        recursive = "recursive=true" in self.path.lower()
        found = []
        for path in sorted(repo.folder.rglob("*") if recursive else repo.folder.iterdir()):
            name = path.relative_to(repo.folder).as_posix()
            if path.is_dir():
                found.append({"type": "directory", "path": name, "oid": "0" * 40, "size": 0})
                continue
            content = self.stored(repo, name)
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content)}
            if len(content) > LARGE:
                digest = hashlib.sha256(content).hexdigest()
                entry |= {"oid": "1" * 40, "lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
            else:
                blob = b"blob %d\0" % len(content) + content
                entry["oid"] = hashlib.sha1(blob).hexdigest()
            found.append(entry)
        return found

    def stored(self, repo: Repo, name: str) -> bytes:
        return (repo.folder / name).read_bytes()

    def content(self, repo: Repo, name: str) -> None:
        """Send a file, or its end from the first byte that is asked for."""
        content = self.stored(repo, name)
        if name in repo.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["", "0"])[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", repo.revision)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not self.with_content:
            return
        cuts = repo.cut.get(name, [])
        part = content[start : start + cuts.pop(0)] if cuts else content[start:]
        self.wfile.write(part)
        self.wfile.flush()
        self.hub.sent[name] += len(part)
        if start + len(part) < len(content):
            if name in repo.hanging:
                self.hub.hung.set()
                self.rfile.read(1)  # until the other side is gone
            self.close_connection = True

    def fail(self, status: int, code: str, message: str) -> None:
        self.reply(
            status,
            json.dumps({"error": message}).encode(),
            {"X-Error-Code": code, "X-Error-Message": message},
        )

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.with_content:
            self.wfile.write(content)


@contextmanager
def running() -> Iterator[Hub]:
    """Yield a hub that serves on a port of its own until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
