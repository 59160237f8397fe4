// A hub of one test: the binary that TASKHUB_BINARY names, on a data directory of its own. The test can kill it, and start
// it again at the same address.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { WAIT_MS } from "./harness.mjs";

const BINARY = path.resolve(process.env.TASKHUB_BINARY ?? "target/release/taskhub");

export class OwnHub {
  /** Starts one with these arguments, which ends with the test. */
  static async start(test, ...args) {
    const hub = new OwnHub();
    hub.args = args;
    hub.directory = await mkdtemp(path.join(tmpdir(), "taskhub-browser-"));
    test.after(async () => {
      await hub.kill();
      await rm(hub.directory, { recursive: true, force: true });
    });
    await hub.serve("127.0.0.1:0");
    return hub;
  }

  /** Starts it again at its address. */
  restart() {
    return this.serve(this.address);
  }

  /** Stops the process as it is: its sockets stay open, and nothing answers. */
  freeze() {
    this.child.kill("SIGSTOP");
  }

  thaw() {
    this.child.kill("SIGCONT");
  }

  /** kill -9. */
  async kill() {
    const ended = this.child.exitCode !== null || this.child.signalCode !== null;
    if (ended || !this.child.kill("SIGKILL")) return;
    await once(this.child, "exit");
  }

  async serve(listen) {
    // Its scripts find the command `taskhub`.
    const env = { ...process.env, PATH: `${path.dirname(BINARY)}:${process.env.PATH}` };
    // A script that waits in vain ends by itself, also without a hub.
    const args = ["--listen", listen, "--data-dir", path.join(this.directory, "data"), "--log-format", "json",
      "--timeout-seconds", "60", ...this.args];
    this.child = spawn(BINARY, args, { env, stdio: ["ignore", "ignore", "pipe"] });
    const said = [];
    const ready = new Promise((resolve, reject) => {
      createInterface({ input: this.child.stderr })
        .on("line", (line) => {
          said.push(line);
          const listening = line.match(/"listening":"([^"]+)"/);
          if (listening) resolve(listening[1]);
        })
        .on("close", () => reject(new Error(`the hub has ended: ${said.join("\n")}`)));
      setTimeout(() => reject(new Error(`the hub is not ready: ${said.join("\n")}`)), WAIT_MS).unref();
    });
    this.address = await ready;
    this.base = `http://${this.address}`;
  }

  /** A call from outside the page. */
  async api(method, address, body) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(this.base + address, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${address} answered ${response.status}: ${text}`);
    return text ? JSON.parse(text) : null;
  }
}
