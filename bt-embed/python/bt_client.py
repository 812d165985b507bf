#!/usr/bin/env python3
"""Talks to the firmware, as PROTOCOL.md describes it; needs nothing but Python.

    bt_client.py PORT              who the device is, and its counts
    bt_client.py PORT FILE         streams the file and prints its scores: sound.wav,
                                   the test part of data.npz, or raw values of the
                                   device's input type
    bt_client.py PORT FILE --rules FILE [--window STEPS]
                                   and what was detected on the way, by the rules that
                                   bt-train detect --json found
    bt_client.py PORT --save FILE  the session's state into a file
    bt_client.py PORT --load FILE  and back; the device goes on from there
    bt_client.py PORT FILE --captions [--seed S --temperature T]
                                   a caption of every picture of data.npz, the likeliest
                                   words or words drawn from a seed
    bt_client.py PORT --draw [STEPS] --seed S --count N
                                   pictures 0 to N - 1 of a seed, a row of bits a step

PORT is a serial port (needs pyserial), tcp:HOST:PORT, unix:PATH, or fd:N, an
open socket. Each prints one JSON object. As a module: `Client(open_port(...))`.
"""

import argparse
import ast
import json
import socket
import struct
import sys
import time
import wave
import zipfile
import zlib

VERSION = 3
INPUT_TYPES = ("u8", "i8", "i16")
INPUT_FORMS = {"u8": "B", "i8": "b", "i16": "h"}
TRIES = 12
PATIENCE_S = 3.0
SLACK = 2  # times the longest step that the device tells

HELLO, LABEL, DATA, SCORES, RESET, STATISTICS, CLEAR = range(0x01, 0x08)
FINISH, SAVE, LOAD, INPUTS = range(0x08, 0x0C)
DRAW, WATCH, WINDOW, DETECTIONS, TELL = range(0x10, 0x15)
REFUSED, ERROR = 0xFE, 0xFF
REPLY = 0x80  # added to the kind of a request
TAKEN = 0x83  # the reply to FINISH too
READY = 0x85  # the reply to CLEAR, WATCH and WINDOW too
DRAWN, PAINTED = 0x90, 0xA0  # replies to DRAW: a row of bits, or greys of a picture

