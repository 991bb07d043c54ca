// From a file to a film and back, by the rules of chapter 0. What a file holds:
// { name, grey, numbers, white, depth, padding, notes, doubt }; grey as displayed is numbers / white, at most 1.
import { BadImage, checkSize, codedSize } from "./checks.js";
import { develop } from "./anatomy.js";
import { image, mapped, round, turn } from "./image.js";
import { guessWhite } from "./white.js";

// PNG: the header first, then all of it, with its checksums.

async function readPng(name, bytes) {
  if (bytes.length < 33) throw new BadImage(`${name}: is damaged (it ends in its header). Copy it again.`);
  const view = new DataView(bytes.buffer),
    [depth, colour] = bytes.subarray(24, 26);
  checkSize(name, view.getUint32(16), view.getUint32(20), bytes.length);
  const refused =
    colour === 3
      ? "is a palette image, whose numbers are colours and not grey values"
      : depth < 8
        ? `has ${depth} bit for a pixel`
        : "";
  if (refused) throw new BadImage(`${name}: ${refused}. Save it as 8- or 16-bit grey.`);
  const { decode } = await import("./vendor/fast-png.js");
  const { width, height, data, channels, transparency = [] } = decode(bytes, { checkCrc: true });
  if (
    transparency.length &&
    data.some((_, at) => at % channels === 0 && transparency.every((value, place) => data[at + place] === value))
  ) {
    throw new BadImage(`${name}: has transparency. Save it as 8- or 16-bit grey.`);
  }
  let bits = 0; // as an sBIT chunk declares them
  for (let at = 33; at < bytes.length - 12 && view.getUint32(at + 4) !== 0x49444154; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x73424954) bits = bytes[at + 8];
  }
  return { width, height, data, channels, depth, bits };
}

// JPEG of 8 bits: the browser's own decoder, told to leave the numbers as they are.

async function readJpeg(name, bytes) {
  const size = codedSize(bytes),
    { decodeStream, jpegFrame } = await import("./codecs.js"),
    [kind, deep] = jpegFrame(bytes);
  if (size) checkSize(name, size[1], size[0], bytes.length);
  if (kind > 0xc2 || deep > 8) {
    const { numbers, width, height, bits } = await decodeStream(name, bytes);
    return { width, height, data: numbers, channels: 1, depth: bits > 8 ? 16 : 8, bits };
  }
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" });
  const { width, height } = bitmap,
    canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  return {
    width,
    height,
    data: canvas.getImageData(0, 0, width, height).data,
    channels: 3,
    stride: 4,
    depth: 8,
    bits: 0,
  };
}

// One channel, if all are equal; JPEG may round them apart by a grey value or two.
function greyLevels(name, { width, height, data, channels, stride = channels, depth }, notes) {
  const levels = new Uint16Array(width * height),
    opaque = 2 ** depth - 1,
    alpha = channels % 2 === 0;
  for (let place = 0, at = 0; place < levels.length; place++, at += stride) {
    levels[place] = data[at];
    if (alpha && data[at + channels - 1] !== opaque)
      throw new BadImage(`${name}: has transparency. Save it as 8- or 16-bit grey.`);
    if (channels < 3) continue;
    const most = Math.max(data[at], data[at + 1], data[at + 2]),
      least = Math.min(data[at], data[at + 1], data[at + 2]);
    if (most - least > 2) throw new BadImage(`${name}: is a colour image. Save it as 8- or 16-bit grey.`);
  }
  if (alpha) notes.push("its transparency channel is opaque everywhere and was left out");
  return levels;
}

function findWhite(numbers, depth, declared) {
  const found = guessWhite(numbers, depth);
  return declared > 8 && declared < 16 && found[0] < 2 ** declared ? guessWhite(numbers, declared) : found;
}

async function readPicture(name, bytes, decode) {
  const notes = [],
    picture = await decode(name, bytes),
    { width, height, depth } = picture,
    numbers = greyLevels(name, picture, notes);
  const highest = numbers.reduce((most, level) => Math.max(most, level)),
    lowest = numbers.reduce((least, level) => Math.min(least, level));
  if (lowest === highest)
    throw new BadImage(`${name}: every pixel has the same value ${lowest}. There is nothing to see on it.`);
  const [white, guess] = findWhite(image(width, height, numbers), depth, picture.bits);
  let padding = null,
    count = 0;
  if (guess) {
    padding = mapped(numbers, (number) => Number(number > white + Math.floor(white / 8)), Uint8Array);
    count = padding.reduce((sum, beyond) => sum + beyond, 0);
    const share = ((100 * count) / padding.length).toFixed(2);
    notes.push(
      guess + (count ? `; ${share}% of the pixels are brighter (frame, marker, hot pixels) and stay as they are` : ""),
    );
  }
  const grey = image(
    width,
    height,
    mapped(numbers, (number) => Math.min(number / white, 1)),
  );
  return { name, grey, numbers, white, depth, padding: count ? padding : null, notes, doubt: "" };
}

