"""A small chat-completions server for tests, run as a process of its own: it prints its port and serves.

What it answers follows from the problem in the request, and from the behaviour that the problem's text asks
for with a mark such as ``[[fenced]]``. A name that ends in ``-once`` misbehaves at the first request for the
problem, ``-thrice`` at the first three, others at each one.
"""

import argparse
import json
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "small"
DRIP = 0.05
"""Seconds between the bytes of a slow answer."""


def annotation(text: str, revised: bool = False) -> dict[str, Any]:
    """The annotation of a problem: what a good model says about its text."""
    words = text.split()
    return {
        "plan": [
            f"{'Again, count' if revised else 'Count'} the words from {words[0]} on",
            "Name the last one",
        ],
        "knowledge": ["Words are parted by spaces", r"Here \(n \in \mathbb{N}\) and “é” are plain text"],
        "subproblems": [
            {
                "question": f"How many words has {text!r}?",
                "answer": str(len(words)),
                "fact": "{answer} words.",
            },
            {"question": f"Which is the last of {text!r}?", "answer": words[-1], "fact": "It is {answer}."},
        ],
    }


def answer(behaviour: str, kind: str, text: str, first: bool) -> str:
    """The model's text for one request of a kind: annotate, revise or verify."""
    if kind == "verify":
        wrong = behaviour == "plan-wrong" or (behaviour == "plan-wrong-once" and first)
        nothing = behaviour == "all-wrong"
        verdict = {"plan": not wrong and not nothing, "knowledge": not nothing, "subproblems": not nothing}
        note = "the last answer is not the problem's" if behaviour == "other-answer" else ""
        return json.dumps({**verdict, "reason": "step 1\ntells a result" if wrong else note})
    good = json.dumps(annotation(text, kind == "revise"))
    links = annotation(text)["subproblems"]
    spoilt: dict[str, Any] = {
        "no-slot": {**annotation(text), "subproblems": [{**links[0], "fact": "no slot"}]},
        "two-slots": {**annotation(text), "subproblems": [{**links[0], "fact": "{answer} {answer}"}]},
        "no-plan": {"knowledge": ["a"], "subproblems": links},
        "extra": {**annotation(text), "note": "a"},
        "surrogate": {**annotation(text), "plan": ["a \ud800 b"]},
        "null": {**annotation(text), "plan": ["a \0 b"]},
        "control": {**annotation(text), "plan": ["\frac{1}{2}"]},
        "many": {**annotation(text), "plan": ["a"] * 21},
        "long": {**annotation(text), "plan": ["a" * 2001]},
    }
    texts = {
        "fenced": f"Here it is:\n```json\n{good}\n```\nThat is all.",
        "thinking": f"<think>{{maybe}}</think>\n{good}",
        "malformed": good[:-1],
        "empty": "  ",
        "prose": "I cannot help with that.",
        "nested": '{"plan": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "number": '{"plan": ' + "9" * 10_000 + "}",
        "infinite": '{"plan": 1e999, "knowledge": NaN, "subproblems": null}',
        **{name: json.dumps(value) for name, value in spoilt.items()},
    }
    return texts.get(behaviour, good)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, content: Any, **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, message: str, **headers: str) -> None:
        self.reply(status, {"error": {"message": message, "type": "test"}}, **headers)

    def drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(DRIP)

    def do_GET(self) -> None:
        with self.server.lock:
            self.reply(200, self.server.log)

    def do_POST(self) -> None:
        with suppress(ConnectionError):  # a client may hang up
            self.complete()

    def complete(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        if self.path != "/v1/chat/completions":
            return self.refuse(404, "no such page")
        if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
            return self.refuse(401, f"wrong key: {self.headers['Authorization']}")
        request = json.loads(data)
        kinds = {"temperature": float, "seed": int, "max_tokens": int, "model": str, "messages": list}
        if any(type(request.get(name)) is not kind for name, kind in kinds.items()):
            return self.refuse(400, "a parameter is missing or of the wrong type")
        if request["model"] != MODEL:
            return self.refuse(404, f"no model {request['model']}")
        if request["response_format"] != {"type": "json_object"} or "JSON" not in data.decode():
            return self.refuse(400, "JSON must be asked for")
        _, user = (message["content"] for message in request["messages"])
        found = re.search(r"<problem (\w+)>\n(.*?)\n</problem \1>", user, re.DOTALL)
        assert found and "<solution " in user and "<answer " in user
        text = found[2]
        marked = re.search(r"\[\[(.+?)\]\]", text)
        kind = "verify" if "<annotation " in user else "revise" if "<earlier " in user else "annotate"
        with server.lock:
            server.log.append(
                {"text": text, "kind": kind, "seed": request["seed"], "time": time.time(), "user": user}
            )
            server.seen[text, kind] += 1
            count = server.seen[text, kind]
        behaviour = marked[1] if marked else ""
        if kind == "annotate":
            base, _, times = behaviour.rpartition("-")
            if times in ("once", "thrice"):
                behaviour = base if count <= {"once": 1, "thrice": 3}[times] else ""
        self.behave(behaviour, kind, answer(behaviour, kind, text, count == 1))

    def behave(self, behaviour: str, kind: str, content: str) -> None:
        message = {"role": "assistant", "content": content, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {"id": "1", "object": "chat.completion", "model": MODEL, "choices": [choice]}
        if kind != "annotate":
            behaviour = ""
        if behaviour == "slow":
            body = json.dumps(whole).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.drip(body)
        elif behaviour == "slow-head":
            self.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 1\r\n" * 100)
        elif behaviour == "busy":
            self.refuse(429, "slow down", retry_after="1")
        elif behaviour == "busy-for-long":
            self.refuse(429, "slow down", retry_after="3600")
        elif behaviour == "down":
            self.refuse(500, "out of order")
        elif behaviour == "bad":
            self.refuse(400, "the context is too long")
        elif behaviour == "moved":
            self.refuse(302, "elsewhere", location="http://127.0.0.1:1/")
        elif behaviour == "huge":
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b'{"choices": "' + b"x" * 10_000)
        elif behaviour == "closed":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices"')
        elif behaviour == "foreign":
            self.reply(200, [[{"not": "a completion"}]])
        else:
            if behaviour == "refusing":
                message |= {"content": None, "refusal": "No.\nI will not."}
            elif behaviour == "filtered":
                choice["finish_reason"] = "content_filter"
            elif behaviour == "cut":
                choice["finish_reason"] = "length"
            elif behaviour == "delayed":
                time.sleep(0.1)
            self.reply(200, whole)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, key: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.key = key
        self.log: list[dict[str, Any]] = []
        self.seen: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", default="")
    served = Server(parser.parse_args().key)
    print(served.server_address[1], flush=True)
    served.serve_forever()
