// @modelcontextprotocol/client 2.x: the revision 2026-07-28.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { headers, stdio, url } from "./hub.mjs";
import { story } from "./story.mjs";

const client = new Client({ name: "typescript-2", version: "1" }, { versionNegotiation: { mode: "auto" } });
const transport = stdio ? new StdioClientTransport(stdio) : new StreamableHTTPClientTransport(url, { requestInit: { headers } });
await client.connect(transport);
assert.equal(client.getProtocolEra(), "modern");
assert.equal(client.getServerVersion().name, "taskhub");
assert.match(client.getInstructions(), /claim_task/);
console.log("ok: connects");
await story({
  modern: true,
  listTools: () => client.listTools(),
  call: (name, args, options) => client.callTool({ name, arguments: args }, options),
  listen: async (uri, onUpdate) => {
    client.setNotificationHandler("notifications/resources/updated", (changed) => onUpdate(changed.params.uri));
    const subscription = await client.listen({ resourceSubscriptions: [uri] });
    assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [uri]);
    return () => subscription.close();
  },
  readResource: (uri) => client.readResource({ uri }),
  listResources: () => client.listResources(),
  listTemplates: () => client.listResourceTemplates(),
  listPrompts: () => client.listPrompts(),
  getPrompt: (name, args) => client.getPrompt({ name, arguments: args }),
  complete: (uri, name, value) => client.complete({ ref: { type: "ref/resource", uri }, argument: { name, value } }),
});
await client.close();
