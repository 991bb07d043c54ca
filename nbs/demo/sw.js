// Keeps this page and what it has loaded, so that it opens again at once, and without a network. The build fills in the two lines.
const CACHE = "bss_gan-demo-VERSION";
const SMALL = ["FILES"];

const ours = async () => (await caches.keys()).filter((name) => name.startsWith("bss_gan-demo-") && name !== CACHE);

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SMALL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(ours().then((old) => Promise.all(old.map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

async function answer(request) {
  const cache = await caches.open(CACHE), kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.status === 200) await cache.put(request, fresh.clone());
  return fresh;
}

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});
