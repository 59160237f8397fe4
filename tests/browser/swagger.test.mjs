// Swagger UI at /docs: embedded, so it works without the internet.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, screenshot, useBrowser } from "./harness.mjs";

describe("/docs", () => {
  const openPage = useBrowser();

  it("lists every operation of the specification without leaving the origin", async (test) => {
    const { page, expectClean } = await openPage(test, "/docs");
    await page.locator(".opblock").first().waitFor();
    const spec = await api("GET", "/openapi.json");
    const methods = ["get", "put", "post", "delete", "patch", "head", "options"];
    const expected = Object.entries(spec.paths).flatMap(([path, item]) =>
      methods.filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${path}`));
    // A path is drawn with invisible places to break the line.
    const shown = await page.locator(".opblock-summary").evaluateAll((rows) => rows.map((row) =>
      `${row.querySelector(".opblock-summary-method").textContent} ${row.querySelector(".opblock-summary-path").dataset.path}`));
    assert.ok(expected.length > 0);
    assert.deepEqual(shown.sort(), expected.sort());
    await screenshot(page, "docs");
    expectClean();
  });
});
