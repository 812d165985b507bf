const $ = (id) => document.getElementById(id);
const bundle = JSON.parse($("bundle").textContent);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

const pictures = {
  wave: new Wave($("input")), frames: new Shades($("input")), mel: new Shades($("mel")),
  hidden: new Shades($("hidden"), [-32768, 32767]), scores: new Lines($("scores")), film: new Film($("input")),
};
let wasm; // what bt-core exports
let about; // of the model that is open
let data; // the file that is open
let microphone; // while it is heard
let asked = 0; // how often the browser was asked for it: the last time counts
let opening = 0; // files opened so far: one that is slow gives way to the next

/** Calls one of bt-core's functions with bytes in its buffer; gives the answer or throws its reason. */
function call(name, bytes = new Uint8Array()) {
  const at = wasm.room(bytes.length);
  new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes);
  const done = wasm[name]();
  const answer = new TextDecoder().decode(new Uint8Array(wasm.memory.buffer, wasm.answer(), wasm.answer_length()));
  if (!done) throw new Error(answer);
  return JSON.parse(answer);
}

const feed = (values) => call("feed", new Uint8Array(values.buffer, values.byteOffset, values.byteLength));

function problem(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error ? error.message ?? String(error) : "";
}

/** Runs something that may refuse; the reason is shown. */
async function attempt(action) {
  problem(null);
  try {
    await action();
  } catch (error) {
    problem(error);
  }
}

function openModel(bytes, name) {
  opening++;
  stopListening();
  try {
    about = call("open", bytes);
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
  const says = {
    Name: about.name, Input: about.sound ? `sound at ${about.sound.rate} Hz` : `${about.frame_values} values (${about.input}) a step`,
    [about.caption_words ? "Words" : about.classes ? "Classes" : about.draws ? "Bits" : "Values"]: about.caption_words ? `${about.labels.length}, captions of ${about.caption_words} at most` : about.paints ? `${about.labels.length}, of a picture in ${about.picture_steps} steps` : about.draws ? `${about.labels.length}, of the next frame` : about.labels.map((label, i) => label || i).join(", "),
    "Hidden units": about.hidden, Flash: `${about.flash_bytes} bytes`, "RAM of a session": `${about.arena_bytes} bytes`,
    "Self test": about.self_test,
  };
  $("about").replaceChildren(...Object.entries(says).flatMap(([term, text]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    [dt.textContent, dd.textContent] = [term, text];
    return [dt, dd];
  }));
  $("mel-part").hidden = !about.sound;
  $("drawing").hidden = $("drawn-part").hidden = !about.draws;
  $("rows-part").hidden = about.paints;
  $("telling").hidden = !about.caption_words;
  $("rows").value = about.picture_steps ?? 28;
  $("microphone").hidden = !about.sound || !navigator.mediaDevices;
  forget();
}

/** Of what was open nothing is left: its frames and its scores were another model's. */
function forget() {
  data = undefined;
  $("told").textContent = "";
  $("which").hidden = true;
  $("raw").textContent = "[]";
  delete $("raw").dataset.done;
  start();
}

/** Back to the start of a stream, with empty pictures. */
function start() {
  call("reset");
  for (const picture of Object.values(pictures)) picture.clear();
  show(null);
}

/** Softmax of raw scores, which are logits times 2^score_shift. */
function confidences(raw) {
  const unit = 2 ** -about.score_shift;
  const largest = Math.max(...raw);
  const terms = raw.map((score) => Math.exp((score - largest) * unit));
  const sum = terms.reduce((a, b) => a + b, 0);
  return terms.map((term) => term / sum);
}

const nameOf = (output) => about.labels[output] || String(output);

/** The scores of the last step. */
function show(step) {
  $("bars").replaceChildren();
  if (!step) {
    $("result").textContent = "–";
    return;
  }
  const shares = about.classes ? confidences(step.raw) : step.values;
  $("result").textContent = about.draws || about.caption_words ? "–" : about.classes
    ? `${nameOf(step.best)} (${(100 * shares[step.best]).toFixed(0)} %)`
    : step.values.map((value, i) => `${nameOf(i)}: ${value.toPrecision(4)}`).join(", ");
  if (!about.classes) return;
  const order = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a]).slice(0, 12);
  $("bars").append(...order.map((output) => {
    const row = document.createElement("div");
    row.className = "bar";
    const [name, bar, number] = ["span", "i", "span"].map((tag) => document.createElement(tag));
    name.textContent = nameOf(output);
    bar.style.width = `${100 * shares[output]}%`;
    number.textContent = `${(100 * shares[output]).toFixed(1)} %`;
    row.append(name, bar, number);
    return row;
  }));
}

