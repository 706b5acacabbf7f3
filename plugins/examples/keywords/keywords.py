#!/usr/bin/python3
"""keywords: an example of a plugin that is not in Go. It lists the words of a message that are on a list of its options.

The protocol is described in plugins/proto/FORMAT.md. Nothing but grpcio and protobuf is needed (Debian: python3-grpcio,
python3-protobuf), and nothing is generated.
"""

import json
import os
import re
import sys
from concurrent import futures

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

KEPT, DROPPED, CHANGED, SPLIT, FAILED = range(5)
TEXT, NUMBER, BOOL, JSON = range(4)

DESCRIPTION = {
    "name": "keywords",
    "version": "1.0",
    "summary": "lists the words of a message that are on a list",
    "reads": ["message"],
    "writes": ["keywords"],
    "options": [
        {"name": "words", "type": "list", "required": True, "help": "the words to look for"},
        {"name": "drop", "type": "string", "help": "a word; messages that have it are dropped"},
    ],
    "needs": ["drop"],
}


class Reader:
    """Reads a batch. Whatever is wrong with it ends in an IndexError or a ValueError."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def uint(self):
        n = shift = 0
        while True:
            b = self.byte()
            n |= (b & 0x7F) << shift
            if b < 0x80:
                return n
            shift += 7
            if shift > 63:
                raise ValueError("a number without an end")

    def int(self):
        n = self.uint()
        return (n >> 1) ^ -(n & 1)

    def text(self):
        n = self.uint()
        if self.at + n > len(self.data):
            raise ValueError("a text is longer than the rest")
        self.at += n
        return self.data[self.at - n : self.at].decode("utf-8", "replace")

    def count(self):
        n = self.uint()
        if n > len(self.data) - self.at:
            raise ValueError("a list is longer than the rest")
        return n


def read_batch(data):
    """Gives each event as a dictionary of texts."""
    r = Reader(data)
    if r.byte() != 1:
        raise ValueError("not a batch of version 1")
    names = [r.text() for _ in range(r.count())]
    events = []
    for _ in range(r.count()):
        r.int()  # the time, which is not among what this plugin reads
        fields = {}
        for _ in range(r.count()):
            name, _kind = names[r.uint()], r.byte()
            fields[name] = r.text()
        events.append(fields)
    if r.at != len(data):
        raise ValueError("bytes behind the end")
    return events


def uint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def text(s):
    b = s.encode()
    return uint(len(b)) + b


class Keywords:
    def __init__(self):
        self.words = None

    def describe(self, request):
        host = json.loads(request)
        for need in DESCRIPTION["needs"]:
            if need not in host["capabilities"]:
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "this plugin needs a Tally that can " + need)
        return json.dumps(DESCRIPTION).encode()

    def configure(self, request):
        config = json.loads(request)
        if not all(isinstance(w, str) for w in config["words"]):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "words must be texts")
        self.words = set(config["words"])
        self.drop = config.get("drop")
        return b""

    def process(self, request):
        if self.words is None:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "not configured yet")
        try:
            events = read_batch(request)
        except (IndexError, ValueError) as e:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "cannot read the batch: %s" % e)
        answer = bytearray(b"\x01" + uint(1) + text("keywords") + uint(len(events)))
        for fields in events:
            words = re.findall(r"\w+", fields.get("message", ""))
            found = sorted(self.words.intersection(words))
            if self.drop and self.drop in words:
                answer.append(DROPPED)
            elif not found:
                answer.append(KEPT)
            else:
                # A change: no flags, nothing removed, one field set (name 0), no tags.
                answer += bytes([CHANGED, 0]) + uint(0)
                answer += uint(1) + uint(0) + bytes([JSON]) + text(json.dumps(found))
                answer += uint(0)
        return bytes(answer)


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


def handler(f):
    def call(request, context):
        try:
            return BytesValue(value=f(request.value))
        except Refused as e:
            context.abort(e.code, e.message)

    return grpc.unary_unary_rpc_method_handler(call, BytesValue.FromString, BytesValue.SerializeToString)


def main():
    if os.environ.get("TALLY_PLUGIN") != "b7d1c9b2-processor":
        sys.exit("keywords is a plugin of Tally and does nothing when started alone; try: tally plugin check " + sys.argv[0])
    if "1" not in os.environ["PLUGIN_PROTOCOL_VERSIONS"].split(","):
        sys.exit("this plugin speaks version 1 of the protocol")
    k = Keywords()
    limit = 64 << 20
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=2),
        options=[("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", limit)],
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "tally.plugin.v1.Processor",
                {"Describe": handler(k.describe), "Configure": handler(k.configure), "Process": handler(k.process)},
            ),
        )
    )
    socket = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "plugin.sock")
    server.add_insecure_port("unix:" + socket)
    server.start()
    print("1|1|unix|%s|grpc" % socket, flush=True)
    server.wait_for_termination()


main()
