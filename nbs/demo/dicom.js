// A film as a clinic keeps it, by the rules of chapter 2. It comes back as PNG; the command bss-gan writes DICOM.
import parser from "./vendor/dicom-parser.js";
import { BadImage, checkSize, codedSize } from "./checks.js";
import { image, looksBoneDark, mapped, quarterTurns, turn } from "./image.js";

const TAG = {
  kind: "x00080016", modality: "x00080060", intent: "x00080068", region: "x00082218", part: "x00180015", view: "x00185101", orientation: "x00200020",
  samples: "x00280002", photometric: "x00280004", frames: "x00280008", rows: "x00280010", columns: "x00280011", allocated: "x00280100", stored: "x00280101",
  high: "x00280102", signed: "x00280103", padding: "x00280120", paddingEnd: "x00280121", burned: "x00280301", center: "x00281050", width: "x00281051",
  intercept: "x00281052", slope: "x00281053", function: "x00281056", modalityLut: "x00283000", descriptor: "x00283002", lut: "x00283006", voiLut: "x00283010",
  viewCode: "x00540220", meaning: "x00080104", pixels: "x7fe00010", syntax: "x00020010",
};
const FILMS = ["1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7"]; // CR, DX for presentation, secondary capture
const FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1";
const [DEFLATED, BIG_ENDIAN, RLE] = ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"];
const UNCOMPRESSED = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED];
const MAY_BE_LOSSY = ["50", "51", "81", "91"].map((end) => `1.2.840.10008.1.2.4.${end}`);

// Most files are read as they are; one transfer syntax has all but its start packed.
async function open(bytes) {
  if (parser.readPart10Header(bytes).string(TAG.syntax) !== DEFLATED) return parser.parseDicom(bytes);
  const { inflateSync } = await import("./vendor/fflate.js");
  return parser.parseDicom(bytes, { inflater: (all, start) => {
    const rest = inflateSync(all.subarray(start)), whole = new Uint8Array(start + rest.length);
    whole.set(all.subarray(0, start));
    whole.set(rest, start);
    return whole;
  } });
}

const text = (dataset, tag, place) => (dataset.string(tag, place) ?? "").trim().toUpperCase();
const meaning = (dataset, tag) => dataset.elements[tag]?.items?.[0] ? text(dataset.elements[tag].items[0].dataSet, TAG.meaning) : "";

// Why this is no grey film in one frame, or "".
function checkObject(dataset) {
  const kind = dataset.string(TAG.kind), frames = Number(dataset.intString(TAG.frames) ?? 1), photometric = text(dataset, TAG.photometric);
  if (text(dataset, TAG.intent) === "FOR PROCESSING" || kind === FOR_PROCESSING) return "holds raw detector values (FOR PROCESSING). Export the film for presentation";
  if (kind && !FILMS.includes(kind)) return "is of another kind than CR, DX and secondary capture films, and only these are read";
  if (frames !== 1) return `holds ${frames} frames. Export each frame as a film of its own`;
  if (dataset.uint16(TAG.samples) > 1 || (photometric && !photometric.includes("MONOCHROME"))) return `is in colour (${photometric}). Export it as grey (MONOCHROME2)`;
  if (dataset.string(TAG.syntax) === BIG_ENDIAN) return "has its bytes in an order that DICOM has given up (Explicit VR Big Endian). Export it in another transfer syntax";
  if (!dataset.elements[TAG.pixels]) return "holds no picture (PixelData): it was cut short, or exported without images. Copy or export it again";
  const lacking = ["rows", "columns", "photometric", "allocated", "stored", "signed"].filter((name) => !dataset.elements[TAG[name]]?.length);
  return lacking.length ? "lacks what is needed to show it. Export it again from where it came" : "";
}