/** Draws what was pushed and what came of it; frames as pictures, where it is told of how many rows, columns, channels. */
function draw(values, width, came, picture = null) {
  if (about.sound) {
    pictures.wave.add(values);
    pictures.mel.add(came.mel);
  } else {
    const frames = [];
    for (let at = 0; at + width <= values.length; at += width) frames.push(values.subarray(at, at + width));
    if (picture) pictures.film.add(frames, picture);
    else pictures.frames.add(frames.map(thinned));
  }
  pictures.hidden.add(came.steps.map((step) => thinned(step.hidden)));
  pictures.scores.add(came.steps.map((step) => step.values.length ? step.values : step.raw));
  if (came.steps.length) show(came.steps[came.steps.length - 1]);
}

/** More values than a column of a picture can show. */
const COLUMN = 256;

/** At most so many of many values, evenly. */
function thinned(values) {
  const most = COLUMN;
  if (values.length <= most) return values;
  return Array.from({ length: most }, (_, i) => values[Math.floor(i * values.length / most)]);
}

/** So many frames, evenly from the first to the last one, as bt-train draws them; all where the model takes all. */
function drawn(values, width) {
  const last = values.length / width - 1;
  if (!about.frames || last + 1 === about.frames) return values;
  const some = new Float32Array(about.frames * width);
  for (let t = 0; t < about.frames; t++) {
    const place = Math.floor(t * last / (about.frames - 1) + 0.5) * width;
    some.set(values.subarray(place, place + width), t * width);
  }
  return some;
}

/** A sequence as the model takes it: drawn frames, and behind those narrower than its own, zeros. */
function framed(name, values, width) {
  values = drawn(values, width);
  const wanted = about.sound ? width : about.frame_values;
  if (width > wanted) throw new Error(`${name}: has ${width} values a step, the model takes ${wanted}`);
  if (width === wanted) return values;
  const steps = values.length / width;
  const padded = new Float32Array(steps * wanted);
  for (let step = 0; step < steps; step++) padded.set(values.subarray(step * width, (step + 1) * width), step * wanted);
  return padded;
}

/** A seed, as two numbers of 32 bits. */
function halves(seed) {
  if (!(seed >= 0n && seed < 2n ** 64n)) throw new Error(`seed ${seed}: seeds are from 0 to 2^64 - 1`);
  return [Number(seed & 0xffffffffn), Number(seed >> 32n)];
}

const words = (numbers) => new Uint8Array(Uint32Array.from(numbers).buffer);

const seedIn = (id) => BigInt(Math.trunc(Number($(id).value) || 0));

/** A caption of the picture that was fed: the likeliest words at temperature 0, else drawn ones, number `index` of the seed. */
function caption(index) {
  const temperature = Number($("temperature").value);
  const number = Math.round(256 * temperature);
  if (!(number === 0 || (number >= 32 && number < 65536))) throw new Error(`temperature ${temperature}: it is 0, or 0.125 to 255`);
  return call("tell", words([...halves(seedIn("word-seed")), index, number]));
}

/** Sequence `index` of a file from a fresh state; all that came of it. */
function run(name, values, index) {
  call("reset");
  const came = feed(values);
  if (about.caption_words && came.steps.length) {
    const told = caption(index);
    [came.words, came.text] = [told.words, told.text];
    came.steps.push(...told.steps);
  }
  if (about.sound) came.steps.push(...call("finish").steps);
  if (!came.steps.length) throw new Error(`${name}: is too short for one step`);
  return came;
}

