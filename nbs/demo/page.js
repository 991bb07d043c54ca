// What the reader touches: films in, the picture, three sliders, a file out.
import { mapped } from "./image.js";

const part = (id) => document.getElementById(id);
const [status, progress, error, result, notes] = ["status", "progress", "error", "result", "notes"].map(part);
const [divider, strength, level, window_, save] = ["divider", "strength", "level", "window", "save"].map(part);
const before = part("before").getContext("2d"), after = part("after").getContext("2d");

const theme = { default: "light", alternate: "dark" }[localStorage.getItem("quarto-color-scheme")]; // as chosen on the other pages
if (theme) document.documentElement.dataset.theme = theme;

let xray, bone, offered;

// Drawing

// A grey picture through the window, as in `testing.draw_view`.
function draw(context, { width, height }, greys) {
  const picture = context.createImageData(width, height), words = new Uint32Array(picture.data.buffer);
  const black = level.value / 100 - window_.value / 200, scale = 25500 / window_.value;
  for (let place = 0; place < words.length; place++) {
    const grey = Math.min(Math.max(Math.round((greys[place] - black) * scale), 0), 255);
    words[place] = 0xff000000 | (grey * 0x010101);
  }
  context.putImageData(picture, 0, 0);
}

function drawBoth() {
  if (!xray) return;
  draw(before, xray, xray.data);
  const share = strength.value / 100;
  if (bone) draw(after, xray, mapped(xray.data, (grey, place) => grey - share * bone.data[place]));
}

function slide() {
  part("stage").style.setProperty("--divider", `${bone ? divider.value : 100}%`);
}

let asked;
function redraw() {
  for (const slider of [strength, level, window_]) part(`${slider.id}-said`).value = `${slider.value} %`;
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(drawBoth);
}

// What the worker says

const hear = {
  progress({ text, share }) {
    status.textContent = share === undefined ? `${text} …` : `${text}: ${Math.round(100 * share)} %`;
    progress.hidden = share === undefined;
    progress.value = share ?? 0;
  },
  film(film) {
    [xray, bone] = [film.xray, undefined];
    for (const { canvas } of [before, after]) Object.assign(canvas, { width: xray.width, height: xray.height });
    part("stage").style.setProperty("--shape", `${xray.width} / ${xray.height}`);
    part("stage").style.setProperty("--ratio", xray.width / xray.height);
    notes.replaceChildren(...[`${film.name}: ${film.size.join(" × ")} pixels, ${film.depth} bit.`, ...film.notes].map(item));
    result.hidden = false;
    slide();
    redraw();
    part("stage").scrollIntoView({ block: "nearest" });
  },
  bone(found) {
    ({ bone } = found);
    for (const control of [divider, strength, save]) control.disabled = false;
    progress.hidden = true;
    status.textContent = `Done in ${found.seconds.toFixed(1)} s with ${found.engine}, at ${found.working} pixels. Drag the line, or move it with the arrow keys.`;
    slide();
    redraw();
  },
  png({ blob, name }) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    save.disabled = false;
    status.textContent = `Saved as ${name}.`;
  },
  error({ text, unsure }) {
    status.textContent = "";
    progress.hidden = true;
    error.hidden = false;
    error.querySelector("p").textContent = text;
    part("anyway").hidden = !unsure;
  },
};

function item(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

// The worker starts when the service worker is ready, or after two seconds without it.
async function startWorker() {
  const keeper = navigator.serviceWorker?.register("sw.js").then(() => navigator.serviceWorker.ready).catch(() => {});
  await Promise.race([keeper, new Promise((go) => setTimeout(go, 2000))]);
  const made = new Worker("worker.js", { type: "module" });
  made.onmessage = ({ data }) => hear[data.kind](data);
  made.onerror = () => hear.error({ text: "This browser cannot run the network. Use a current Chrome, Edge, Firefox or Safari." });
  return made;
}

let worker;
async function tell(message) {
  worker ??= startWorker();
  (await worker).postMessage(message);
}

// Films in

function open(file, anyway = false) {
  offered = file;
  error.hidden = true;
  for (const control of [divider, strength, save]) control.disabled = true;
  status.textContent = "Starting …";
  tell({ kind: "open", file, anyway });
}

async function offerSamples() {
  const samples = await (await fetch("films/films.json")).json();
  for (const { file, text } of samples) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(new Image(96, 96), { src: `films/small/${file}`, alt: "" }), text);
    button.addEventListener("click", async () => open(new File([await (await fetch(`films/${file}`)).blob()], file)));
    part("samples").append(button);
  }
}

part("file").addEventListener("change", ({ target }) => {
  if (target.files.length) open(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
part("anyway").addEventListener("click", () => open(offered, true));

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    part("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
}

// The picture

divider.addEventListener("input", slide);
for (const slider of [strength, level, window_]) slider.addEventListener("input", redraw);
part("controls").addEventListener("submit", (event) => event.preventDefault());
part("controls").addEventListener("reset", () => setTimeout(redraw));
save.addEventListener("click", () => {
  save.disabled = true;
  tell({ kind: "save", strength: strength.value / 100 });
});

redraw();
offerSamples();
