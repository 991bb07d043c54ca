// Which number means white in a film whose file does not say, by the rules of `images.guess_white` in chapter 0.
import { mapped } from "./image.js";

const sum = (values, start = 0, end = values.length) => {
  let all = 0;
  for (let place = start; place < Math.min(end, values.length); place++) all += values[place];
  return all;
};

// Every `step`-th pixel, each the middle one of itself and its eight neighbours.
function sample({ width, height, data }, padding, step) {
  const wide = Math.ceil(width / step),
    high = Math.ceil(height / step),
    numbers = new Uint16Array(wide * high),
    calm = new Uint16Array(wide * high);
  for (let y = 0, at = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, at++) {
      const from = y * step * width + x * step;
      numbers[at] = padding?.[from] ? 0 : Math.min(Math.max(data[from], 0), 65535);
    }
  }
  const nine = new Uint16Array(9);
  for (let y = 0, at = 0; y < high; y++) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, high - 1)].map((row) => row * wide);
    for (let x = 0; x < wide; x++, at++) {
      const left = Math.max(x - 1, 0),
        right = Math.min(x + 1, wide - 1);
      let count = 0;
      for (const row of rows)
        for (const value of [numbers[row + left], numbers[row + x], numbers[row + right]]) {
          let place = count++;
          for (; place && nine[place - 1] > value; place--) nine[place] = nine[place - 1];
          nine[place] = value;
        }
      calm[at] = nine[4];
    }
  }
  return { width: wide, height: high, data: calm };
}

// Marks grown (`wanted` 1) or shrunk (0) by `reach` pixels to all sides.
function spread({ width, height, data }, reach, wanted) {
  for (const [steps, stride, lines, next] of [
    [width, 1, height, width],
    [height, width, width, 1],
  ]) {
    const made = data.slice();
    for (let line = 0; line < lines; line++) {
      for (let place = 0; place < steps; place++) {
        if (data[line * next + place * stride] !== wanted) continue;
        for (let near = Math.max(place - reach, 0); near <= Math.min(place + reach, steps - 1); near++)
          made[line * next + near * stride] = wanted;
      }
    }
    data = made;
  }
  return data;
}

// Whether only frame, markers and hot pixels lie above a number; `count[n]` of the pixels are n.
function isAboveFilm({ width, height, data }, count, white) {
  const all = sum(count),
    film = sum(count, 0, white + 1),
    above = count.subarray(white + 1),
    few = Math.max(4, Math.floor(film / 1000)),
    reach = 3 * (white + 1);
  if (sum(above) <= few) return film > 0;
  const near = above.slice(0, reach),
    far = sum(above, reach);
  if (far > Math.floor(all / 20)) {
    // too large for a marker: then it must be a frame, of one grey
    const [low, high] = [0.1, 0.9].map((share) => {
      let place = reach,
        seen = above[place];
      while (seen < share * far) seen += above[++place];
      return place - reach;
    });
    if (high - low > Math.floor((white + reach + low) / 16)) return false;
  }
  const marks = mapped(data, (value) => Number(value > white + reach), Uint8Array);
  for (let round = 0, left = above.slice(); round < 3; round++) {
    const flat = left.reduce((best, value, place) => (value >= left[best] ? place : best), 0),
      wide = Math.floor((white + flat) / 32),
      least = Math.max(flat - wide, 0);
    left[flat] = 0;
    if (above[flat] <= few) continue;
    near.fill(0, least, flat + wide + 1);
    data.forEach((value, place) => value > white + least && value <= white + 1 + flat + wide && (marks[place] = 1));
  }
  if (film < Math.floor(all / 10) || sum(near) > Math.floor(film / 10)) return false;
  const edges = spread({ width, height, data: spread({ width, height, data: marks }, 1, 0) }, 4, 1);
  return sum(data.map((value, place) => Number(value > white && !marks[place] && !edges[place]))) <= few;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

// The depth of a film that fits into `depth` of `bits` bits but may be darker than its full range.
function fullDepth(count, depth, bits) {
  const numbers = [];
  for (let number = 0; number < 2 ** depth; number++) if (count[number]) numbers.push(number);
  const step =
    numbers.length < 32
      ? 1
      : numbers.slice(1).reduce((common, number, place) => divisor(common, number - numbers[place]), 0);
  if (step === 257) depth = 16; // a byte, twice
  if ([4, 16, 64, 256].includes(step))
    depth = [8, 10, 12, 14].map((more) => Math.min(Math.log2(step) + more, 16)).find((deep) => deep >= depth);
  const few = Math.floor(sum(count, 0, 2 ** depth) / 1000);
  for (const stop of [10, 12, 14]) {
    if (
      stop - 2 <= depth &&
      depth < stop &&
      count.subarray(2 ** stop - 2 ** (stop - 8), 2 ** stop).some((many) => many > few)
    )
      depth = stop;
  }
  return bits !== 8 && bits !== 16 && depth === bits - 1 ? bits : Math.min(depth, bits);
}

// The number that means white, and a note, "" without a guess; `numbers` are { width, height, data }.
export function guessWhite(numbers, bits, padding) {
  if (bits <= 8) return [255, ""];
  const pixels = sample(numbers, padding, Math.max(1, Math.floor(Math.sqrt(numbers.data.length / 1e6)))),
    count = new Uint32Array(65536);
  for (const value of pixels.data) count[value]++;
  count[Math.max(count.findIndex(Boolean), 0)] = 0; // the smallest number may be a black frame
  let fits = 8;
  while (fits < bits && !isAboveFilm(pixels, count, 2 ** fits - 1)) fits++;
  const depth = fits < bits ? fullDepth(count, fits, bits) : bits,
    white = 2 ** depth - 1;
  return [white, depth === bits ? "" : `values fill ${depth} of ${bits} bits: white taken as ${white}`];
}
