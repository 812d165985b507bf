#!/usr/bin/env python3
"""Talks to the firmware, as PROTOCOL.md describes it; needs nothing but Python.

    bt_client.py PORT              who the device is, and its counts
    bt_client.py PORT VALUES       streams a file of values (raw bytes, of the
                                   device's input type) and prints the scores

PORT is a serial port (needs pyserial), tcp:HOST:PORT, unix:PATH, or fd:N, an
open socket. Both print one JSON object. As a module: `Client(open_port(...))`.
"""

import json
import socket
import struct
import sys
import time
import zlib

VERSION = 2
INPUT_TYPES = ("u8", "i8", "i16")
TRIES = 12
PATIENCE_S = 3.0

HELLO, LABEL, DATA, SCORES, RESET, STATISTICS, CLEAR = range(0x01, 0x08)
REFUSED, ERROR = 0xFE, 0xFF
REPLY = 0x80  # added to the kind of a request
READY = 0x85  # the reply to CLEAR too

ERRORS = {
    1: "a frame arrived garbled",
    2: "a frame is longer than {} bytes",
    3: "it speaks version {} of the protocol, this program version %d" % VERSION,
    4: "no message has the kind 0x{:02x}",
    5: "wrong fields in a message of kind 0x{:02x}",
    6: "data chunk {} is due",
    7: "no step is complete yet",
    8: "there are only {} classes",
    9: "bytes of a frame were lost on the line",
    10: "the session refused a value",
    11: "period {} of the counts is under way",
}


class DeviceError(Exception):
    """The device refuses, or the line is dead."""


def encode(kind, tag, fields=b""):
    """The frame of one request."""
    body = bytes([VERSION, kind, tag]) + fields
    out, run = bytearray(), bytearray()
    for byte in body + struct.pack("<I", zlib.crc32(body)):
        if byte:
            run.append(byte)
        if not byte or len(run) == 254:
            out += bytes([len(run) + 1]) + run
            run.clear()
    return bytes(out + bytes([len(run) + 1]) + run) + b"\0"


def decode(frame):
    """The body in a frame without its 0x00; None when it is garbled."""
    out, at = bytearray(), 0
    while at < len(frame):
        code = frame[at]
        run = frame[at + 1 : at + code]
        if len(run) != code - 1:
            return None
        out += run
        at += code
        if code < 255 and at < len(frame):
            out.append(0)
    body, crc = bytes(out[:-4]), bytes(out[-4:])
    if len(body) < 3 or struct.pack("<I", zlib.crc32(body)) != crc:
        return None
    return body


class Fields:
    """Reads fields off the front of a reply."""

    def __init__(self, data):
        self.data = data

    def take(self, form):
        size = struct.calcsize("<" + form)
        if len(self.data) < size:
            raise DeviceError("a reply is too short")
        values = struct.unpack("<" + form, self.data[:size])
        self.data = self.data[size:]
        return values if len(values) > 1 else values[0]

    def text(self):
        length = self.take("B")
        if len(self.data) < length:
            raise DeviceError("a reply is too short")
        text, self.data = self.data[:length].decode(), self.data[length:]
        return text