/** Draws picture 0 of a seed, as every device does, ones white; one that is painted has its own rows. */
function drawPicture(seed, rows) {
  const seeds = halves(seed);
  if (!(rows >= 1 && rows <= 1000)) throw new Error(`${rows} rows: a picture has 1 to 1000`);
  start();
  const came = call("draw", words([...seeds, rows]));
  const canvas = $("drawn");
  [canvas.width, canvas.height] = [came.rows[0].length, came.rows.length];
  canvas.style.width = `${8 * canvas.width}px`;
  const unit = 255 / came.white;
  const grey = came.rows.flat().flatMap((bit) => [unit * bit, unit * bit, unit * bit, 255]);
  canvas.getContext("2d").putImageData(new ImageData(Uint8ClampedArray.from(grey), canvas.width), 0, 0);
  // What was painted was pushed by nobody.
  const frames = about.paints ? [] : [came.rows[0].map(() => 0), ...came.rows.slice(0, -1)];
  draw(Float32Array.from(frames.flat()), canvas.width, came);
  $("raw").textContent = JSON.stringify(came.rows);
  $("raw").dataset.done = "yes";
}

/** The classes of a file, as the model numbers them: by their names where both have some, else as they are. */
function classesOf(file) {
  const { labels, names } = file;
  if (!labels || !about.classes || about.caption_words) return undefined;
  if (!names?.length || about.labels.every((label) => !label)) return labels;
  const unknown = names.find((name) => !about.labels.includes(name));
  if (unknown !== undefined) throw new Error(`${file.name}: has a class ${unknown}; the model has ${about.labels.join(", ")}`);
  const beyond = labels.find((label) => !(label in names));
  if (beyond !== undefined) throw new Error(`${file.name}: class ${beyond} has no name; its labels name ${names.length}`);
  return labels.map((label) => about.labels.indexOf(names[label]));
}

async function openData(name, buffer) {
  const own = ++opening;
  stopListening();
  forget();
  const file = await readData(name, buffer);
  if (own !== opening) return;
  const labels = classesOf(file);
  if (file.rate && !about.sound) throw new Error(`${name}: is sound; the model takes ${about.frame_values} values a step`);
  if (about.sound && !file.rate && file.width !== 1) throw new Error(`${name}: has ${file.width} values a step; the model takes sound`);
  if (file.rate && file.rate !== about.sound.rate) throw new Error(`${name}: is at ${file.rate} Hz, the model hears ${about.sound.rate} Hz`);
  file.framed = file.sequences.map((values) => framed(name, values, file.width));
  const raw = [];
  for (const [i, values] of file.framed.entries()) {
    const came = run(name, values, i);
    raw.push(came.words ?? came.steps.at(-1).raw);
    if (i % 50 === 49) {
      $("told").textContent = `${i + 1} of ${file.framed.length} sequences`;
      await new Promise((resolve) => setTimeout(resolve));
      if (own !== opening) return;
    }
  }
  data = file;
  let told = `${name}: ${raw.length} sequence${raw.length === 1 ? "" : "s"}`;
  if (labels) {
    const right = raw.filter((scores, i) => scores.indexOf(Math.max(...scores)) === labels[i]).length;
    told += `, ${right} right (${(100 * right / raw.length).toFixed(2)} %)`;
  }
  $("told").textContent = told;
  $("which").hidden = raw.length === 1;
  $("sequence").max = raw.length - 1;
  $("sequence").value = 0;
  showSequence(0);
  $("raw").textContent = JSON.stringify(raw);
  $("raw").dataset.done = "yes";
}

function showSequence(index) {
  start();
  const values = data.framed[index];
  const came = run(data.name, values, index);
  draw(values, about.frame_values, came, data.width > COLUMN ? data.picture : null);
  if (came.words) $("result").textContent = came.text || "–";
}

// The microphone, at the model's own rate; blocks come as floats within one.
const LISTENER = `registerProcessor("listener", class extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0].length) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
});`;

