// Compressed pictures. A decoder is fetched when a film needs it.
import { BadImage, codedSize } from "./checks.js";

const starts = (bytes, ...wanted) => wanted.every((value, place) => bytes[place] === value);

function find(bytes, ...wanted) {
  for (let at = 0; at < Math.min(bytes.length, 2000); at++) if (starts(bytes.subarray(at), ...wanted)) return at;
  return -1;
}

// Numbers of 16 bits as they are in the stream; what is negative has its sign in them.
async function withCodec(name, decoder, bytes) {
  const { default: load } = await import(`./vendor/${name}.js`);
  const codec = await load({
    locateFile: (file) => new URL(`./vendor/${file}`, import.meta.url).href,
    print() {},
    printErr() {},
  });
  const made = new codec[decoder]();
  made.getEncodedBuffer(bytes.length).set(bytes);
  made.decode();
  const { bitsPerSample, isSigned, width, height, componentCount } = made.getFrameInfo(),
    decoded = made.getDecodedBuffer().slice();
  if (!decoded.length) throw new Error("the decoder gave up");
  if (componentCount !== 1) throw new Error("its compressed picture is in colour");
  const numbers = bitsPerSample <= 8 ? (isSigned ? Int8Array : Uint8Array) : Uint16Array;
  made.delete();
  return { numbers: Uint16Array.from(new numbers(decoded.buffer)), width, height, bits: bitsPerSample };
}

async function losslessJpeg(bytes, bits) {
  const { Decoder } = await import("./vendor/jpeg-lossless-decoder-js.js"),
    [height, width] = codedSize(bytes);
  const numbers = new Decoder().decompress(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    numbers: Uint16Array.from(new (numbers.byteLength === width * height ? Uint8Array : Uint16Array)(numbers)),
    width,
    height,
    bits,
  };
}

// The kind of a JPEG's frame, such as 0xc0, and its bits.
export function jpegFrame(bytes) {
  for (let at = 2; bytes[at] === 0xff && at < bytes.length - 9; at += 2 + (bytes[at + 2] << 8) + bytes[at + 3]) {
    const kind = bytes[at + 1];
    if ((kind >= 0xc0 && kind < 0xd0 && ![0xc4, 0xc8, 0xcc].includes(kind)) || kind === 0xf7)
      return [kind, bytes[at + 4]];
  }
  return [0, 0];
}

// The numbers of a JPEG, JPEG-LS or JPEG 2000 stream, whichever it is.
export async function decodeStream(name, bytes) {
  const block = find(bytes, 0xff, 0x4f, 0xff, 0x51);
  if (block >= 0)
    return bytes[block + 6] & 0x40
      ? withCodec("codec-openjph", "HTJ2KDecoder", bytes.subarray(block))
      : withCodec("codec-openjpeg", "J2KDecoder", bytes);
  const [kind, bits] = starts(bytes, 0xff, 0xd8) ? jpegFrame(bytes) : [];
  if (kind === 0xf7) return withCodec("codec-charls", "JpegLSDecoder", bytes);
  if (kind === 0xc3) return losslessJpeg(bytes, bits);
  if (kind <= 0xc2 && bits === 8) return withCodec("codec-libjpeg-turbo-8bit", "JPEGDecoder", bytes);
  const what =
    starts(bytes, 0xff, 0x0a) || find(bytes, 0x4a, 0x58, 0x4c, 0x20) === 4
      ? "as JPEG XL"
      : kind
        ? `as JPEG of ${bits} bits`
        : "in an unknown way";
  throw new BadImage(`${name}: is compressed ${what}, which this page cannot read. Use the command bss-gan.`);
}

// Run lengths (PS3.5, annex G): first all high bytes, then all low ones.
export function runLengths(bytes, width, height) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    count = view.getUint32(0, true),
    numbers = new Uint16Array(width * height);
  if (count !== 1 && count !== 2) throw new Error(`it has ${count} planes`);
  for (let plane = 0; plane < count; plane++) {
    const end = plane + 1 < count ? view.getUint32(8 + 4 * plane, true) : bytes.length,
      shift = 8 * (count - 1 - plane);
    let at = view.getUint32(4 + 4 * plane, true),
      place = 0;
    while (at < end && place < numbers.length) {
      const head = view.getInt8(at++),
        repeats = head < 0;
      if (head === -128) continue;
      for (let left = Math.abs(head) + 1; left && place < numbers.length; left--)
        numbers[place++] |= bytes[repeats ? at : at++] << shift;
      if (repeats) at++;
    }
    if (place < numbers.length) throw new Error("its picture is too short");
  }
  return { numbers, width, height, bits: 8 * count };
}
