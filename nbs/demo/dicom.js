// A film as a clinic keeps it, by the rules of chapter 2. It comes back as PNG; the command bss-gan writes DICOM.
import parser from "./vendor/dicom-parser.js";
import { BadImage, checkSize, codedSize } from "./checks.js";
import { decodeStream, runLengths } from "./codecs.js";
import { checkContents, checkPose, has, items, number, numbers, openDataset, TAG, text } from "./header.js";
import { image, mapped, round } from "./image.js";
import { guessWhite } from "./white.js";

export { looksLikeDicom } from "./header.js";

// CR, DX, secondary capture with one frame, or as grey of 8 or 16 bits with several
const FILMS = ["1", "1.1", "1.1.1", "7", "7.2", "7.3"].map((end) => `1.2.840.10008.5.1.4.1.1.${end}`);
const NO_PICTURES = [
  ["1.2.840.10008.1.3.10", "is the table of contents of a disc (DICOMDIR)"],
  ["1.2.840.10008.5.1.4.1.1.11.", "is display settings for other images (a presentation state)"],
  ["1.2.840.10008.5.1.4.1.1.88.59", "is a list of selected images (key objects)"],
  ["1.2.840.10008.5.1.4.1.1.88.", "is a written report (SR)"],
  ["1.2.840.10008.5.1.4.1.1.104.", "is a document"],
];
const [RLE, PACKED_BARE] = ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98"];
const STREAMS = ["50", "51", "57", "70", "80", "81", "90", "91", "110", "111", "112", "201", "202", "203"].map(
  (end) => `1.2.840.10008.1.2.4.${end}`,
);
const MAY_BE_LOSSY = ["50", "51", "81", "91", "112", "203"].map((end) => `1.2.840.10008.1.2.4.${end}`);

// Why this is no grey film in one frame, or "".
function checkObject(dataset, media) {
  const kind = text(dataset, "kind") || media,
    other = NO_PICTURES.find(([start]) => kind.startsWith(start)),
    frames = number(dataset, "frames", 1);
  if (other) return `${other[1]}, not a picture`;
  if (kind && !FILMS.includes(kind))
    return "is of another kind than CR, DX and secondary capture films, and only these are read";
  if (frames > 1) return `holds ${frames} frames. Export each frame as a separate film`;
  if (!has(dataset, "pixels")) {
    if (dataset.elements[TAG.float] || dataset.elements[TAG.double])
      return "stores the picture as floating-point numbers. Export it as whole numbers of 8 to 16 bits";
    if (dataset.elements[TAG.url])
      return "holds only the address of its picture (JPIP). Export the film with its picture";
    return "holds no picture (PixelData): it was exported without one, or cut short. Export it again from where it came";
  }
  const absent = {
    rows: "Rows",
    columns: "Columns",
    photometric: "PhotometricInterpretation",
    allocated: "BitsAllocated",
    stored: "BitsStored",
  };
  const missing = Object.keys(absent)
    .filter((name) => !has(dataset, name))
    .map((name) => absent[name]);
  if (missing.length) return `does not say its ${missing.join(", ")}. Export it again from where it came`;
  const photometric = text(dataset, "photometric").replace(/\W/g, "");
  if (!["MONOCHROME1", "MONOCHROME2"].includes(photometric) || number(dataset, "samples", 1) !== 1)
    return `is in colour (${photometric}). Export it as grey (MONOCHROME2)`;
  return numbers(dataset, "slope")[0] === 0
    ? "RescaleSlope is 0, which makes every pixel the same. There is nothing to see on it"
    : "";
}

// The compressed picture, or the plain one.
function pixelBytes(dataset) {
  const element = dataset.elements[TAG.pixels];
  if (!element.fragments) return dataset.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  return parser.readEncapsulatedPixelDataFromFragments(dataset, element, 0, element.fragments.length);
}

function checkCoding(bytes, { rows, columns, allocated, stored }, packed) {
  if (stored < 2 || stored > allocated || ![8, 16].includes(allocated))
    return `stores ${stored} of ${allocated} bits. Only films of 8 to 16 bits are read`;
  const width = (columns * allocated) / 8,
    expected = rows * width,
    more = bytes.subarray(expected);
  if (!packed) {
    const whole = bytes.length >= expected && (more.length < width || more.every((value) => value === more[0]));
    return whole
      ? ""
      : `holds ${bytes.length} bytes of pixels instead of ${expected}. Copy it again, or export it again if that does not help`;
  }
  const jpeg = bytes[0] === 0xff && bytes[1] === 0xd8,
    tail = bytes.subarray(0, bytes.findLastIndex(Boolean) + 1).subarray(-16);
  if (jpeg && !tail.some((value, place) => value === 0xff && tail[place + 1] === 0xd9))
    return "ends in the middle of its compressed picture. Copy it again";
  const coded = codedSize(bytes);
  if (coded && (coded[0] !== rows || coded[1] !== columns))
    return `claims ${columns} x ${rows} pixels, but its picture has ${coded[1]} x ${coded[0]}. Export it again`;
  return "";
}