async function listen() {
  const [own, opened, { rate, hop }] = [++asked, opening, about.sound];
  // As a device hears: without what a browser does to a voice in a call.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const heard = { stream };
  let node;
  try {
    const context = heard.context = new AudioContext({ sampleRate: rate });
    await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(LISTENER)}`);
    node = new AudioWorkletNode(context, "listener", { numberOfOutputs: 0 });
    context.createMediaStreamSource(stream).connect(node);
  } catch (error) {
    release(heard);
    throw error;
  }
  // Something else was opened, or the button pressed again, while the browser asked whether it may.
  if (own !== asked || opened !== opening) return release(heard);
  // A file under way ends: its frames are none of the microphone's.
  opening++;
  microphone = heard;
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone").textContent = "Stop";
  start();
  let waiting = [];
  node.port.onmessage = ({ data: block }) => {
    // A block that was still on its way is not for what was opened since.
    if (microphone !== heard) return;
    waiting.push(...block);
    if (waiting.length < hop * 4) return;
    const samples = Float32Array.from(waiting, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768))));
    waiting = [];
    attempt(() => draw(samples, 1, feed(samples)));
  };
}

function release({ stream, context }) {
  for (const track of stream.getTracks()) track.stop();
  context?.close();
}

function stopListening() {
  if (!microphone) return;
  release(microphone);
  microphone = undefined;
  $("microphone").setAttribute("aria-pressed", "false");
  $("microphone").textContent = "Listen";
}

async function fetched(url) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    const why = location.protocol === "file:" ? "; a page opened from disk reads no other files, one on a file server does" : "";
    throw new Error(`${url}: cannot be fetched${why}`);
  }
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status}`);
  return response.arrayBuffer();
}

/** Opens a file of the user's, a model or data by the ending of its name. */
async function openFile(file) {
  const bytes = await file.arrayBuffer();
  if (file.name.toLowerCase().endsWith(".btm")) openModel(new Uint8Array(bytes), file.name);
  else await openData(file.name, bytes);
}

for (const id of ["model-file", "data-file"]) {
  // The same file is opened again, too: it may have changed.
  $(id).onclick = () => { $(id).value = ""; };
  $(id).onchange = () => attempt(async () => {
    const [file] = $(id).files;
    if (file) await openFile(file);
  });
}
// Files that are dropped anywhere, the model first; a browser would leave the page for them otherwise.
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  const isData = (file) => !file.name.toLowerCase().endsWith(".btm");
  const files = Array.from(event.dataTransfer.files).sort((a, b) => isData(a) - isData(b));
  attempt(async () => {
    for (const file of files) await openFile(file);
  });
};
/** The sequence that is chosen, once more. */
const showChosen = () => attempt(() => {
  if (!data) return;
  const index = Math.max(0, Math.min(data.framed.length - 1, Number($("sequence").value) || 0));
  $("sequence").value = index;
  showSequence(index);
});
for (const id of ["sequence", "temperature", "word-seed"]) $(id).onchange = showChosen;
// A file under way ends, too.
$("reset").onclick = () => attempt(() => {
  opening++;
  forget();
});
$("draw").onclick = () => attempt(() => drawPicture(seedIn("seed"), Number($("rows").value)));
$("microphone").onclick = () => attempt(() => microphone ? stopListening() : listen());
$("examples").append(...bundle.examples.map(({ name, file }) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.onclick = () => attempt(() => openData(name, bytesOf(file).buffer));
  return button;
}));
$("credit").hidden = !bundle.examples.length;

await attempt(async () => {
  const { instance } = await WebAssembly.instantiate(bytesOf(bundle.wasm), {});
  wasm = instance.exports;
  const asked = new URLSearchParams(location.search);
  const model = asked.get("model");
  openModel(model ? new Uint8Array(await fetched(model)) : bytesOf(bundle.model), model ?? "the page's model");
  const seed = asked.get("seed");
  if (about.caption_words) {
    $("temperature").value = asked.get("temperature") ?? 0;
    $("word-seed").value = seed ?? 1;
  }
  const from = asked.get("data");
  if (from) await openData(from, await fetched(from));
  if (seed !== null && !about.caption_words) drawPicture(BigInt(seed), Number($("rows").value));
});
