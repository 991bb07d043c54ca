// The generator, run by ONNX Runtime: on WebGPU where there is one, else in WebAssembly on one core.
import { crop, fill, image, resize, workingShape } from "./image.js";

const here = (file) => new URL(file, import.meta.url).href;
const ENGINES = {
  webgpu: { name: "WebGPU", script: "vendor/ort.webgpu.bundle.min.mjs", binary: "vendor/ort-wasm-simd-threaded.asyncify.wasm.gz" },
  wasm: { name: "WebAssembly", script: "vendor/ort.wasm.bundle.min.mjs", binary: "vendor/ort-wasm-simd-threaded.wasm.gz" },
};

// A file that was packed by the build; a server may have unpacked it on the way. `heard` gets the number of bytes that came.
async function fetchPacked(file, heard) {
  const answer = await fetch(here(file)), parts = [];
  if (!answer.ok) throw new Error(`${file} could not be loaded (${answer.status}). Load this page again.`);
  for (let reader = answer.body.getReader(), part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    heard(part.value.length);
  }
  const blob = new Blob(parts), start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (start[0] !== 0x1f || start[1] !== 0x8b) return blob.arrayBuffer();
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// The network with one engine; `progress` gets the share that is loaded, from 0 to 1.
export async function start(engine, model, progress) {
  const { script, binary, name } = ENGINES[engine], all = model.bytes[binary] + model.bytes[model.file];
  let come = 0;
  const heard = (bytes) => progress(Math.min((come += bytes) / all, 1));
  const [ort, runtime, network] = await Promise.all([import(here(script)), fetchPacked(binary, heard), fetchPacked(model.file, heard)]);
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: runtime });
  const session = await ort.InferenceSession.create(network, { executionProviders: [engine] });
  const loaded = { ort, session, model, engine: name };
  await run(loaded, image(4 * model.step, 4 * model.step)); // an engine that fails should fail now
  return loaded;
}

export async function loadNetwork(progress) {
  const model = await (await fetch(here("model.json"))).json();
  try {
    const graphics = await navigator.gpu?.requestAdapter();
    if (graphics && !graphics.info?.isFallbackAdapter) return await start("webgpu", model, progress); // one of software is slower than none
  } catch (error) {
    console.info(`WebGPU is not used: ${error.message}`);
  }
  return start("wasm", model, progress);
}

export async function run({ ort, session }, { width, height, data }) {
  const { soft } = await session.run({ xray: new ort.Tensor("float32", data, [1, height, width, 1]) });
  return soft.getData();
}

// `testing.suppress_file` up to the subtraction: the bone layer of a film at its own size, and the seconds that the
// network took. The network sees the picture without its margins, and there is no bone in them.
export async function findBone(loaded, { xray, picture }) {
  const { size, step } = loaded.model, seen = crop(xray, picture);
  const small = resize(seen, ...workingShape(seen, size)), filled = fill(small, step), begun = performance.now();
  const pred = await run(loaded, filled), seconds = (performance.now() - begun) / 1000, layer = image(small.width, small.height);
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) layer.data[y * small.width + x] = small.data[y * small.width + x] - pred[y * filled.width + x];
  }
  const bone = image(xray.width, xray.height), found = resize(layer, seen.width, seen.height);
  for (let y = 0; y < seen.height; y++) {
    bone.data.set(found.data.subarray(y * seen.width, (y + 1) * seen.width), (y + picture.top) * xray.width + picture.left);
  }
  return { bone, seconds };
}
