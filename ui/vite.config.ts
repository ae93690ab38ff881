// One bundle under /static/ui/, named by its content; the server fills in the page's $values.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/ui/",
  publicDir: false,
  build: {
    target: "es2022",
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    sourcemap: false,
  },
  server: { host: "127.0.0.1" },
});
