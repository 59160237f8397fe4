// @modelcontextprotocol/sdk 1.x: the revision 2025-11-25.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { headers, stdio, url } from "./hub.mjs";
import { story } from "./story.mjs";

const client = new Client({ name: "typescript-1", version: "1" });
const transport = stdio ? new StdioClientTransport(stdio) : new StreamableHTTPClientTransport(url, { requestInit: { headers } });
await client.connect(transport);
assert.equal(client.getServerVersion().name, "taskhub");
assert.match(client.getInstructions(), /claim_task/);
assert.ok(!client.getServerCapabilities().resources?.subscribe, "a promise that a hub without sessions cannot keep");
console.log("ok: connects");
await story({
  modern: false,
  listTools: () => client.listTools(),
  call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
  readResource: (uri) => client.readResource({ uri }),
  listResources: () => client.listResources(),
  listTemplates: () => client.listResourceTemplates(),
  listPrompts: () => client.listPrompts(),
  getPrompt: (name, args) => client.getPrompt({ name, arguments: args }),
  complete: (uri, name, value) => client.complete({ ref: { type: "ref/resource", uri }, argument: { name, value } }),
});
await client.close();
