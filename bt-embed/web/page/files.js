// What users have: recordings, NumPy archives, tables. Each becomes a list of sequences:
// { name, sequences: [Float32Array], width, labels?: [number], names?: [string], rate? }.
// A sequence holds steps * width values; of sound, samples.

/** Reads a file by its name's ending; throws an Error that says what is wrong with it. */
async function readData(name, buffer) {
  const lower = name.toLowerCase();
  if (lower.endsWith(".wav")) return readWav(name, buffer);
  if (lower.endsWith(".npz")) return readNpz(name, buffer);
  if (lower.endsWith(".csv")) return readCsv(name, new TextDecoder().decode(buffer));
  throw new Error(`${name}: is neither .wav, .npz nor .csv`);
}

/** A recording of 16 bits as its integers; several channels are averaged, as bt-train does it. */
function readWav(name, buffer) {
  const view = new DataView(buffer);
  const tag = (at) => at + 4 <= buffer.byteLength ? String.fromCharCode(...new Uint8Array(buffer, at, 4)) : "";
  if (tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Error(`${name}: is no .wav file`);
  let format = null;
  for (let at = 12; at + 8 <= buffer.byteLength;) {
    const length = view.getUint32(at + 4, true);
    const start = at + 8;
    if (tag(at) === "fmt ") {
      if (length < 16 || start + 16 > buffer.byteLength) throw new Error(`${name}: its format is cut short`);
      format = { channels: view.getUint16(start + 2, true), rate: view.getUint32(start + 4, true), bits: view.getUint16(start + 14, true) };
    } else if (tag(at) === "data") {
      if (!format) throw new Error(`${name}: has samples before their format`);
      if (format.channels === 0) throw new Error(`${name}: has no channel`);
      if (format.bits !== 16) throw new Error(`${name}: has ${format.bits} bits a sample; save it with 16`);
      // A recorder that was cut off leaves a length that is too large.
      const bytes = Math.min(length, buffer.byteLength - start);
      const count = Math.floor(bytes / (2 * format.channels));
      const samples = new Float32Array(count);
      for (let i = 0; i < count; i++) {
        let sum = 0;
        for (let c = 0; c < format.channels; c++) sum += view.getInt16(start + 2 * (format.channels * i + c), true);
        samples[i] = Math.trunc(sum / format.channels);
      }
      return { name, sequences: [samples], width: 1, rate: format.rate };
    }
    at = start + length + (length % 2);
  }
  throw new Error(`${name}: has no samples`);
}

/** A row is a frame. Values stand between tabs where there are any, else between semicolons, else between commas. */
function readCsv(name, text) {
  const between = ["\t", ";"].find((mark) => text.includes(mark)) ?? ",";
  const numbers = (line) => line.split(between).map((cell) => cell.trim() === "" ? NaN : Number(cell));
  const lines = text.split(/\r?\n/).map((line, at) => ({ number: at + 1, cells: line.trim() === "" ? null : numbers(line) }));
  const rows = lines.filter(({ cells }) => cells);
  // A heading has no number at all: one with a number in it is a row that is damaged.
  if (rows.length && rows[0].cells.every(Number.isNaN)) rows.shift();
  if (!rows.length) throw new Error(`${name}: has no rows of numbers`);
  const width = rows[0].cells.length;
  const values = new Float32Array(rows.length * width);
  rows.forEach(({ number, cells }, row) => {
    if (cells.length !== width) throw new Error(`${name}: line ${number} has ${cells.length} values, line ${rows[0].number} ${width}`);
    const bad = cells.findIndex((cell) => !Number.isFinite(cell));
    if (bad >= 0) throw new Error(`${name}: line ${number}, column ${bad + 1} is no number`);
    values.set(cells, row * width);
  });
  return { name, sequences: [values], width };
}

/** The test part of a data set. */
async function readNpz(name, buffer) {
  const arrays = await unzip(name, buffer);
  const read = async (array) => {
    const entry = arrays.get(`${array}.npy`);
    return entry ? readNpy(`${name}: ${array}`, await entry()) : null;
  };
  const x = await read("x_test");
  if (!x) throw new Error(`${name}: has no x_test`);
  if (x.kind === "U") throw new Error(`${name}: x_test holds texts`);
  if (x.shape.length < 2) throw new Error(`${name}: x_test has shape (${x.shape}), expected (sequences, steps, values)`);
  const [count, steps] = x.shape;
  const width = x.shape.slice(2).reduce((product, n) => product * n, 1);
  const lengths = await read("lengths_test");
  const y = await read("y_test");
  const names = await read("labels");
  const sequences = [];
  for (let i = 0; i < count; i++) {
    const length = lengths ? lengths.values[i] : steps;
    if (!(length >= 1 && length <= steps)) throw new Error(`${name}: lengths_test: ${length} at ${i} is outside 1..=${steps}`);
    sequences.push(Float32Array.from(x.values.subarray(i * steps * width, (i * steps + length) * width)));
  }
  const labels = y && y.shape.length === 1 && y.kind !== "f" ? Array.from(y.values) : undefined;
  const sides = x.shape.slice(2);
  const picture = sides.length === 2 ? [...sides, 1] : sides.length === 3 && sides[2] === 3 ? sides : undefined;
  return { name, sequences, width, picture, labels, names: names ? names.values : undefined };
}

/** The members of a zip archive: name to a function that gives its bytes. */
async function unzip(name, buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error(`${name}: is no .npz file`);
  const members = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (at + 46 > buffer.byteLength || view.getUint32(at, true) !== 0x02014b50) throw new Error(`${name}: its directory is damaged`);
    const method = view.getUint16(at + 10, true);
    const packed = view.getUint32(at + 20, true);
    const nameLength = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    const member = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
    if (packed === 0xffffffff || local + 30 > buffer.byteLength) throw new Error(`${name}: ${member} is too large for this page`);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + packed > buffer.byteLength) throw new Error(`${name}: ${member} is cut short`);
    members.set(member, async () => {
      const bytes = new Uint8Array(buffer, start, packed);
      if (method === 0) return bytes.slice().buffer;
      if (method !== 8) throw new Error(`${name}: ${member} is packed by method ${method}; use np.savez`);
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      return new Response(stream).arrayBuffer();
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return members;
}

const ELEMENTS = {
  "|u1": Uint8Array, "|i1": Int8Array, "|b1": Uint8Array, "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array,
  "<i4": Int32Array, "<f4": Float32Array, "<f8": Float64Array, "<u8": BigUint64Array, "<i8": BigInt64Array,
};

/** One array: { shape, values, kind }; of strings, values are strings. */
function readNpy(name, buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") throw new Error(`${name}: is no array of NumPy's`);
  const view = new DataView(buffer);
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const data = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, data));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1].split(",").filter((n) => n.trim() !== "").map(Number);
  if (!type || !shape || shape.some((n) => !Number.isInteger(n))) throw new Error(`${name}: its header is damaged`);
  if (/'fortran_order':\s*True/.test(header)) throw new Error(`${name}: is in Fortran order; save np.ascontiguousarray of it`);
  const count = shape.reduce((product, n) => product * n, 1);
  const strings = /^<U(\d+)$/.exec(type);
  const size = strings ? 4 * Number(strings[1]) : ELEMENTS[type]?.BYTES_PER_ELEMENT;
  if (size === undefined) throw new Error(`${name}: is ${type}; save it as f32, u8, i8 or i16`);
  if (data + count * size > buffer.byteLength) throw new Error(`${name}: is cut short`);
  const content = buffer.slice(data, data + count * size);
  if (strings) {
    const codes = new Uint32Array(content);
    const each = Number(strings[1]);
    const values = Array.from({ length: count }, (_, i) =>
      Array.from(codes.subarray(i * each, (i + 1) * each)).filter((code) => code !== 0).map((code) => String.fromCodePoint(code)).join(""));
    return { shape, values, kind: "U" };
  }
  const raw = new ELEMENTS[type](content);
  const values = type.endsWith("8") && type[1] !== "f" ? Float64Array.from(raw, Number) : raw;
  return { shape, values, kind: type[1] };
}