// Why this is no frontal chest film, or "".
function checkContents(dataset) {
  const modality = text(dataset, TAG.modality), part = text(dataset, TAG.part) || meaning(dataset, TAG.region);
  const view = text(dataset, TAG.view), row = text(dataset, TAG.orientation, 0).slice(0, 1), code = meaning(dataset, TAG.viewCode);
  if (!["CR", "DX", "RG", "OT", ""].includes(modality)) return `is of the modality ${modality}. Only plain radiographs (CR, DX) are suppressed`;
  if (part && !["CHEST", "THORAX", "LUNG", "RIB"].some((name) => part.includes(name))) return `shows another part of the body (${part}). Only chest films are suppressed`;
  if ((view && !["PA", "AP"].includes(view.slice(0, 2))) || code.includes("LATERAL")) return `is no frontal view (view ${view || code}). Only frontal films, PA or AP, are suppressed`;
  if (row === "A" || row === "P") return "is a lateral view (its rows run from front to back). Only frontal films, PA or AP, are suppressed";
  return "";
}

// The compressed picture, or the plain one.
function pixelBytes(dataset) {
  const element = dataset.elements[TAG.pixels];
  if (!element.fragments) return dataset.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  return parser.readEncapsulatedPixelDataFromFragments(dataset, element, 0, element.fragments.length);
}

function checkCoding(bytes, { rows, columns, allocated, stored }, compressed) {
  if (stored < 2 || stored > allocated || ![8, 16].includes(allocated)) return `stores ${stored} of ${allocated} bits. Only films of 8 to 16 bits are read`;
  const expected = (rows * columns * allocated) / 8;
  if (!compressed) return [expected, expected + 1].includes(bytes.length) ? "" : `holds ${bytes.length} bytes of pixels instead of ${expected}. Copy it again`;
  const jpeg = bytes[0] === 0xff && bytes[1] === 0xd8, tail = bytes.subarray(-16);
  if (jpeg && !tail.some((value, place) => value === 0xff && tail[place + 1] === 0xd9)) return "ends in the middle of its compressed picture. Copy it again";
  const coded = codedSize(bytes);
  if (coded && (coded[0] !== rows || coded[1] !== columns)) return `claims ${columns} x ${rows} pixels, but its picture has ${coded[1]} x ${coded[0]}. Export it again`;
  return "";
}

// Decoders are fetched when a film needs them.

async function withCodec(name, decoder, bytes) {
  const { default: load } = await import(`./vendor/${name}.js`);
  const codec = await load({ locateFile: (file) => new URL(`./vendor/${file}`, import.meta.url).href, print() {} });
  const made = new codec[decoder]();
  made.getEncodedBuffer(bytes.length).set(bytes);
  made.decode();
  const { bitsPerSample, isSigned, width, height, componentCount } = made.getFrameInfo(), decoded = made.getDecodedBuffer().slice();
  if (!decoded.length) throw new Error("the decoder gave up");
  if (componentCount !== 1) throw new Error("its compressed picture is in colour");
  const numbers = bitsPerSample <= 8 ? (isSigned ? Int8Array : Uint8Array) : isSigned ? Int16Array : Uint16Array;
  made.delete();
  return { numbers: new numbers(decoded.buffer), width, height, signed: Boolean(isSigned) };
}

async function losslessJpeg(bytes) {
  const { Decoder } = await import("./vendor/jpeg-lossless-decoder-js.js"), [height, width] = codedSize(bytes);
  const numbers = new Decoder().decompress(bytes.buffer, bytes.byteOffset, bytes.length);
  return { numbers: new (numbers.byteLength === width * height ? Uint8Array : Uint16Array)(numbers), width, height };
}

// Run lengths (PS3.5, annex G): first all high bytes, then all low ones.
function runLengths(bytes, { rows, columns, allocated }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), count = view.getUint32(0, true), numbers = new Uint16Array(rows * columns);
  if (count !== allocated / 8) throw new Error(`it has ${count} planes`);
  for (let plane = 0; plane < count; plane++) {
    const end = plane + 1 < count ? view.getUint32(8 + 4 * plane, true) : bytes.length, shift = 8 * (count - 1 - plane);
    let at = view.getUint32(4 + 4 * plane, true), place = 0;
    while (at < end && place < numbers.length) {
      const head = view.getInt8(at++), repeats = head < 0;
      if (head === -128) continue;
      for (let left = Math.abs(head) + 1; left && place < numbers.length; left--) numbers[place++] |= bytes[repeats ? at : at++] << shift;
      if (repeats) at++;
    }
    if (place < numbers.length) throw new Error("its picture is too short");
  }
  return { numbers, width: columns, height: rows };
}

