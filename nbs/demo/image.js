// What the library does with OpenCV and NumPy, for a browser: chapters 0, 1 and 11.
// An image is { width, height, data }, its data float32, row by row.

export const image = (width, height, data = new Float32Array(width * height)) => ({ width, height, data });

// Another number for each.
export function mapped(values, change, Numbers = Float32Array) {
  const made = new Numbers(values.length); // Numbers.from takes ten times as long
  for (let place = 0; place < made.length; place++) made[place] = change(values[place], place);
  return made;
}

// Python's `round`: a half goes to the even neighbour.
export function round(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

// For each place of the new axis: [place on the old axis, weight], ...; INTER_AREA means over what a new pixel covers.
function shares(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const start = place * scale, end = Math.min(start + scale, from), taken = [];
    for (let old = Math.floor(start); old < end - 1e-6; old++) {
      const share = Math.min(end, old + 1) - Math.max(start, old);
      if (share > 1e-3) taken.push([old, share / (end - start)]);
    }
    return taken;
  });
}

// INTER_LINEAR lies between the two nearest centres of pixels, and does not go beyond the outermost.
function between(from, to) {
  return Array.from({ length: to }, (_, place) => {
    const at = Math.min(Math.max(((place + 0.5) * from) / to - 0.5, 0), from - 1);
    const left = Math.min(Math.floor(at), Math.max(from - 2, 0));
    return [[left, 1 - (at - left)], [Math.min(left + 1, from - 1), at - left]];
  });
}

function alongRows(film, width, taken) {
  const made = image(width, film.height);
  for (let y = 0; y < film.height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [old, weight] of taken[x]) sum += weight * film.data[y * film.width + old];
      made.data[y * width + x] = sum;
    }
  }
  return made;
}

function alongColumns(film, height, taken) {
  const made = image(film.width, height), width = film.width;
  for (let y = 0; y < height; y++) {
    const row = made.data.subarray(y * width, (y + 1) * width);
    for (const [old, weight] of taken[y]) {
      for (let x = 0, from = old * width; x < width; x++, from++) row[x] += weight * film.data[from];
    }
  }
  return made;
}

// `images.resize`: averages when it shrinks, interpolates when it grows.
export function resize(film, width, height) {
  if (film.width === width && film.height === height) return film;
  const taken = width * height < film.width * film.height ? shares : between;
  return alongColumns(alongRows(film, width, taken(film.width, width)), height, taken(film.height, height));
}

// `testing._working_shape`: the longer side gets the working size.
export function workingShape({ width, height }, size) {
  const scale = size / Math.max(width, height);
  return [Math.max(1, round(width * scale)), Math.max(1, round(height * scale))];
}

// `testing._to_working_size`: mirrored below and to the right until the network can halve both sides.
export function fill(film, step) {
  const width = Math.ceil(film.width / step) * step, height = Math.ceil(film.height / step) * step, made = image(width, height);
  const mirror = (place, length) => {
    place %= 2 * length;
    return place < length ? place : 2 * length - 1 - place;
  };
  for (let y = 0; y < height; y++) {
    const from = mirror(y, film.height) * film.width;
    for (let x = 0; x < width; x++) made.data[y * width + x] = film.data[from + mirror(x, film.width)];
  }
  return made;
}

// `numpy.rot90`: quarter turns against the clock.
export function turn(film, turns) {
  turns = ((turns % 4) + 4) % 4;
  if (!turns) return film;
  const { width, height, data } = turn(film, turns - 1), made = image(height, width);
  for (let y = 0; y < width; y++) for (let x = 0; x < height; x++) made.data[y * height + x] = data[x * width + width - 1 - y];
  return made;
}

// Columns from `left` to before `right` of the rows from `top` to before `bottom`.
export function crop({ width, data }, { top, bottom, left, right }) {
  const part = image(right - left, bottom - top);
  for (let y = top; y < bottom; y++) part.data.set(data.subarray(y * width + left, y * width + right), (y - top) * part.width);
  return part;
}