// The numbers as they are in the file, from 0 to 65535, before any bit is looked at.
async function readWords(name, bytes, { syntax, bigEndian }, { rows, columns, allocated }, packed) {
  if (STREAMS.includes(syntax) || (packed && syntax !== RLE && syntax !== PACKED_BARE && codedSize(bytes))) {
    const { numbers: words, width, height } = await decodeStream(name, bytes);
    if (width !== columns || height !== rows || words.length !== rows * columns)
      throw new Error(`its picture has ${width} x ${height} pixels`);
    return words;
  }
  if (syntax === RLE) return runLengths(bytes, columns, rows).numbers;
  if (packed && syntax !== PACKED_BARE)
    throw new BadImage(`${name}: is coded in a way that this page cannot read (${syntax}). Use the command bss-gan.`);
  if (allocated === 8) return Uint16Array.from(bytes.subarray(0, rows * columns));
  const words = new Uint16Array(bytes.slice(0, 2 * rows * columns).buffer);
  return bigEndian ? words.map((word) => (word >> 8) | (word << 8)) : words;
}

// Header against picture. A reading is { shift, bits, signed }: where in their words the numbers are.

function told(dataset, { allocated, stored }) {
  const shift = Math.max(0, number(dataset, "high", stored - 1) - stored + 1);
  return { shift: shift + stored <= allocated ? shift : 0, bits: stored, signed: number(dataset, "signed", 0) > 0 };
}

function takeBits(word, { shift, bits, signed }) {
  const found = (word >> shift) & (2 ** bits - 1);
  return signed && found >> (bits - 1) ? found - 2 ** bits : found;
}

// The number below which a share of all lies, of counts of the numbers from `low` up; as `numpy.percentile` does it.
function quantile(counts, low, share) {
  const total = counts.reduce((sum, count) => sum + count, 0),
    at = share * (total - 1),
    find = (wanted) => {
      let place = 0;
      for (let seen = counts[0]; seen <= wanted;) seen += counts[++place];
      return place;
    };
  const [first, second] = [find(Math.floor(at)), find(Math.ceil(at))];
  return low + first + (second - first) * (at - Math.floor(at));
}

// How much neighbours differ, as a share of the range of the picture: far below 0.1 for a radiograph.
function roughness(words, { rows, columns }, padding, reading) {
  const counts = new Uint32Array(131072),
    step = Math.max(1, Math.floor(rows / 256));
  const everyPixel = (look) => {
    for (let y = 0; y < rows; y += step)
      for (let at = y * columns; at < (y + 1) * columns; at++)
        if (!padding?.[at]) look(takeBits(words[at], reading), at);
  };
  let seen = 0;
  everyPixel((found) => {
    counts[found + 65536]++;
    seen++;
  });
  if (!seen) return 0;
  const [low, high] = [0.05, 0.95].map((share) => quantile(counts, -65536, share)),
    clip = (found) => Math.min(Math.max(found, 2 * low - high), 2 * high - low);
  let sum = 0,
    count = 0,
    before = 0,
    last = -2;
  everyPixel((found, at) => {
    const here = clip(found); // the edge of a marker is steep, but only once
    if (last === at - 1 && at % columns) {
      sum += (here - before) ** 2;
      count++;
    }
    [before, last] = [here, at];
  });
  return count ? sum / count / Math.max(1, high - low) ** 2 : 0;
}