const starts = (bytes, at, text) => [...text].every((letter, place) => bytes[at + place] === letter.charCodeAt(0));

// Files that are often taken for films, by their first bytes.
const OTHERS = [
  ["PK", "is a ZIP archive. Unpack it first"],
  ["\x1f\x8b", "is a gzip archive. Unpack it first"],
  ["%PDF", "is a PDF document. Export the film as PNG or DICOM"],
  ...["II*\0", "MM\0*"].map((start) => [
    start,
    "is a TIFF image, which this page cannot read. Save it as PNG, or use the command bss-gan",
  ]),
  ...["BM", "GIF8", "RIFF", "\0\0\0\x0cjP  ", "\xff\x4f\xff\x51", "\xff\x0a", "P5"].map((start) => [
    start,
    "is an image of a kind that this page cannot read. Save it as PNG, or use the command bss-gan",
  ]),
];

function explain(bytes) {
  const text = new TextDecoder().decode(bytes.subarray(0, 512)).trimStart().toLowerCase();
  if (text.startsWith("<!doctype html") || text.includes("<html"))
    return "is an HTML page. Downloads that need a login often save the login page instead. Sign in and try again";
  if (text.startsWith("version") && text.includes("git-lfs"))
    return "is a Git LFS pointer: the film itself was not downloaded. Run: git lfs pull";
  return (
    OTHERS.find(([start]) => starts(bytes, 0, start))?.[1] ??
    "is not an image that can be read here. Use PNG, JPEG or DICOM"
  );
}

// The start of an error's text in brackets; "" for one that only programmers understand.
function reason(error) {
  const text = String(error?.message ?? error?.exception ?? error)
    .split("\n")[0]
    .slice(0, 120)
    .replace(/[.:]+$/, "");
  return !text || /object|undefined|null|type|array|buffer|argument|index|function|offset|Error|[0-9]{5}/.test(text)
    ? ""
    : ` (${text})`;
}

async function readFile(name, bytes) {
  if (!bytes.length) throw new BadImage(`${name}: is empty. Copy it again.`);
  try {
    if (starts(bytes, 0, "\x89PNG")) return await readPicture(name, bytes, readPng);
    if (starts(bytes, 0, "\xff\xd8\xff")) return await readPicture(name, bytes, readJpeg);
    const { looksLikeDicom, readDicom } = await import("./dicom.js");
    if (looksLikeDicom(bytes)) return await readDicom(name, bytes);
  } catch (error) {
    // of a damaged file, decoders throw nearly anything
    if (error instanceof BadImage) throw error;
    throw new BadImage(
      `${name}: is damaged, or coded in a way that this page cannot read${reason(error)}. ` +
        "Copy or export it again, or try the command bss-gan.",
    );
  }
  throw new BadImage(`${name}: ${explain(bytes)}.`);
}

export async function readFilm(name, bytes) {
  return develop(await readFile(name, bytes));
}

// The way back, as PNG: the same size, bits, polarity and way up. Padding, and what did not change, keep their numbers.
export function storedNumbers({ raw, turns, boneDark }, soft) {
  const { grey, numbers, white, depth, padding } = raw,
    most = 2 ** depth - 1,
    back = turn(soft, -turns).data;
  return numbers.map((number, place) => {
    if (padding?.[place]) return number;
    const moved = round(((boneDark ? 1 - back[place] : back[place]) - grey.data[place]) * white);
    return Math.min(Math.max(number + moved, 0), most);
  });
}

export async function writeFilm(film, soft) {
  const {
      grey: { width, height },
      depth,
    } = film.raw,
    numbers = storedNumbers(film, soft),
    { encode } = await import("./vendor/fast-png.js");
  return new Blob(
    [encode({ width, height, data: depth === 8 ? Uint8Array.from(numbers) : numbers, depth, channels: 1 })],
    { type: "image/png" },
  );
}
