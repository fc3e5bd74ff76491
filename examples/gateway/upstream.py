#!/usr/bin/env python3
"""A service that is not written in Rust and knows nothing of tokens: it says what it was sent."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        sent = {"method": self.command, "path": self.path, "headers": headers, "body": self.rfile.read(length).decode()}
        body = json.dumps(sent).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Echo)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
