// What the header of a DICOM file says, by the rules of chapter 2: texts and numbers that may be absent, empty or odd,
// and the words for the machine, the body part and the view. The lists of words are those of the library; the build
// writes them into words.json.
import parser from "./vendor/dicom-parser.js";

export const TAG = {
  kind: "x00080016",
  modality: "x00080060",
  intent: "x00080068",
  region: "x00082218",
  derivation: "x00082111",
  part: "x00180015",
  view: "x00185101",
  orientation: "x00200020",
  samples: "x00280002",
  photometric: "x00280004",
  frames: "x00280008",
  rows: "x00280010",
  columns: "x00280011",
  aspect: "x00280034",
  allocated: "x00280100",
  stored: "x00280101",
  high: "x00280102",
  signed: "x00280103",
  padding: "x00280120",
  paddingEnd: "x00280121",
  burned: "x00280301",
  center: "x00281050",
  width: "x00281051",
  intercept: "x00281052",
  slope: "x00281053",
  function: "x00281056",
  modalityLut: "x00283000",
  descriptor: "x00283002",
  lut: "x00283006",
  voiLut: "x00283010",
  imagerSpacing: "x00181164",
  spacing: "x00280030",
  viewCode: "x00540220",
  meaning: "x00080104",
  pixels: "x7fe00010",
  float: "x7fe00008",
  double: "x7fe00009",
  url: "x00287fe0",
  syntax: "x00020010",
  media: "x00020002",
};
const [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED] = [
  "1.2.840.10008.1.2.1",
  "1.2.840.10008.1.2",
  "1.2.840.10008.1.2.2",
  "1.2.840.10008.1.2.1.99",
];
const LONGEST = 210_000_000; // bytes of an inflated file

const letters = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

// Whether a file is DICOM, with or without the letters DICM.
export function looksLikeDicom(bytes) {
  if (letters(bytes, 128, 4) === "DICM" || letters(bytes, 0, 4) === "DICM") return true;
  return (
    ["\x02\0", "\x08\0", "\0\x08"].includes(letters(bytes, 0, 2)) && letters(bytes, 0, 4096).includes("1.2.840.10008.")
  );
}

async function inflate(bytes) {
  const { Inflate } = await import("./vendor/fflate.js"),
    parts = [];
  let length = 0;
  const inflater = new Inflate((part) => {
    if ((length += part.length) > LONGEST) throw new Error("it is larger than any film when it is inflated");
    parts.push(part);
  });
  for (let at = 0; at < bytes.length; at += 65536)
    inflater.push(bytes.subarray(at, at + 65536), at + 65536 >= bytes.length);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// The elements up to the picture, the transfer syntax, and a note if it had to be guessed.
export async function openDataset(bytes) {
  const start = letters(bytes, 128, 4) === "DICM" ? 132 : letters(bytes, 0, 4) === "DICM" ? 4 : 0;
  const head = new parser.ByteStream(parser.littleEndianByteArrayParser, bytes, start),
    meta = {};
  while (letters(bytes, head.position, 2) === "\x02\0" && head.position + 8 < bytes.length) {
    const element = parser.readDicomElementExplicit(head, []);
    meta[element.tag] = element;
  }
  const declared = new parser.DataSet(head.byteArrayParser, bytes, meta),
    media = text(declared, "media");
  let syntax = text(declared, "syntax"),
    data = bytes.subarray(head.position),
    note = "";
  if (syntax === DEFLATED) data = await inflate(data);
  const implicit = !/^[A-Z]{2}$/.test(letters(data, 4, 2));
  if (!syntax) {
    syntax = implicit ? IMPLICIT : data[0] === 0 ? BIG_ENDIAN : EXPLICIT;
    const order = data[0] === 0 ? "big" : "little";
    note = `does not say how it is coded: read as ${implicit ? "implicit" : "explicit"} ${order} endian`;
  }
  const order = syntax === BIG_ENDIAN ? parser.bigEndianByteArrayParser : parser.littleEndianByteArrayParser;
  const stream = new parser.ByteStream(order, data, 0),
    dataset = new parser.DataSet(order, data, {});
  dataset.warnings = [];
  while (stream.position + 8 <= data.length && !dataset.elements[TAG.pixels]) {
    const element = implicit
      ? parser.readDicomElementImplicit(stream)
      : parser.readDicomElementExplicit(stream, dataset.warnings);
    // no commands, and no head in the wrong place
    if (element.tag > "x0002ffff") dataset.elements[element.tag] = element;
  }
  return { dataset, syntax, media, bigEndian: syntax === BIG_ENDIAN, note };
}

export const has = (dataset, name) => Boolean(dataset.elements[TAG[name]]?.length);

// Text in capitals, without accents; in UTF-8 or Latin-1.
export function text(dataset, name) {
  if (!has(dataset, name)) return "";
  const { dataOffset, length } = dataset.elements[TAG[name]],
    bytes = dataset.byteArray.subarray(dataOffset, dataOffset + length),
    decoded = new TextDecoder().decode(bytes);
  const words = decoded.includes("\ufffd") ? new TextDecoder("latin1").decode(bytes) : decoded;
  return words
    .toUpperCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[\0\s]+$/, "")
    .trim();
}