async function decode(bytes, syntax, facts) {
  const end = syntax.replace("1.2.840.10008.1.2.4.", "");
  if (["50", "51"].includes(end)) return withCodec("codec-libjpeg-turbo-8bit", "JPEGDecoder", bytes);
  if (["57", "70"].includes(end)) return losslessJpeg(bytes);
  if (["80", "81"].includes(end)) return withCodec("codec-charls", "JpegLSDecoder", bytes);
  if (["90", "91"].includes(end)) return withCodec("codec-openjpeg", "J2KDecoder", bytes);
  if (syntax === RLE) return runLengths(bytes, facts);
  if (!UNCOMPRESSED.includes(syntax)) throw new Error(`transfer syntax ${syntax}`);
  const numbers = facts.allocated === 8 ? bytes : new Uint16Array(bytes.slice(0, 2 * facts.rows * facts.columns).buffer);
  return { numbers: numbers.subarray(0, facts.rows * facts.columns), width: facts.columns, height: facts.rows };
}

// Stored values: bits that do not belong to them masked, and the sign where it belongs.
async function storedValues(bytes, syntax, facts) {
  const { numbers, width, height, signed } = await decode(bytes, syntax, facts), { stored, low } = facts, values = new Int32Array(numbers.length);
  if (width !== facts.columns || height !== facts.rows || numbers.length !== width * height) throw new Error(`its picture has ${width} x ${height} pixels`);
  const clips = MAY_BE_LOSSY.includes(syntax) && Boolean(signed) === low < 0; // a white that was rounded up must not become black
  const shift = UNCOMPRESSED.includes(syntax) ? Math.max(0, facts.high - stored + 1) : 0, range = 2 ** stored;
  numbers.forEach((number, place) => {
    if (clips) values[place] = Math.min(Math.max(number, low), low + range - 1);
    else values[place] = (number >> shift) & (range - 1);
    if (!clips && low < 0 && values[place] >= range / 2) values[place] -= range;
  });
  return values;
}

const highest = (values) => values.reduce((most, value) => Math.max(most, value), -Infinity);
const lowest = (values) => values.reduce((least, value) => Math.min(least, value), Infinity);

// Values through a look-up table, and the bits of what comes out.
function lookUp(item, values) {
  const [entries, start, bits] = [0, 1, 2].map((place) => item.uint16(TAG.descriptor, place)), { dataOffset, length } = item.elements[TAG.lut];
  const first = start - 65536 * (start > highest(values)); // a negative number that was read without its sign
  const bytes = item.byteArray.slice(dataOffset, dataOffset + length), numbers = length >= 2 * (entries || 65536) ? new Uint16Array(bytes.buffer) : bytes;
  return [values.map((value) => numbers[Math.min(Math.max(Math.round(value - first), 0), numbers.length - 1)]), bits];
}

function throughWindow(value, center, width, kind) {
  if (kind === "LINEAR") [center, width] = [center - 0.5, width - 1];
  if (width < 0) return NaN;
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - center)) / width));
  return Math.min(Math.max((value - center) / width + 0.5, 0), 1);
}

// Values as grey by the curve of the file, or by its first window; null if it has neither.
function ofInterest(dataset, values) {
  const item = dataset.elements[TAG.voiLut]?.items?.[0]?.dataSet;
  if (item) {
    const [given, bits] = lookUp(item, values);
    return given.map((value) => value / (2 ** bits - 1));
  }
  const [center, width] = [dataset.floatString(TAG.center, 0), dataset.floatString(TAG.width, 0)];
  if (center === undefined || width === undefined) return null;
  return values.map((value) => throughWindow(value, center, width, text(dataset, TAG.function) || "LINEAR"));
}