// The ways to read the bits of words that make sense: first what the header says.
function readings(words, padding, said) {
  const { shift, bits, signed } = said,
    counts = new Uint32Array(65536);
  let all = 0,
    some = 0,
    every = 65535,
    upper = 0,
    marks = 0;
  words.forEach((word, place) => {
    if (padding?.[place]) return;
    all++;
    some |= word;
    every &= word;
    if (word >= 2 ** (shift + bits - 1)) {
      upper++;
      marks = Math.max(marks, ++counts[word]);
    }
  });
  const changing = some & ~every,
    top = changing ? Math.floor(Math.log2(changing)) + 1 : 0,
    found = [said];
  // one number, such as a white marker, isn't a negative half
  const flips = signed || upper - marks > 0.05 * all ? [!signed] : [];
  found.push(...flips.map((flip) => ({ shift, bits, signed: flip })));
  if (!(changing & ~((2 ** bits - 1) << shift))) return found;
  const empty = Math.log2(changing & -changing),
    other = top - bits > 0 && top - bits <= empty ? [top - bits, bits] : [0, Math.max(top, bits)];
  // the header would cut numbers that aren't shifted
  if (changing & (2 ** shift - 1) && top < shift + bits) found.length = 0;
  return [...found, ...[signed, ...flips].map((sign) => ({ shift: other[0], bits: other[1], signed: sign }))];
}

// The reading to believe, and its roughness: what the header says, unless another one is much smoother.
function smoothest(words, facts, padding, said) {
  const possible = readings(words, padding, said),
    rough = possible.map((reading) => roughness(words, facts, padding, reading)),
    least = Math.min(...rough);
  const best = rough[0] <= 2 * least + 1e-6 ? 0 : rough.indexOf(least);
  return [possible[best], rough[best]];
}

// The numbers of the pixels, and how they were read.
function readBits(words, facts, padding, said, { syntax, packed }, notes) {
  const { bits, signed } = said,
    low = signed ? -(2 ** (bits - 1)) : 0,
    high = low + 2 ** bits - 1;
  const plain = (word) => (signed && word >= 32768 ? word - 65536 : word);
  const beyond = words.reduce((count, word) => count + Number(plain(word) < low || plain(word) > high), 0);
  if (MAY_BE_LOSSY.includes(syntax) && beyond < 0.01 * words.length) {
    // a white that was rounded up must not become black
    return [mapped(words, (word) => Math.min(Math.max(plain(word), low), high), Int32Array), said];
  }
  let [best, rough] = smoothest(words, facts, padding, said);
  if (rough > 0.02 && facts.allocated === 16 && !packed) {
    const swapped = words.map((word) => (word >> 8) | (word << 8)),
      other = smoothest(swapped, facts, padding, said);
    if (other[1] < rough / 2) {
      [words, best] = [swapped, other[0]];
      notes.push("has the bytes of its numbers in the wrong order: swapped");
    }
  }
  if (["shift", "bits", "signed"].some((name) => best[name] !== said[name])) {
    const [found, claimed] = [best, said].map(
      (reading) => `${reading.bits} ${reading.signed ? "signed " : ""}bits from bit ${reading.shift}`,
    );
    notes.push(`its numbers are ${found}, not ${claimed} as its header says: read as the picture shows`);
  }
  return [mapped(words, (word) => takeBits(word, best), Int32Array), best];
}

// How a number is shown.

// { first, data, white } of a look-up table, or null for one that can't be read.
function readTable(item) {
  const [told_, start, bits] = [0, 1, 2].map((place) => item.uint16(TAG.descriptor, place)),
    element = item.elements[TAG.lut];
  if (bits === undefined || !element?.length) return null;
  const entries = told_ || 65536,
    wide = element.length >= 2 * entries || element.vr === "US" || element.vr === "SS";
  const data = Array.from({ length: Math.min(entries, wide ? element.length >> 1 : element.length) }, (_, place) =>
    wide ? item.uint16(TAG.lut, place) : item.byteArray[element.dataOffset + place],
  );
  const most = data.reduce((high, value) => Math.max(high, value), 0),
    white = 2 ** bits - 1;
  if (data.length < 2) return null;
  return {
    first: start,
    data,
    white: white / 2 < most && most <= white ? white : most ? 2 ** (Math.floor(Math.log2(most)) + 1) - 1 : 0,
  }; // some makers say 16 bits and use 12
}

function lookUp({ first, data }, values) {
  const highest = values.reduce((most, value) => Math.max(most, value), -Infinity),
    start = first - 65536 * (first > highest); // a negative number that was read without its sign
  return values.map((value) => data[Math.min(Math.max(round(value - start), 0), data.length - 1)]);
}

const follows = (values) =>
  values.every((value, place) => !place || value >= values[place - 1]) ||
  values.every((value, place) => !place || value <= values[place - 1]);