ERRORS = {
    1: "a frame arrived garbled",
    2: "a frame is longer than {} bytes",
    3: "it speaks version {} of the protocol, this program version %d" % VERSION,
    4: "no message has the kind 0x{:02x}",
    5: "wrong fields in a message of kind 0x{:02x}",
    6: "data chunk or step {} is due",
    7: "no step is complete yet",
    8: "there are only {} classes",
    9: "bytes of a frame were lost on the line",
    10: "the session refused a value",
    11: "period {} of the counts is under way",
    12: "the last step is not complete",
    13: "a step is under way; a state is saved between steps",
    14: "the state is damaged",
    15: "the state is another model's than {:08x}",
    16: "byte {} of a state is due, or a reset",
    17: "a state has {} bytes, and this is longer",
    18: "this firmware has no slots for models",
    19: "a slot holds models of {} bytes",
    20: "byte {} of the model is due",
    21: "the flash could not be erased or written",
    22: "the model has changed in flash while it was served",
    23: "the model does not draw",
    24: "no such rule: field {} (1 threshold, 2 smoothing) is out of range",
    25: "the model tells no classes",
    26: "the model tells no captions",
    27: "a temperature is 32 to 65535 of 256ths, or 0",
    30: "the picture has all its {} steps",
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


def crc32c(data):
    """The checksum of states and model files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (crc & 1) * 0x82F63B78
    return crc ^ 0xFFFFFFFF


def saved_by(state):
    """The CRC of the model whose session saved this state."""
    if len(state) < 8 or crc32c(state[:-4]) != int.from_bytes(state[-4:], "little"):
        raise DeviceError("the state is damaged")
    return int.from_bytes(state[:4], "little")


class Fields:
    """Reads fields off the front of a reply, which is of this kind."""

    def __init__(self, data, kind=None):
        self.data, self.kind = data, kind

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
        self.chunk_s = 0.0  # how long the steps of a chunk may take
        self.tag = 0
        self.next_chunk = 0
        self.repeats = 0
        self.arrived = bytearray()

    def ask(self, kind, fields=b"", *answers):
        """Sends a request until its reply, of one of these kinds, comes; the reply's fields."""
        answers = answers or (kind + REPLY,)
        self.tag = self.tag % 255 + 1
        frame = encode(kind, self.tag, fields)
        last = None
        # Of silence: each is waited for twice as long, up to eight times, lest repetitions fill a slow line.
        times = 1
        for attempt in range(self.tries):
            self.repeats += attempt > 0
            # A 0x00 in front ends whatever noise the device holds.
            self.port.write(b"\0" + frame if attempt else frame)
            reply, why = self._reply(answers, times)
            if reply is not None:
                return reply
            if why is None:
                times = min(8, 2 * times)
            last = why or last
        if last is None:
            raise DeviceError("the device does not answer")
        raise DeviceError(f"the line is too noisy: {last}, {self.tries} times in a row")

    def _reply(self, answers, times):
        """The reply with our tag, waited for so many times as long as usual, or None and why to ask again."""
        until = time.monotonic() + times * (self.patience_s + self.chunk_s)
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
                if kind in answers:
                    return Fields(body[3:], kind), None
            if time.monotonic() >= until:
                return None, None
            self.arrived += self.port.read(4096)

    def hello(self):
        fields = self.ask(HELLO)
        firmware = fields.take("3B")
        names = "input self_test score_shift chunk_bytes_max classes hidden frame_values"
        names += " arena_bytes model_crc tick_hz step_ticks sample_hz"
        hello = dict(zip(names.split(), fields.take("BBiHHHIIIIII")))
        if hello["input"] >= len(INPUT_TYPES):
            raise DeviceError(f"input type {hello['input']} is unknown")
        hello["input"] = INPUT_TYPES[hello["input"]]
        hello["self_test"] = hello["self_test"] == 1
        hello["firmware"] = ".".join(map(str, firmware))
        hello["board"], hello["model"] = fields.text(), fields.text()
        frame_bytes = hello["frame_values"] * (2 if hello["input"] == "i16" else 1)
        steps = hello["chunk_bytes_max"] // max(1, frame_bytes) + 1
        self.chunk_s = SLACK * steps * hello["step_ticks"] / max(1, hello["tick_hz"])
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

    def finish(self):
        """Ends an utterance; the count of steps since the reset."""
        return self.ask(FINISH, b"", TAKEN).take("II")[1]

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
        names += " inputs inputs_clipped gates gates_saturated cells cells_at_limit"
        names += " frames_garbled frames_too_long frames_lost read_errors replies_lost"
        names += " stack_bytes_used stack_bytes"
        values = self.ask(STATISTICS).take("IIQIIIQQQQQQIIIIIII")
        return dict(zip(names.split(), values))

    def clear(self):
        """Begins a period of counts; the counts of the one that ends."""
        ended = self.statistics()
        self.ask(CLEAR, struct.pack("<I", ended["period"]), READY)
        return ended

    def inputs(self):
        """Offset and step of the floats at each place of a frame; one for all."""
        pairs, places = [], 1
        while len(pairs) < places:
            fields = self.ask(INPUTS, struct.pack("<I", len(pairs)))
            places, first = fields.take("II")
            part = list(struct.iter_unpack("<ff", fields.data))
            if first != len(pairs) or not part:
                raise DeviceError("the device sent no offsets and steps")
            pairs += part
        return pairs

    def draw(self, seed, number, steps=None):
        """Picture `number` of a seed, row by row; the same on every device. A model of the next frame draws a row of
        bits a step; one that paints, greys to 255, without `steps` all that a picture takes."""
        begun = self._draw(seed, number, 0, 0)
        if begun.kind == PAINTED:
            return self._picture(seed, number, steps, begun)
        if steps is None:
            raise DeviceError("the model does not say how many rows a picture has; ask for so many steps")
        return [self._row(seed, number, step) for step in range(steps)]

    def _draw(self, seed, number, step, first):
        return self.ask(DRAW, struct.pack("<QIIH", seed, number, step, first), DRAWN, PAINTED)

    def _picture(self, seed, number, steps, begun):
        _, in_all, rows, _, count = begun.take("IHHHH")
        steps = steps or in_all
        for step in range(1, steps):
            self._draw(seed, number, step, count)  # the step, and no pixel
        greys = b""
        while len(greys) < count:
            fields = self._draw(seed, number, steps - 1, len(greys))
            taken, _, _, first, _ = fields.take("IHHHH")
            if (taken, first) != (steps, len(greys)) or not fields.data:
                raise DeviceError("the device sent no pixels")
            greys += fields.data
        columns = count // rows
        return [list(greys[at : at + columns]) for at in range(0, count, columns)]

    def _row(self, seed, number, step):
        row, count = [], 1
        while len(row) < count:
            fields = self._draw(seed, number, step, len(row))
            steps, first, count, held = fields.take("IHHH")
            bits = [byte >> at & 1 for byte in fields.data for at in range(8)][:held]
            if (steps, first) != (step + 1, len(row)) or not bits:
                raise DeviceError("the device sent no bits")
            row += bits
        return row

    def caption(self, values, number=0, seed=0, temperature=0):
        """The words of a caption of a picture, whose values are sent first: their numbers and texts. `temperature` is in
        256ths, 32 to 65535, and words come from stream `number` of the seed; 0: always the likeliest word."""
        chunk_bytes = self.hello()["chunk_bytes_max"]
        self.reset()
        for at in range(0, len(values), chunk_bytes):
            self.data(values[at : at + chunk_bytes])
        words = []
        while True:
            fields = self.ask(TELL, struct.pack("<QIHH", seed, number, temperature, len(words)))
            at, word = fields.take("HH")
            if at != len(words):
                raise DeviceError("the device told another word than the next")
            if word == 0:
                return words
            words.append((word, fields.text()))

    def watch(self, class_, threshold, smoothing=0, hold_off=0):
        """Looks for a class from now on: threshold of 32768, smoothed over 2 to the `smoothing` looks, and a pause of
        `hold_off` looks behind a detection. A threshold of 0: no longer."""
        self.ask(WATCH, struct.pack("<HHBH", class_, threshold, smoothing, hold_off), READY)

    def window(self, steps):
        """The state begins anew every so many steps, with one look at their end; 0: it goes on."""
        self.ask(WINDOW, struct.pack("<I", steps), READY)

    def detections(self, first=0):
        """What was detected since the reset, from number `first` on: how many there were in all, and those that the
        device still keeps (the last 16), each with its number."""
        found, total, due = [], first + 1, first
        while due < total:
            fields = self.ask(DETECTIONS, struct.pack("<I", due))
            total, at = fields.take("II")
            rows = list(struct.iter_unpack("<IHH", fields.data))
            if not due <= at <= total or (at < total and not rows):
                raise DeviceError("the device sent no detections")
            for number, (step, class_, probability) in enumerate(rows, at):
                found.append({"number": number, "step": step, "class": class_, "probability": probability})
            due = at + len(rows)
        return total, found

    def save(self):
        """The session's state, between steps."""
        state, total = b"", 1
        while len(state) < total:
            fields = self.ask(SAVE, struct.pack("<I", len(state)))
            total, at = fields.take("II")
            if at != len(state) or not fields.data:
                raise DeviceError("the device sent no state")
            state += fields.data
        saved_by(state)
        return state

    def load(self, state):
        """Goes on from a saved state; the next chunk is the first after it."""
        hello = self.hello()
        model = saved_by(state)
        if model != hello["model_crc"]:
            raise DeviceError(
                f"the state is of model {model:08x}, the device has model {hello['model_crc']:08x}"
            )
        part_bytes = max(4, hello["chunk_bytes_max"] & ~3)
        self.next_chunk = 0
        for at in range(0, len(state), part_bytes):
            part = state[at : at + part_bytes]
            due, total = self.ask(LOAD, struct.pack("<I", at) + part).take("II")
            if total != len(state):
                raise DeviceError(f"a state has {total} bytes, not {len(state)}")
            if due != at + len(part):
                raise DeviceError(f"the device wants byte {due} of the state next")

    def sequence(self, values, detect=False):
        """Streams the bytes of one sequence; its scores, and what was detected on the way."""
        chunk_bytes = self.hello()["chunk_bytes_max"]
        found, total = [], 0
        self.reset()
        for at in range(0, len(values), chunk_bytes):
            self.data(values[at : at + chunk_bytes])
            if detect:
                total, new = self.detections(total)
                found += new
        self.finish()
        scores = self.scores()
        if detect:
            total, new = self.detections(total)
            scores["detections"] = found + new
            scores["detections_lost"] = total - len(scores["detections"])
        return scores


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


def read_wav(path, hello):
    """The samples of a recording, as the device takes them."""
    with wave.open(path) as file:
        channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        samples = file.readframes(file.getnframes())
    if not hello["sample_hz"]:
        raise DeviceError(f"{path}: the device's model takes frames of values, not sound")
    if (channels, width, rate) != (1, 2, hello["sample_hz"]):
        raise DeviceError(
            f"{path}: {channels} channels of {8 * width} bits at {rate} Hz,"
            f" the device takes 1 of 16 bits at {hello['sample_hz']} Hz"
        )
    return samples


def read_npy(archive, name):
    """Shape, type and values of an array in an npz."""
    data = archive.read(name + ".npy")
    wide = data[6:7] >= b"\x02"
    start = 12 if wide else 10
    start += int.from_bytes(data[8:start], "little")
    header = ast.literal_eval(data[12 if wide else 10 : start].decode("latin1"))
    forms = {"f4": "f", "u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}
    order, form = header["descr"][0], forms.get(header["descr"][1:])
    if form is None or order == ">" or header["fortran_order"]:
        raise DeviceError(f"{name}: arrays of {header['descr']} in this order are not read")
    values = [value for (value,) in struct.iter_unpack("<" + form, data[start:])]
    return header["shape"], form, values


def read_npz(path, hello, inputs):
    """The sequences of the test part, as the device takes them, and their classes if y_test has them."""
    with zipfile.ZipFile(path) as archive:
        names = {name[:-4] for name in archive.namelist()}
        if "x_test" not in names:
            raise DeviceError(f"{path}: has no array x_test")
        shape, form, values = read_npy(archive, "x_test")
        lengths = read_npy(archive, "lengths_test")[2] if "lengths_test" in names else None
        targets = read_npy(archive, "y_test") if "y_test" in names else None
    count, steps, frame = shape[0], shape[1], len(values) // max(1, shape[0] * shape[1])
    if frame != hello["frame_values"]:
        raise DeviceError(f"{path}: frames of {frame} values, the device takes {hello['frame_values']}")
    wanted = INPUT_FORMS[hello["input"]]
    if form == "f":
        values = integers(values, hello["input"], inputs())
    elif form != wanted:
        raise DeviceError(f"{path}: x_test has another type than the device's {hello['input']}")
    sequences = []
    for index in range(count):
        length = steps if lengths is None else lengths[index]
        first = index * steps * frame
        sequences.append(struct.pack(f"<{length * frame}{wanted}", *values[first : first + length * frame]))
    are_classes = targets and len(targets[0]) == 1 and targets[1] != "f"
    return sequences, targets[2] if are_classes else None


def integers(values, input_type, inputs):
    """Floats as the integers of a frame: round((x - offset) / step), half to even, saturated."""
    low, high = {"u8": (0, 255), "i8": (-128, 127), "i16": (-32768, 32767)}[input_type]
    whole = []
    for at, value in enumerate(values):
        offset, step = inputs[at % len(inputs)]
        scaled = (value - offset) / step
        # NaN comes out as 0.
        whole.append(round(min(max(scaled, low), high)) if scaled == scaled else 0)
    return whole


def set_rules(client, hello, path, window):
    """Watches by the rules of a report of bt-train detect --json; the classes that have none are looked for no longer."""
    try:
        with open(path, "rb") as file:
            rows = json.load(file)["classes"]
        fields = ("threshold", "smoothing", "hold_off")
        rules = {row["label"]: [row["rule"][field] for field in fields] for row in rows}
    except (KeyError, TypeError, ValueError):
        raise DeviceError(f"{path}: is no report of bt-train detect --json") from None
    labels = [client.label(class_) for class_ in range(hello["classes"])]
    unknown = sorted(set(rules) - set(labels))
    if unknown:
        raise DeviceError(f"{path}: the device's model has no class {', '.join(unknown)}")
    for class_, label in enumerate(labels):
        client.watch(class_, *rules.get(label, [0]))
    client.window(window)


def stream(client, hello, path, limit, detect=False):
    """Streams a file; what there is to say of it."""
    if not path.endswith(".npz"):
        if path.endswith(".wav"):
            values = read_wav(path, hello)
        else:
            with open(path, "rb") as file:
                values = file.read()
        scores = client.sequence(values, detect)
        # Scores that are values have no labels.
        scores["label"] = client.label(scores["best"]) if scores["confidence"] else None
        return scores
    sequences, classes = read_npz(path, hello, client.inputs)
    rows = [client.sequence(values, detect) for values in sequences[:limit]]
    said = {"sequences": rows}
    if classes is not None:
        said["right"] = sum(row["best"] == class_ for row, class_ in zip(rows, classes))
    return said


def captions(client, hello, path, limit, drawing):
    """A caption of every picture of an .npz."""
    sequences, _ = read_npz(path, hello, client.inputs)
    told = (client.caption(values, number, *drawing) for number, values in enumerate(sequences[:limit]))
    return {"captions": [" ".join(text for _, text in words) for words in told], "repeats": client.repeats}


def main(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("file", nargs="?")
    what.add_argument("--save", metavar="FILE")
    what.add_argument("--load", metavar="FILE")
    what.add_argument("--draw", type=int, nargs="?", const=True, metavar="STEPS",
                      help="rows to draw; a model that paints pictures knows how many steps these take")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of --draw and --captions, below 2 to the 64")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="pictures to draw")
    parser.add_argument("--captions", action="store_true", help="captions of the file's pictures")
    parser.add_argument("--temperature", type=float, default=0, metavar="T", help="of --captions, 0.125 to 255; 0: the likeliest words")
    parser.add_argument("--rules", metavar="FILE", help="what to detect in the file")
    parser.add_argument("--window", type=int, default=0, metavar="STEPS", help="of --rules; without, the state goes on")
    parser.add_argument("--limit", type=int, metavar="K", help="send the first K sequences only")
    asked = parser.parse_args(arguments)
    if asked.draw is not None and (asked.draw < 1 or asked.count < 1):
        parser.error("--draw and --count begin at 1")
    if not 0 <= asked.seed < 2**64:
        parser.error("--seed is from 0 to 2 to the 64, less 1")
    if asked.rules and not asked.file:
        parser.error("--rules is for a file")
    if not 0 <= asked.window < 2**32 or (asked.window and not asked.rules):
        parser.error("--window is for --rules, from 0 to 2 to the 32, less 1")
    temperature = round(256 * asked.temperature)
    if asked.captions and (not asked.file or not asked.file.endswith(".npz") or asked.rules):
        parser.error("--captions is for an .npz, without --rules")
    if temperature and (not asked.captions or not 32 <= temperature < 2**16):
        parser.error("--temperature is for --captions, 0 or 0.125 to 255")
    try:
        client = Client(open_port(asked.port))
        hello = client.hello()
        if asked.captions:
            said = captions(client, hello, asked.file, asked.limit, (asked.seed, temperature))
        elif asked.file:
            if asked.rules:
                set_rules(client, hello, asked.rules, asked.window)
            said = stream(client, hello, asked.file, asked.limit, asked.rules is not None)
            said["repeats"] = client.repeats
        elif asked.save:
            state = client.save()
            with open(asked.save, "wb") as file:
                file.write(state)
            said = {"bytes": len(state), "model_crc": hello["model_crc"]}
        elif asked.load:
            with open(asked.load, "rb") as file:
                client.load(file.read())
            said = {"model_crc": hello["model_crc"]}
        elif asked.draw is not None:
            steps = None if asked.draw is True else asked.draw  # True: all of them
            pictures = [client.draw(asked.seed, number, steps) for number in range(asked.count)]
            said = {"pictures": pictures, "repeats": client.repeats}
        else:
            said = {**hello, "statistics": client.statistics()}
        print(json.dumps(said))
    except (DeviceError, OSError, ImportError, ValueError, wave.Error, EOFError, zipfile.BadZipFile, struct.error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
