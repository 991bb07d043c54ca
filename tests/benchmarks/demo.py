"""How fast the page is on which the generator can be tried, in Chromium on this machine, and what WebGPU finds where there is one.

    python .ci/demo.py build/site/demo && python tests/benchmarks/demo.py build/site/demo
"""
import functools, http.server, shutil, sys, threading

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = """async ([engine, sides]) => {
    const network = await import("./network.js"), { image } = await import("./image.js"), model = await (await fetch("model.json")).json();
    const loaded = await network.start(engine, model, () => {}), found = [];
    for (const side of sides) {
        const film = image(side, side, Float32Array.from({ length: side * side }, (_, place) => (place * 2654435761 % 65536) / 65536)), seconds = [];
        let soft;
        for (let round = 0; round < 6; round++) {
            const begun = performance.now();
            soft = await network.run(loaded, film);
            seconds.push((performance.now() - begun) / 1000);
        }
        found.push([side, seconds[0], ...seconds.slice(1).sort(), [...soft.subarray(0, 1000)]]);
    }
    return found;
}"""


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


def main(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        plain = page.evaluate(SECONDS, ["wasm", [64, 448, 512]])
        for side, first, *others, _ in plain:
            print(f"WebAssembly, one core, {side}x{side}: {others[2]:.2f} s (first {first:.2f} s, lowest {others[0]:.2f}, highest {others[-1]:.2f})")
        if page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
            graphics = page.evaluate(SECONDS, ["webgpu", [64]])
            difference = max(abs(a - b) for a, b in zip(plain[0][-1], graphics[0][-1]))
            print(f"WebGPU (an adapter of software), 64x64: largest difference to WebAssembly {difference:.1e}")
        browser.close()
    server.shutdown()


if __name__ == "__main__": main(sys.argv[1])
