// Two pages with bundles under /static/ui/, named by their content; the server fills in the pages' $values.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/ui/",
  publicDir: false,
  build: {
    target: "es2022",
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
    rollupOptions: { input: ["index.html", "console.html"] },
  },
  server: { host: "127.0.0.1" },
});
