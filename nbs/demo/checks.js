// What is asked of a file before it is decoded.
export class BadImage extends Error {}

const MOST_PIXELS = 40_000_000; // the library takes 100 million; a browser has less memory
const LEAST_SIDE = 32;

export function checkSize(name, width, height, length) {
  const size = `${width} x ${height} pixels`;
  if (width * height > MOST_PIXELS) throw new BadImage(`${name}: has ${size}, more than a browser should be given. Reduce it, or use the command bss-gan.`);
  if (width * height > 1000 * length) throw new BadImage(`${name}: is damaged (${size} in ${length} bytes). Copy it again.`);
  if (Math.min(width, height) < LEAST_SIDE) throw new BadImage(`${name}: ${size} are too few. A chest film has at least ${LEAST_SIDE} on each side.`);
}

// Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream states, as in chapter 2.
export function codedSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < Math.min(bytes.length - 24, 2000); at++) {
    if (view.getUint32(at) === 0xff4fff51) return [view.getUint32(at + 12) - view.getUint32(at + 20), view.getUint32(at + 8) - view.getUint32(at + 16)];
  }
  for (let at = 2; bytes[0] === 0xff && bytes[at] === 0xff && at < bytes.length - 9; at += 2 + view.getUint16(at + 2)) {
    const marker = bytes[at + 1];
    if ((marker >= 0xc0 && marker < 0xd0 && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7) return [view.getUint16(at + 5), view.getUint16(at + 7)];
  }
  return null;
}
