import { defineConfig } from "vite";

// The result is built into conatd (native/broker), which serves it at any base path: hence relative
// addresses. `npm run dev` forwards the WebSocket to a broker on its default port.
export default defineConfig({
  base: "./",
  build: { outDir: "../../build/web", emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
  server: { proxy: { "/conat": { target: "http://127.0.0.1:8080", ws: true } } },
});
