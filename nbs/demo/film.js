// From a file to a film, by the rules of chapter 0: { name, xray, depth, white, boneDark, turns, notes }.
import { BadImage, checkSize, codedSize } from "./checks.js";
import { image, looksBoneDark, mapped } from "./image.js";

// PNG: the header first, then all of it, with its checksums.

const PNG_REFUSED = { 3: "is a palette image, whose numbers are colours and not grey values", 4: "has transparency", 6: "has transparency" };

async function readPng(name, bytes) {
  if (bytes.length < 33) throw new BadImage(`${name}: is damaged (it ends in its header). Copy it again.`);
  const view = new DataView(bytes.buffer), [depth, colour] = bytes.subarray(24, 26);
  checkSize(name, view.getUint32(16), view.getUint32(20), bytes.length);
  const refused = depth < 8 ? `has ${depth} bit for a pixel` : depth > 8 && colour === 2 ? "is 16-bit colour" : PNG_REFUSED[colour];
  if (refused) throw new BadImage(`${name}: ${refused}. Save it as 8- or 16-bit grey.`);
  const { decode } = await import("./vendor/fast-png.js");
  const { width, height, data, channels } = decode(bytes, { checkCrc: true });
  return { width, height, data, channels, depth };
}

// JPEG: the browser's own decoder, told to leave the numbers as they are.

async function readJpeg(name, bytes) {
  const size = codedSize(bytes);
  if (size) checkSize(name, size[1], size[0], bytes.length);
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" });
  const { width, height } = bitmap, canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  return { width, height, data: canvas.getImageData(0, 0, width, height).data, channels: 4, depth: 8 };
}

// One channel, if all are equal; JPEG may round them apart by a grey value or two.
function greyLevels(name, { width, height, data, channels }) {
  const levels = new Uint16Array(width * height);
  for (let place = 0, at = 0; place < levels.length; place++, at += channels) {
    levels[place] = data[at];
    if (channels < 3) continue;
    const most = Math.max(data[at], data[at + 1], data[at + 2]), least = Math.min(data[at], data[at + 1], data[at + 2]);
    if (most - least > 2) throw new BadImage(`${name}: is a colour image. Save it as 8- or 16-bit grey.`);
  }
  return levels;
}

async function readPicture(name, bytes, decode) {
  const picture = await decode(name, bytes), { width, height, depth } = picture, levels = greyLevels(name, picture);
  const highest = levels.reduce((most, level) => Math.max(most, level)), lowest = levels.reduce((least, level) => Math.min(least, level));
  if (lowest === highest) throw new BadImage(`${name}: every pixel has the same value ${lowest}. There is nothing to see on it.`);
  const white = depth === 8 ? 255 : highest > 255 && highest <= 4095 ? 4095 : 65535; // 4095: a 12-bit detector in a 16-bit file
  const xray = image(width, height, mapped(levels, (level) => level / white)), boneDark = looksBoneDark(xray);
  if (boneDark) xray.data = mapped(xray.data, (value) => 1 - value);
  const notes = boneDark ? ["Bone is dark in this file: shown as a positive, saved as it came."] : [];
  return { name, xray, depth, white, boneDark, turns: 0, notes };
}

const starts = (bytes, at, text) => [...text].every((letter, place) => bytes[at + place] === letter.charCodeAt(0));

export async function readFilm(name, bytes) {
  if (!bytes.length) throw new BadImage(`${name}: is empty. Copy it again.`);
  try {
    if (starts(bytes, 0, "\x89PNG")) return await readPicture(name, bytes, readPng);
    if (starts(bytes, 0, "\xff\xd8\xff")) return await readPicture(name, bytes, readJpeg);
    if (starts(bytes, 128, "DICM")) return await (await import("./dicom.js")).readDicom(name, bytes);
  } catch (error) { // of a damaged file, decoders throw nearly anything
    if (error instanceof BadImage) throw error;
    const why = String(error?.message ?? error?.exception ?? error).split("\n")[0].slice(0, 120);
    throw new BadImage(`${name}: is damaged, or coded in a way that cannot be read here (${why}). Copy or export it again.`);
  }
  throw new BadImage(`${name}: is not an image that can be read here. Use PNG, JPEG or DICOM.`);
}

// The way back: the same size, depth and polarity; as PNG.
export async function writeFilm({ depth, white, boneDark }, soft) {
  const levels = new (depth === 8 ? Uint8Array : Uint16Array)(soft.data.length);
  soft.data.forEach((value, place) => (levels[place] = Math.round((boneDark ? 1 - value : value) * white)));
  const { encode } = await import("./vendor/fast-png.js");
  return new Blob([encode({ width: soft.width, height: soft.height, data: levels, depth, channels: 1 })], { type: "image/png" });
}