// Whether a curve can be undone, and shows at least 16 greys, or all, of the values that were seen.
function usable(grey, seen) {
  const rises = grey.every((value, place) => !place || value >= grey[place - 1]), falls = grey.every((value, place) => !place || value <= grey[place - 1]);
  return grey.every(Number.isFinite) && (rises || falls) && new Set(seen.map((place) => grey[place])).size >= Math.min(16, seen.length);
}

// Grey in [0, 1] for every number that a pixel can hold, in ascending order.
function display(dataset, facts, seen, notes) {
  const slope = dataset.floatString(TAG.slope) ?? 1, intercept = dataset.floatString(TAG.intercept) ?? 0;
  const curve = dataset.elements[TAG.modalityLut]?.items?.[0]?.dataSet, numbers = Array.from({ length: 2 ** facts.stored }, (_, place) => facts.low + place);
  const values = curve ? lookUp(curve, numbers)[0] : numbers.map((number) => number * slope + intercept);
  let grey = ofInterest(dataset, values);
  if (grey && !usable(grey, seen)) {
    grey = null;
    notes.push("Its window shows nothing of the film or cannot be undone: shown from the darkest to the brightest value.");
  }
  if (!grey) {
    const ends = facts.stored === 8 ? [values[0], values.at(-1)] : seen.map((place) => values[place]);
    const black = lowest(ends), span = highest(ends) - black || 1;
    grey = values.map((value) => Math.min(Math.max((value - black) / span, 0), 1));
  }
  return Float32Array.from(text(dataset, TAG.photometric) === "MONOCHROME1" ? grey.map((value) => 1 - value) : grey);
}

function findPadding(dataset, signed) {
  const read = (tag) => (dataset.elements[tag]?.length ? (signed ? dataset.int16(tag) : dataset.uint16(tag)) : undefined);
  const value = read(TAG.padding), end = read(TAG.paddingEnd) ?? value;
  return value === undefined ? () => false : (pixel) => pixel >= Math.min(value, end) && pixel <= Math.max(value, end);
}

export async function readDicom(name, bytes) {
  const dataset = await open(bytes), why = checkObject(dataset) || checkContents(dataset);
  if (why) throw new BadImage(`${name}: ${why}.`);
  const [rows, columns, allocated, stored, signed] = ["rows", "columns", "allocated", "stored", "signed"].map((field) => dataset.uint16(TAG[field]));
  const facts = { rows, columns, allocated, stored, high: dataset.uint16(TAG.high) ?? stored - 1, low: -signed * 2 ** (stored - 1) };
  const syntax = dataset.string(TAG.syntax), coded = pixelBytes(dataset);
  checkSize(name, columns, rows, coded.length);
  const wrong = checkCoding(coded, facts, Boolean(dataset.elements[TAG.pixels].fragments));
  if (wrong) throw new BadImage(`${name}: ${wrong}.`);
  const pixels = await storedValues(coded, syntax, facts), isPadding = findPadding(dataset, signed), seenAt = new Uint8Array(2 ** stored);
  pixels.forEach((pixel) => { if (!isPadding(pixel)) seenAt[pixel - facts.low] = 1; });
  const seen = [...seenAt.keys()].filter((place) => seenAt[place]), notes = [];
  if (seen.length < 2) throw new BadImage(`${name}: every pixel has the same value. There is nothing to see on it.`);
  const table = display(dataset, facts, seen, notes), xray = image(columns, rows, mapped(pixels, (pixel) => table[pixel - facts.low]));
  const turns = quarterTurns(xray);
  if (looksBoneDark(turn(xray, turns))) {
    xray.data = mapped(xray.data, (value) => 1 - value);
    notes.push("Bone is dark when this film is shown as its file says: taken as a negative.");
  }
  if (turns) notes.push(turns === 2 ? "Stored upside down: turned for the network." : "Lies on its side: turned for the network.");
  if (text(dataset, TAG.burned) === "YES") notes.push("Has writing burned into the picture, which may name the patient.");
  return { name, xray, depth: stored > 8 ? 16 : 8, white: stored > 8 ? 65535 : 255, boneDark: false, turns, notes };
}
