"""A chat endpoint on loopback that counts what it is asked and fails as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = '{"instructions": [{"text": "show the dog with a ball", "category": "added_object"}]}'


def completion(content, finish="stop"):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


class ChatServer:
    """`plan(question, times)` gives what becomes of the `times`-th asking of a question (its last message):
    a text to answer with, or ("status", code, headers), "reset", "hang", "cut", "garbage", "null", "empty"."""

    def __init__(self, plan=lambda question, times: GOOD, delay=0.0, host="127.0.0.1"):
        self.asked = Counter()
        self.bodies, self.headers, self.clients = [], [], Counter()
        self.flying = self.most = 0
        self._plan, self._delay, self._lock = plan, delay, threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.clients[self.client_address[0]] += 1
                server._note(body, dict(self.headers), self.path)
                try:
                    server._act(self, body)
                finally:
                    with server._lock:
                        server.flying -= 1

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer((host, 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def _note(self, body, headers, path):
        assert path == "/v1/chat/completions"
        with self._lock:
            self.asked[self._key(body)] += 1
            self.bodies.append(body)
            self.headers.append(headers)
            self.flying += 1
            self.most = max(self.most, self.flying)

    @staticmethod
    def _key(body):
        """A question with images is named by its JSON."""
        question = body["messages"][-1]["content"]
        return question if isinstance(question, str) else json.dumps(question)

    def _act(self, handler, body):
        question = body["messages"][-1]["content"]
        act = self._plan(question, self.asked[self._key(body)])
        time.sleep(self._delay)
        if act == "hang":
            time.sleep(3)
            handler.close_connection = True
            return
        if act == "reset":
            handler.close_connection = True
            return
        status, headers = 200, {}
        if isinstance(act, tuple):
            _, status, headers = act
            data = b'{"error": {"message": "no"}}'
        elif act == "garbage":
            data = b"<html>busy</html>"
        elif act == "null":
            data = completion(None)
        elif act == "empty":
            data = completion(" ")
        else:
            data = completion(act)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        length = len(data) + (50 if act == "cut" else 0)
        for name, value in (headers | {"Content-Length": str(length)}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        if act == "cut":
            handler.close_connection = True

    def close(self):
        self._http.shutdown()
        self._http.server_close()
