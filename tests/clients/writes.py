"""Changes of tasks, and what the hub has acknowledged of them: that is what every client has to see."""

EVENT_FIELDS = ["title", "status", "priority", "assignee", "tags", "artifacts", "version"]


def key(envelope):
    """What an event is about, such that no two events have the same."""
    kind, data = envelope["event"], envelope["data"]
    if kind in ("task_created", "task_updated"):
        return ("task", data["task_id"], data["version"])
    if kind == "execution_event":
        return (kind, data["execution_id"], data["execution_event"])
    return (kind, data["task_id"] if kind == "task_deleted" else envelope["id"])


class Writes:
    """Every method is one acknowledged change, or raises."""

    def __init__(self, hub):
        self.hub = hub
        self.acknowledged = {}  # the key of an event -> what its data must say
        self.sent = {}  # the id of a task -> the fields as they were sent last
        self.aside = False
        self.pause_seconds = 0

    async def create(self, **fields):
        task = await self._call("POST", "/api/tasks", fields)
        self._acknowledge(task, fields)
        return task["id"]

    async def patch(self, task_id, **fields):
        self._acknowledge(await self._call("PATCH", f"/api/tasks/{task_id}", fields), fields)

    async def put_status(self, task_id, new_status, **fields):
        change = {"new_status": new_status, **fields}
        task = await self._call("PUT", f"/api/tasks/status/{task_id}", change)
        self._acknowledge(task, {"status": new_status, **fields})

    async def delete(self, task_id):
        await self._call("DELETE", f"/api/tasks/{task_id}")
        sent = self.sent.pop(task_id)
        self.acknowledged["task_deleted", task_id] = {"title": sent["title"]}

    async def announce(self, message, level="info"):
        fields = {"level": level, "message": message}
        announced = await self._call("POST", "/api/events/announcements", fields)
        self.acknowledged["announcement", announced["id"]] = fields
        return announced["id"]

    async def execute(self, task_id, script):
        execution = await self._call("POST", f"/api/exec/{task_id}", {"script_content": script})
        return execution["id"]

    def _acknowledge(self, task, fields):
        self.sent.setdefault(task["id"], {}).update(fields)
        said = {name: task[name] for name in EVENT_FIELDS}
        said.update((name, fields[name]) for name in EVENT_FIELDS if name in fields)
        self.acknowledged["task", task["id"], task["version"]] = said

    async def _call(self, method, path, body=None):
        return await self.hub.call(method, path, body, aside=self.aside)
