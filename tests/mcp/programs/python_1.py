"""mcp 1.x: the revision 2025-11-25."""

import contextlib
import datetime

import anyio
import httpx
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ResourceTemplateReference

from story import Place, story


def wire(answer):
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True)


class Client:
    modern = False

    def __init__(self, session):
        self.session = session

    async def list_tools(self):
        return wire(await self.session.list_tools())

    async def call(self, name, arguments, timeout=None, progress=None):
        timeout = timeout and datetime.timedelta(seconds=timeout)
        return wire(await self.session.call_tool(name, arguments, timeout, progress))

    async def read_resource(self, uri):
        return wire(await self.session.read_resource(uri))

    async def list_templates(self):
        return wire(await self.session.list_resource_templates())

    async def list_prompts(self):
        return wire(await self.session.list_prompts())

    async def get_prompt(self, name, arguments):
        return wire(await self.session.get_prompt(name, arguments))

    async def complete(self, uri, name, value):
        reference = ResourceTemplateReference(type="ref/resource", uri=uri)
        return wire(await self.session.complete(reference, {"name": name, "value": value}))


async def main():
    async with contextlib.AsyncExitStack() as stack:
        if Place.command:
            command, *arguments = Place.command
            server = StdioServerParameters(command=command, args=arguments, env=Place.environment)
            streams = await stack.enter_async_context(stdio_client(server))
        else:
            http = await stack.enter_async_context(httpx.AsyncClient(headers=Place.headers, timeout=60))
            streams = await stack.enter_async_context(streamable_http_client(Place.url, http_client=http))
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        greeted = await session.initialize()
        assert greeted.serverInfo.name == "taskhub", greeted
        assert "claim_task" in greeted.instructions, greeted
        resources = greeted.capabilities.resources
        assert not (resources and resources.subscribe), "a promise that a hub without sessions cannot keep"
        await story(Client(session))


anyio.run(main)