class Client:
    """The host's end. `port` has `write(bytes)` and `read(count)`, which gives
    what there is, b"" when nothing came for a while, and raises at the end."""

    def __init__(self, port, patience_s=PATIENCE_S, tries=TRIES):
        self.port, self.patience_s, self.tries = port, patience_s, tries
        self.tag = 0
        self.next_chunk = 0
        self.repeats = 0
        self.arrived = bytearray()

    def ask(self, kind, fields=b"", answer=None):
        """Sends a request until its reply comes; the reply's fields."""
        answer = answer or kind + REPLY
        self.tag = self.tag % 255 + 1
        frame = encode(kind, self.tag, fields)
        last = None
        for attempt in range(self.tries):
            self.repeats += attempt > 0
            # A 0x00 in front ends whatever noise the device holds.
            self.port.write(b"\0" + frame if attempt else frame)
            reply, why = self._reply(answer)
            if reply is not None:
                return Fields(reply)
            last = why or last
        if last is None:
            raise DeviceError("the device does not answer")
        raise DeviceError(f"the line is too noisy: {last}, {self.tries} times in a row")

    def _reply(self, answer):
        """The reply with our tag, or None and why to ask again."""
        until = time.monotonic() + self.patience_s
        while True:
            while 0 in self.arrived:
                line, _, self.arrived = self.arrived.partition(b"\0")
                if not line:
                    continue
                body = decode(line)
                if body is None:
                    return None, ERRORS[1]
                version, kind, tag = body[:3]
                if version != VERSION:
                    raise DeviceError("the device answered: " + ERRORS[3].format(version))
                if kind == ERROR and tag in (0, self.tag):
                    code, number = Fields(body[3:]).take("BI")
                    text = ERRORS.get(code, f"error {code}, {{}}").format(number)
                    if tag == 0:
                        return None, text
                    raise DeviceError("the device answered: " + text)
                if tag != self.tag:
                    continue  # late
                if kind == REFUSED:
                    reason = Fields(body[3:]).text()
                    raise DeviceError("the device has no model to serve: " + reason)
                if kind == answer:
                    return body[3:], None
            if time.monotonic() >= until:
                return None, None
            self.arrived += self.port.read(4096)

    def hello(self):
        fields = self.ask(HELLO)
        firmware = fields.take("3B")
        names = "input self_test score_shift chunk_bytes_max classes hidden frame_values"
        names += " arena_bytes model_crc tick_hz"
        hello = dict(zip(names.split(), fields.take("BBiHHHIIII")))
        if hello["input"] >= len(INPUT_TYPES):
            raise DeviceError(f"input type {hello['input']} is unknown")
        hello["input"] = INPUT_TYPES[hello["input"]]
        hello["self_test"] = hello["self_test"] == 1
        hello["firmware"] = ".".join(map(str, firmware))
        hello["board"], hello["model"] = fields.text(), fields.text()
        return hello

    def label(self, class_):
        fields = self.ask(LABEL, struct.pack("<H", class_))
        fields.take("H")
        return fields.text()

    def reset(self):
        self.ask(RESET)
        self.next_chunk = 0

    def data(self, chunk):
        """Sends values; the count of steps since the reset."""
        fields = self.ask(DATA, struct.pack("<I", self.next_chunk) + chunk)
        due, steps = fields.take("II")
        if due != self.next_chunk + 1:
            raise DeviceError(f"the device wants chunk {due} next")
        self.next_chunk = due
        return steps

    def scores(self):
        """Steps, best class, its confidence, and the raw scores of all classes."""
        raw, classes = [], 1
        while len(raw) < classes:
            fields = self.ask(SCORES, struct.pack("<H", len(raw)))
            steps, best, confidence, first, classes = fields.take("IHfHH")
            values = [value for (value,) in struct.iter_unpack("<i", fields.data)]
            if first != len(raw) or not values:
                raise DeviceError("the device sent no scores")
            raw += values
        return {"steps": steps, "best": best, "confidence": confidence, "raw": raw}

    def statistics(self):
        names = "period steps ticks step_ticks_max push_ticks_max score_ticks_max"
        names += " frames_garbled frames_too_long frames_lost read_errors replies_lost"
        names += " stack_bytes_used stack_bytes"
        values = self.ask(STATISTICS).take("IIQIIIIIIIIII")
        return dict(zip(names.split(), values))

    def clear(self):
        """Begins a period of counts; the counts of the one that ends."""
        ended = self.statistics()
        self.ask(CLEAR, struct.pack("<I", ended["period"]), READY)
        return ended

    def sequence(self, values):
        """Streams the bytes of one sequence; its scores."""
        chunk_bytes = self.hello()["chunk_bytes_max"]
        self.reset()
        for at in range(0, len(values), chunk_bytes):
            self.data(values[at : at + chunk_bytes])
        return self.scores()


class SocketPort:
    """A socket as a port."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(0.05)

    def write(self, data):
        self.socket.sendall(data)

    def read(self, count):
        try:
            data = self.socket.recv(count)
        except TimeoutError:
            return b""
        if not data:
            raise DeviceError("the device is gone")
        return data


class SerialPort:
    """A serial port, by pyserial."""

    def __init__(self, name):
        import serial

        self.port = serial.Serial(name, 115200, timeout=0.05)

    def write(self, data):
        self.port.write(data)

    def read(self, count):
        return self.port.read(max(1, min(count, self.port.in_waiting)))


def open_port(name):
    kind, _, place = name.partition(":")
    if kind == "tcp":
        host, _, number = place.rpartition(":")
        return SocketPort(socket.create_connection((host, int(number))))
    if kind == "unix":
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(place)
        return SocketPort(connected)
    if kind == "fd":
        return SocketPort(socket.socket(fileno=int(place)))
    return SerialPort(name)


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        client = Client(open_port(arguments[0]))
        hello = client.hello()
        if len(arguments) == 1:
            print(json.dumps({**hello, "statistics": client.statistics()}))
            return 0
        with open(arguments[1], "rb") as file:
            scores = client.sequence(file.read())
        scores["label"] = client.label(scores["best"])
        print(json.dumps({**scores, "repeats": client.repeats}))
    except (DeviceError, OSError, ImportError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