// What stored numbers mean after the modality step.
function findMeaning(dataset, stored, notes) {
  for (const item of items(dataset, "modalityLut")) {
    const table = readTable(item),
      values = table && lookUp(table, stored);
    if (values && follows(values) && values[0] !== values.at(-1)) return values;
    notes.push("its Modality LUT cannot be used: left out");
  }
  if ([...numbers(dataset, "slope"), ...numbers(dataset, "intercept")].some(Number.isNaN))
    notes.push("its RescaleSlope or RescaleIntercept cannot be read: left out");
  const slope = number(dataset, "slope", 1),
    intercept = number(dataset, "intercept", 0);
  return stored.map((value) => value * slope + intercept);
}

function throughWindow(values, center, width, kind) {
  if (kind === "LINEAR") [center, width] = [center - 0.5, width - 1];
  if (!(width > 0)) return null;
  if (kind === "SIGMOID") return values.map((value) => 1 / (1 + Math.exp((-4 * (value - center)) / width)));
  return values.map((value) => Math.min(Math.max((value - center) / width + 0.5, 0), 1));
}

// The ways to show a film that its file suggests: a name, and the grey of each value.
function* suggestions(dataset, values) {
  for (const item of items(dataset, "voiLut")) {
    const table = readTable(item);
    yield ["VOI LUT", table && lookUp(table, values).map((value) => value / table.white)];
  }
  const kind = text(dataset, "function") || "LINEAR",
    [centers, widths] = [numbers(dataset, "center"), numbers(dataset, "width")],
    count = Math.min(centers.length, widths.length);
  for (let place = 0; place < count; place++)
    yield [`window (${centers[place]} / ${widths[place]})`, throughWindow(values, centers[place], widths[place], kind)];
  if (!count && centers.length !== widths.length) yield ["window", null];
}

// Why a way to show a film can't be used, or ""; `counts` says how many pixels have each value.
function findFault(grey, counts) {
  if (!grey?.every(Number.isFinite)) return "cannot be read";
  if (!follows(grey)) return "goes up and down, so it cannot be undone";
  const seen = [...counts.keys()].filter((place) => counts[place]),
    all = counts.reduce((sum, count) => sum + count, 0);
  let inner = seen.slice(1, -1); // without what is cut off or saturated in the numbers themselves
  if (!inner.length) inner = seen;
  const count = (places) => places.reduce((sum, place) => sum + counts[place], 0);
  const hidden = 1 - count(inner.filter((place) => grey[place] > 0.002 && grey[place] < 0.998)) / count(inner);
  if (hidden > 0.85 && seen.length > 2) return `makes ${Math.round(100 * hidden)}% of the film plain black or white`;
  const [first, last] = [0.01, 0.99].map((share) => {
    let place = 0;
    for (let below = counts[0]; below / all < share;) below += counts[++place];
    return grey[place];
  });
  const used = Math.abs(first - last);
  return used < 0.3 || new Set(seen.map((place) => grey[place])).size < Math.min(16, seen.length)
    ? `shows the film in ${Math.round(100 * used)}% of the greys`
    : "";
}

// The numbers that are shown black and white in a film whose file doesn't say.
function byNumbers({ bits, signed, low }, { rows, columns }, pixels, padding, counts, notes) {
  const negative = signed && counts.subarray(0, -low).some(Boolean),
    sizes = image(
      columns,
      rows,
      pixels.map((pixel) => (pixel < 0 ? -1 - pixel : pixel)),
    );
  let [white, note] = guessWhite(sizes, bits - Number(signed), padding),
    black = negative ? -1 - white : 0;
  if (note) notes.push(note);
  const [first, last] = [0.005, 0.995].map((share) => Math.min(Math.max(quantile(counts, low, share), black), white));
  if (last - first > 0 && last - first < 0.4 * (white - black)) {
    [black, white] = [Math.floor(first), Math.ceil(last)];
    notes.push(`uses few of its numbers: shown from ${black} to ${white}`);
  }
  return [black, white];
}

// Grey in [0, 1] for every number that a pixel can hold, in ascending order.
function display(dataset, reading, facts, pixels, padding, notes) {
  const { low, bits } = reading,
    stored = Array.from({ length: 2 ** bits }, (_, place) => low + place),
    values = findMeaning(dataset, stored, notes),
    counts = new Uint32Array(stored.length);
  pixels.forEach((pixel, place) => padding?.[place] || counts[pixel - low]++);
  let grey = null;
  for (const [name, shown] of suggestions(dataset, values)) {
    const fault = findFault(shown, counts);
    if (!fault) grey = shown;
    if (!fault) break;
    notes.push(`its ${name} ${fault}: left out`);
  }
  if (!grey) {
    const ends = byNumbers(reading, facts, pixels, padding, counts, notes).map(
      (end) => values[Math.min(Math.max(end - low, 0), values.length - 1)],
    );
    const black = Math.min(...ends),
      span = Math.max(...ends) - black || 1;
    grey = values.map((value) => Math.min(Math.max((value - black) / span, 0), 1));
  }
  return Float32Array.from(text(dataset, "photometric").includes("1") ? grey.map((value) => 1 - value) : grey);
}

