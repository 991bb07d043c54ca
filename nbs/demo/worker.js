// Reads, suppresses and writes films beside the page, so that the page answers meanwhile. The film is never sent anywhere else.
import { BadImage } from "./checks.js";
import { readFilm, writeFilm } from "./film.js";
import { image, resize } from "./image.js";
import { findBone, loadNetwork } from "./network.js";

const LONGEST_SHOWN = 2048; // pixels; the file that is saved has them all

let network, film, bone;

const say = (kind, more, hand) => self.postMessage({ kind, ...more }, hand ?? []);

const sentence = (note) => `${note[0].toUpperCase()}${note.slice(1)}.`;

function shown(layer) {
  const scale = Math.min(1, LONGEST_SHOWN / Math.max(layer.width, layer.height));
  const { width, height, data } = resize(layer, Math.round(layer.width * scale), Math.round(layer.height * scale));
  return { width, height, data: data.slice() };
}

async function open({ file, anyway }) {
  [film, bone] = [];
  say("progress", { text: `Reading ${file.name}` });
  const read = await readFilm(file.name, new Uint8Array(await file.arrayBuffer()));
  const looks = read.chest < 0.5 ? "does not look like a frontal chest film" : "", doubts = [read.raw.doubt, looks].filter(Boolean);
  if (!anyway && doubts.length) {
    const text = `${file.name}: ${doubts[0]}. The network knows frontal chest films only; its answer would mean nothing.`;
    return say("error", { text, unsure: true });
  }
  film = read;
  const notes = [...film.notes, ...doubts.map((doubt) => `${doubt}: used all the same`)].map(sentence);
  const { grey: { width, height }, depth } = film.raw;
  say("film", { name: film.name, size: [width, height], depth, notes, xray: shown(film.xray) });
  network ??= loadNetwork((share) => say("progress", { text: "Loading the network", share }));
  const loaded = await network.catch((error) => {
    network = undefined; // the next film tries again
    throw error;
  });
  say("progress", { text: "Looking for bone" });
  const found = await findBone(loaded, film);
  bone = found.bone;
  say("bone", { bone: shown(bone), seconds: found.seconds, engine: loaded.engine, working: loaded.model.size });
}

// The film less as much of its bone as was asked for.
async function save({ strength }) {
  const soft = image(film.xray.width, film.xray.height, film.xray.data.slice());
  for (let place = 0; place < soft.data.length; place++) {
    soft.data[place] = Math.min(Math.max(soft.data[place] - strength * bone.data[place], 0), 1);
  }
  say("png", { blob: await writeFilm(film, soft), name: `${film.name.replace(/\.[^.]*$/, "")}_suppressed.png` });
}

let last = Promise.resolve();
self.onmessage = ({ data }) => {
  last = last.then(() => (data.kind === "open" ? open(data) : save(data))).catch((error) => {
    say("error", { text: error instanceof BadImage ? error.message : `Something went wrong: ${error?.message ?? error}` });
  });
};
