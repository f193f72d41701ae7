import { defineConfig } from "vite";

/** The pages as files of one folder. Names carry a hash of what is in the file, so that a browser keeps them for good. */
export default defineConfig({
  base: "/",
  publicDir: "public",
  build: {
    outDir: "built",
    assetsDir: "assets",
    assetsInlineLimit: 0, // the pages allow no data: but pictures
    chunkSizeWarningLimit: 150,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
    target: "es2022",
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000", "/healthz": "http://127.0.0.1:8000", "/readyz": "http://127.0.0.1:8000" } },
});
