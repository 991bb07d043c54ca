// What the picture says about a film, by the rules of chapter 1: where it is on the sheet, which way is up, whether bone
// is bright, and whether this is a chest. The weights are those of the package; the build writes them into anatomy.json.
import { crop, image, mapped, resize, round, turn } from "./image.js";

const [SMALL, SAME, MOSTLY, LEAST, STAMP] = [256, 0.02, 0.92, 0.2, 32];
const STEPS = [2, 2, 1];

// The film with at most `SMALL` pixels along a side, and which of these hold no picture.
function shrink(film, padding) {
  const scale = Math.min(1, SMALL / Math.max(film.width, film.height));
  const [width, height] = [film.width, film.height].map((side) => Math.max(1, round(side * scale)));
  const blank = image(width, height);
  for (let y = 0; padding && y < height; y++) {
    const from = Math.floor((y * film.height) / height) * film.width;
    for (let x = 0; x < width; x++) {
      if (!padding[from + Math.floor((x * film.width) / width)]) continue;
      for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
        blank.data.fill(1, row * width + Math.max(x - 1, 0), row * width + Math.min(x + 2, width));
      }
    }
  }
  return [resize(film, width, height), blank];
}

function median(values) {
  const sorted = Float32Array.from(values).sort(),
    middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// How many of the first lines have one grey, and which; none if it is nearly the `last` one, as on a ramp.
function margin(lines, blank, last) {
  const { width, height } = lines,
    row = (film, y) => film.data.subarray(y * width, (y + 1) * width);
  const first = row(lines, 0).filter((_, x) => !blank.data[x]);
  const count = (holds) => {
    let y = 0;
    while (y < height && holds(y)) y++;
    return y;
  };
  if (!first.length) return [count((y) => row(blank, y).every(Boolean)), last];
  const grey = median(first);
  if (Math.abs(grey - last) < 3 * SAME) return [0, last];
  const found = count((y) => {
    const hides = row(blank, y);
    return (
      row(lines, y).reduce((sum, value, x) => sum + Number(Math.abs(value - grey) < SAME || hides[x] > 0), 0) / width >=
      MOSTLY
    );
  });
  return found ? [found + 1, grey] : [0, last]; // the next line is margin and picture mixed
}

// The picture without its margins.
function findBox(small, blank) {
  const cut = [0, 0, 0, 0],
    last = Array(4).fill(Infinity),
    { width, height } = small; // top, right, bottom, left
  const box = () => ({ top: cut[0], bottom: height - cut[2], left: cut[3], right: width - cut[1] });
  for (let changed = true; changed;) {
    changed = false;
    for (let side = 0; side < 4; side++) {
      const [lines, hides] = [small, blank].map((film) => turn(crop(film, box()), side)),
        [count, grey] = margin(lines, hides, last[side]);
      last[side] = grey;
      if (!count || count + cut[side] + cut[(side + 2) % 4] > (1 - LEAST) * (side % 2 ? width : height)) continue;
      cut[side] += count;
      changed = true;
    }
  }
  return box();
}

// A picture as 32 x 32 ranks, from -1 to 1: each pixel's place in the order of all greys.
function makeStamp(film, blank) {
  const small = resize(film, STAMP, STAMP).data,
    hides = resize(blank, STAMP, STAMP).data,
    stamp = image(STAMP, STAMP),
    counts = new Map();
  const greys = [...small].map((grey) => round(grey * 1000)),
    shown = greys.map((_, place) => hides[place] <= 0.5);
  greys.forEach((grey, place) => shown[place] && counts.set(grey, (counts.get(grey) ?? 0) + 1));
  const all = shown.filter(Boolean).length,
    ranks = new Map();
  let below = 0;
  for (const grey of [...counts.keys()].sort((a, b) => a - b)) {
    ranks.set(grey, (2 * below + counts.get(grey)) / all - 1);
    below += counts.get(grey);
  }
  greys.forEach((grey, place) => (stamp.data[place] = shown[place] ? ranks.get(grey) : 0));
  return stamp;
}

// Every `step`-th pixel of a square with `deep` channels filtered by a kernel; negative values become 0.
function convolve({ side, deep, data }, { shape: [reach, , , filters], values }, bias, step) {
  const made = { side: Math.floor((side - reach) / step) + 1, deep: filters },
    sums = new Float32Array(made.side ** 2 * filters);
  for (let y = 0, at = 0; y < made.side; y++) {
    for (let x = 0; x < made.side; x++, at += filters) {
      for (let filter = 0; filter < filters; filter++) sums[at + filter] = bias.values[filter];
      for (let row = 0; row < reach; row++) {
        const from = ((y * step + row) * side + x * step) * deep;
        for (let tap = 0; tap < reach * deep; tap++) {
          const weights = (row * reach * deep + tap) * filters,
            value = data[from + tap];
          for (let filter = 0; filter < filters; filter++) sums[at + filter] += value * values[weights + filter];
        }
      }
    }
  }
  return { ...made, data: sums.map((sum) => Math.max(sum, 0)) };
}

let votes;
async function countVotes(stamp) {
  votes ??= (await fetch(new URL("anatomy.json", import.meta.url))).json();
  const weights = await votes,
    [dense, bias] = weights.slice(-2);
  let layer = { side: STAMP, deep: 1, data: stamp.data };
  STEPS.forEach((step, place) => (layer = convolve(layer, weights[2 * place], weights[2 * place + 1], step)));
  return layer.data.reduce((sum, value, place) => sum + value * dense.values[place], bias.values[0]);
}

// { picture, turns, boneDark, chest }, as `anatomy.judge_film` says them.
export async function judge(film, padding) {
  const [small, blank] = shrink(film, padding),
    box = findBox(small, blank),
    stamp = makeStamp(crop(small, box), crop(blank, box));
  const counted = [];
  for (const sign of [1, -1]) {
    for (let turns = 0; turns < 4; turns++)
      counted.push(
        await countVotes(
          turn(
            image(
              STAMP,
              STAMP,
              mapped(stamp.data, (rank) => sign * rank),
            ),
            turns,
          ),
        ),
      );
  }
  const most = Math.max(...counted),
    best = counted.indexOf(most),
    up = film.height / small.height,
    along = film.width / small.width;
  const picture = {
    top: round(box.top * up),
    bottom: round(box.bottom * up),
    left: round(box.left * along),
    right: round(box.right * along),
  };
  return { picture, turns: best % 4, boneDark: best > 3, chest: 1 / (1 + Math.exp(-most)) };
}

const TURNED = ["", "lies on its side", "is upside down", "lies on its side"];

// A film upright and bone-bright, and where its picture lies then; `raw` is what the file holds.
export async function develop(raw) {
  const judged = await judge(raw.grey, raw.padding),
    { turns, boneDark, chest } = judged;
  let { top, bottom, left, right } = judged.picture,
    [width, height] = [raw.grey.width, raw.grey.height];
  for (let quarter = 0; quarter < turns; quarter++) {
    [top, bottom, left, right] = [width - right, width - left, top, bottom];
    [width, height] = [height, width];
  }
  const grey = turn(raw.grey, turns),
    xray = boneDark
      ? image(
          width,
          height,
          mapped(grey.data, (value) => 1 - value),
        )
      : grey,
    notes = [...raw.notes];
  if (turns) notes.push(`${TURNED[turns]}: turned for the network, saved as it came`);
  if (boneDark) notes.push("bone is dark in this file: shown as a positive, saved as it came");
  notes.push(...(raw.checkPose?.(turns) ?? []));
  return { name: raw.name, raw, xray, turns, boneDark, chest, picture: { top, bottom, left, right }, notes };
}
