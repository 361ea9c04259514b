import { defineConfig } from "@playwright/test";

// Debian's Chromium; the flags keep it from talking to anybody but the broker under test.
export default defineConfig({
  testDir: "tests",
  outputDir: "../test-results/e2e",
  timeout: 90_000,
  workers: 1,
  retries: 0,
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-default-apps",
      ],
    },
  },
});
