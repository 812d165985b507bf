// Pictures that fill from left to right and then move on.

const ink = () => getComputedStyle(document.body).color;

/** The least and the largest value of all columns. */
function extent(columns) {
  let [low, high] = [Infinity, -Infinity];
  for (const column of columns) for (const value of column) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/** Columns of values as shades: blue below the middle of the range, orange above it. */
class Shades {
  /** Without a range, that of the values that are shown. */
  constructor(canvas, range = null) {
    this.canvas = canvas;
    this.range = range;
    this.columns = [];
  }
  clear() {
    this.columns = [];
    this.draw();
  }
  add(columns) {
    this.columns.push(...columns);
    const most = 450;
    if (this.columns.length > most) this.columns.splice(0, this.columns.length - most);
    this.draw();
  }
  draw() {
    const { canvas, columns } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!columns.length) return;
    const rows = columns[0].length;
    const small = new OffscreenCanvas(columns.length, rows);
    const image = new ImageData(columns.length, rows);
    const [low, high] = this.range ?? extent(columns);
    const middle = (low + high) / 2;
    const half = (high - low) / 2 || 1;
    columns.forEach((column, x) => {
      for (let y = 0; y < rows; y++) {
        const value = Math.max(-1, Math.min(1, (column[rows - 1 - y] - middle) / half));
        const at = 4 * (y * columns.length + x);
        const colour = value < 0 ? [31, 111, 235] : [230, 120, 20];
        image.data.set([...colour, Math.round(255 * Math.abs(value))], at);
      }
    });
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }
}

/** Frames of pictures one behind the other, in rows of twelve; of more than 48 some, evenly. */
class Film {
  constructor(canvas) {
    this.canvas = canvas;
    this.height = canvas.height;
  }
  clear() {
    this.canvas.height = this.height;
  }
  /** Frames of rows × columns × channels, the last axis fastest; one channel is grey, three are colours. */
  add(frames, [rows, columns, channels]) {
    const { canvas } = this;
    const count = Math.min(frames.length, 48);
    const shown = Array.from({ length: count }, (_, i) => frames[Math.floor(i * frames.length / count)]);
    const across = Math.min(count, 12);
    const width = canvas.width / across;
    const height = Math.round(width * rows / columns);
    canvas.height = height * Math.ceil(count / across);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    const [low, high] = extent(shown);
    const small = new OffscreenCanvas(columns, rows);
    const image = new ImageData(columns, rows);
    shown.forEach((frame, at) => {
      for (let pixel = 0; pixel < rows * columns; pixel++) {
        for (let colour = 0; colour < 3; colour++) {
          const value = frame[pixel * channels + colour % channels];
          image.data[4 * pixel + colour] = 255 * (value - low) / (high - low || 1);
        }
        image.data[4 * pixel + 3] = 255;
      }
      small.getContext("2d").putImageData(image, 0, 0);
      context.drawImage(small, at % across * width, Math.floor(at / across) * height, width - 2, height - 2);
    });
  }
}

/** Samples, the last so many of them, each column from its least to its largest. */
class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }
  clear() {
    this.samples = [];
    this.draw();
  }
  add(samples) {
    for (const sample of samples) this.samples.push(sample);
    const most = 32000;
    if (this.samples.length > most) this.samples.splice(0, this.samples.length - most);
    this.draw();
  }
  draw() {
    const { canvas, samples } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = ink();
    const each = Math.max(1, samples.length / canvas.width);
    const largest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
    for (let x = 0; x * each < samples.length; x++) {
      let [low, high] = [Infinity, -Infinity];
      for (let i = Math.floor(x * each); i < Math.min(samples.length, (x + 1) * each); i++) {
        low = Math.min(low, samples[i]);
        high = Math.max(high, samples[i]);
      }
      const y = (value) => canvas.height / 2 - value / largest * (canvas.height / 2 - 2);
      context.fillRect(x, y(high), 1, Math.max(1, y(low) - y(high)));
    }
  }
}

/** A line for each score. */
class Lines {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }
  clear() {
    this.steps = [];
    this.draw();
  }
  add(steps) {
    this.steps.push(...steps);
    const most = 450;
    if (this.steps.length > most) this.steps.splice(0, this.steps.length - most);
    this.draw();
  }
  draw() {
    const { canvas, steps } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!steps.length) return;
    const [low, high] = extent(steps);
    const count = steps[0].length;
    const x = (step) => (step + 0.5) / steps.length * canvas.width;
    const y = (score) => canvas.height - 6 - (score - low) / (high - low || 1) * (canvas.height - 12);
    for (let output = 0; output < count; output++) {
      context.strokeStyle = `hsl(${Math.round(360 * output / count)} 65% 50%)`;
      context.lineWidth = 2;
      context.beginPath();
      steps.forEach((step, at) => at ? context.lineTo(x(at), y(step[output])) : context.moveTo(x(at), y(step[output])));
      if (steps.length === 1) context.lineTo(x(0) + 4, y(steps[0][output]));
      context.stroke();
    }
  }
}
