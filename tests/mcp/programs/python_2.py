"""mcp 2.x: the revision 2026-07-28."""

import contextlib

import anyio
import httpx2
import mcp
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ResourceTemplateReference

from story import Place, story


def wire(answer):
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True)


class Client:
    modern = True

    def __init__(self, client):
        self.client = client

    async def list_tools(self):
        return wire(await self.client.list_tools())

    async def call(self, name, arguments, timeout=None, progress=None):
        return wire(await self.client.call_tool(name, arguments, timeout, progress))

    async def read_resource(self, uri):
        return wire(await self.client.read_resource(uri))

    async def list_templates(self):
        return wire(await self.client.list_resource_templates())

    async def list_prompts(self):
        return wire(await self.client.list_prompts())

    async def get_prompt(self, name, arguments):
        return wire(await self.client.get_prompt(name, arguments))

    async def complete(self, uri, name, value):
        reference = ResourceTemplateReference(type="ref/resource", uri=uri)
        return wire(await self.client.complete(reference, {"name": name, "value": value}))

    @contextlib.asynccontextmanager
    async def listen(self, uri):
        async with self.client.listen(resource_subscriptions=[uri]) as subscription:
            assert subscription.honored.resource_subscriptions == [uri], subscription.honored
            yield (event.uri async for event in subscription)


async def main():
    async with contextlib.AsyncExitStack() as stack:
        if Place.command:
            command, *arguments = Place.command
            server = StdioServerParameters(command=command, args=arguments, env=Place.environment)
        else:
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=Place.headers, timeout=60))
            server = streamable_http_client(Place.url, http_client=http)
        client = await stack.enter_async_context(mcp.Client(server))
        assert client.protocol_version == "2026-07-28", client.protocol_version
        assert client.server_info.name == "taskhub", client.server_info
        assert "claim_task" in client.instructions, client.instructions
        await story(Client(client))


anyio.run(main)