// The numbers of an element of text, NaN for what is none; of a binary one, 16 bits each.
export function numbers(dataset, name) {
  if (!has(dataset, name)) return [];
  const { vr, length } = dataset.elements[TAG[name]],
    binary = ["US", "SS"].includes(vr) || (!vr && /^x0028(00(02|1[01])|01)/.test(TAG[name]));
  if (binary)
    return Array.from({ length: length >> 1 }, (_, place) =>
      vr === "SS" ? dataset.int16(TAG[name], place) : dataset.uint16(TAG[name], place),
    );
  return text(dataset, name)
    .split("\\")
    .map((word) => (/\d/.test(word) ? Number(word.trim().replace(",", ".")) : NaN))
    .map((number) => (Number.isFinite(number) ? number : NaN));
}

export function number(dataset, name, otherwise) {
  const [first = NaN] = numbers(dataset, name);
  return Number.isNaN(first) ? otherwise : first;
}

export const items = (dataset, name) => (dataset.elements[TAG[name]]?.items ?? []).map((item) => item.dataSet);
const codeMeaning = (dataset, name) =>
  items(dataset, name)
    .slice(0, 1)
    .map((item) => text(item, "meaning"))
    .join("");

let lists;
function says(words, known) {
  const begins = (token) =>
    known.some((word) => token === word || (!lists.whole.includes(word) && token.startsWith(word)));
  return (words.match(/[\p{L}\p{N}_]+/gu) ?? []).some(begins);
}

// Each says why this is no frontal chest film, "" if it is, null if nobody knows.
const DOUBTS = {
  modality(word) {
    if (lists.modalities.includes(word)) return `is of the modality ${word}, not a plain radiograph (CR, DX)`;
    return ["CR", "DX", "RG", "DR", "XR", "X-RAY", "XRAY"].includes(word) ? "" : null;
  },
  "body part"(words) {
    const spine = /SPINE|WIRBEL|COLUMNA|COLONNA|RACHIS|VERTEBR/.test(words) && !words.includes("CHEST");
    if (!spine && lists.chest.some((word) => words.includes(word))) return "";
    return spine || says(words, lists.parts) ? `shows another part of the body (${words})` : null;
  },
  view(words) {
    const view = words.replaceAll("_", " ").replace(/\b([AP])\W+([AP])\b/g, "$1$2"),
      tokens = view.replaceAll("BILATERAL", "").split(/\s+/);
    const front = says(view, lists.frontal) || view.split(/\s+/).some((word) => /(PA|AP)$/.test(word));
    const side = says(view, lists.side) || tokens.some((word) => word.includes("LATERAL") || word.endsWith("LAT"));
    return front === side ? null : side ? `is not a frontal view (${words})` : "";
  },
};

// Notes on a film whose rows and columns do not lead where its file says, once it is known how it is turned.
export function checkPose(dataset, turns) {
  const [row = "", column = ""] = text(dataset, "orientation")
      .split("\\")
      .map((side) => side.trim()[0]),
    known = row && column && "LRFH".includes(row) && "LRFH".includes(column);
  if (!known) return [];
  const steps = { L: [1, 0], R: [-1, 0], F: [0, 1], H: [0, -1] },
    [[a, b], [c, d]] = [steps[row], steps[column]],
    notes = [];
  if (a * d - b * c < 0) notes.push("is stored mirrored (PatientOrientation)");
  if ([column, row][turns % 2] !== "FHHF"[turns])
    notes.push(`its PatientOrientation (${row}\\${column}) does not fit the picture`);
  return notes;
}

// Why the file says that this is no frontal chest film, or "", and notes on what it leaves open.
export async function checkContents(dataset) {
  lists ??= await (await fetch(new URL("words.json", import.meta.url))).json();
  const code = codeMeaning(dataset, "viewCode"),
    notes = [],
    doubts = [],
    unsaid = [],
    unknown = [];
  const words = {
    modality: text(dataset, "modality").replace("OT", ""),
    "body part": text(dataset, "part") || codeMeaning(dataset, "region"),
    view: text(dataset, "view") || code,
  };
  for (const [name, doubt] of Object.entries(DOUBTS)) {
    const found = doubt(words[name]);
    if (found) doubts.push(found);
    if (found === null) words[name] ? unknown.push(`${name} (${words[name]})`) : unsaid.push(name);
  }
  if (/^[AP]/.test(text(dataset, "orientation"))) doubts.push("is a lateral view (its rows run from front to back)");
  if (text(dataset, "view") && DOUBTS.view(code)) doubts.push(DOUBTS.view(code));
  if (text(dataset, "kind") === "1.2.840.10008.5.1.4.1.1.1.1.1" || text(dataset, "intent").includes("PROCESSING"))
    doubts.push("holds raw detector values (FOR PROCESSING), not a picture for the eye");
  if (unsaid.length) notes.push(`the file does not say its ${unsaid.join(" or ")}: taken as a frontal chest film`);
  if (unknown.length)
    notes.push(`the words for its ${unknown.join(" and ")} are not known here: taken as a frontal chest film`);
  if (text(dataset, "derivation").includes("SUPPRESSED BY BSS_GAN"))
    notes.push("is already a result of bss_gan: its bones were suppressed before");
  if (text(dataset, "burned") === "YES") notes.push("has writing burned into the picture, which may name the patient");
  const sides = ["aspect", "imagerSpacing", "spacing"]
    .map((name) => numbers(dataset, name))
    .find(([down, across, more]) => down > 0 && across > 0 && !more && Math.abs(down / across - 1) > 0.02);
  if (sides) notes.push(`its pixels are not square (${sides.join(" x ")}): the chest is stretched`);
  return [doubts[0] ?? "", notes];
}