// A number that was perhaps written with the wrong sign, as one of some bits; NaN if it isn't one.
function fit(value, size, { bits, signed }) {
  const low = signed ? -(2 ** (bits - 1)) : 0;
  return (
    [0, -size, size, -(2 ** bits)]
      .map((more) => value + more)
      .find((changed) => changed >= low && changed < low + 2 ** bits) ?? NaN
  );
}

// Where the file says there is no picture; whether its number exceeds what its header allows.
function findPadding(dataset, words, said, allocated) {
  const [value = NaN] = numbers(dataset, "padding"),
    [end = value] = numbers(dataset, "paddingEnd");
  if (Number.isNaN(value) || Number.isNaN(end)) return [null, false];
  for (const reading of [said, { shift: 0, bits: allocated, signed: said.signed }]) {
    const ends = [value, end].map((number_) => fit(number_, 2 ** allocated, reading)),
      [least, most] = [Math.min(...ends), Math.max(...ends)];
    if (ends.some(Number.isNaN)) continue;
    const padding = mapped(
      words,
      (word) => Number(takeBits(word, reading) >= least && takeBits(word, reading) <= most),
      Uint8Array,
    );
    return [padding.some(Boolean) ? padding : null, reading !== said];
  }
  return [null, false];
}

export async function readDicom(name, bytes) {
  const opened = await openDataset(bytes),
    { dataset, syntax } = opened,
    wrong = checkObject(dataset, opened.media);
  if (wrong) throw new BadImage(`${name}: ${wrong}.`);
  const [rows, columns, allocated, stored] = ["rows", "columns", "allocated", "stored"].map((field) =>
      number(dataset, field, 0),
    ),
    facts = { rows, columns, allocated, stored };
  const coded = pixelBytes(dataset),
    packed = Boolean(dataset.elements[TAG.pixels].fragments),
    [doubt, said] = await checkContents(dataset);
  checkSize(name, columns, rows, coded.length);
  const faulty = checkCoding(coded, facts, packed);
  if (faulty) throw new BadImage(`${name}: ${faulty}.`);
  const words = await readWords(name, coded, opened, facts, packed),
    header = told(dataset, facts),
    notes = opened.note ? [opened.note, ...said] : said;
  let [padding, outside] = findPadding(dataset, words, header, allocated);
  if (padding?.reduce((sum, blank) => sum + blank, 0) > 0.9 * words.length) {
    [padding, outside] = [null, false];
    notes.push("its PixelPaddingValue covers the film: left out");
  }
  const [pixels, reading] = readBits(words, facts, padding, header, { syntax, packed }, notes);
  reading.low = reading.signed ? -(2 ** (reading.bits - 1)) : 0;
  const first = padding ? padding.indexOf(0) : 0,
    isOne = (change) => pixels.every((pixel, place) => padding?.[place] || change(pixel) === change(pixels[first]));
  if (isOne((pixel) => pixel))
    throw new BadImage(`${name}: every pixel has the same value. There is nothing to see on it.`);
  const table = display(dataset, reading, facts, pixels, padding, notes),
    dark = table.reduce((best, value, place) => (value < table[best] ? place : best), 0);
  const show = (pixel, place) => table[outside && padding[place] ? dark : pixel - reading.low],
    grey = image(columns, rows, mapped(pixels, show));
  if (isOne((pixel) => table[pixel - reading.low]))
    throw new BadImage(`${name}: is shown in a single grey. There is nothing to see on it.`);
  const depth = reading.bits > 8 ? 16 : 8,
    white = 2 ** depth - 1;
  notes.push("saved as PNG, as this file displays it; the command bss-gan writes DICOM");
  return {
    name,
    grey,
    numbers: mapped(grey.data, (value) => round(value * white), Uint16Array),
    white,
    depth,
    padding,
    notes,
    doubt,
    checkPose: (turns) => checkPose(dataset, turns),
  };
}
