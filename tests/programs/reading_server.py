"""A server that reads its model from storage for each answer.

usage: reading_server.py MODEL

It prints its port. Each request reads 64 KiB in 16 places, past the page cache.
"""
import http.server
import mmap
import os
import random
import sys

BLOCK = 4096
descriptor = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
blocks = os.fstat(descriptor).st_size // BLOCK
buffer = mmap.mmap(-1, BLOCK)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        total = 0
        for _ in range(16):
            os.preadv(descriptor, [buffer], random.randrange(blocks) * BLOCK)
            total += sum(buffer[:64])
        body = f"{total}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_address[1], flush=True)
server.serve_forever()
