// openapi-generator's java with the library `native`: java.net.http and Jackson. The stream is read with java.net.http, its
// messages with the client's own ObjectMapper.

import com.fasterxml.jackson.databind.ObjectMapper;
import hub.ApiClient;
import hub.ApiException;
import hub.api.ExecutionsApi;
import hub.api.LeasesApi;
import hub.api.TasksApi;
import hub.model.ClaimRequest;
import hub.model.Code;
import hub.model.ConnectedEvent;
import hub.model.Event;
import hub.model.ExecutionLifecycleEvent;
import hub.model.ExecutionPhase;
import hub.model.ExecutionRequest;
import hub.model.Priority;
import hub.model.Problem;
import hub.model.Status;
import hub.model.StatusUpdate;
import hub.model.TaskCreatedEvent;
import hub.model.TaskDraft;
import hub.model.TaskField;
import hub.model.TaskPatch;
import hub.model.TaskUpdatedEvent;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;

public class Program {
    static final String URL = System.getenv("TASKHUB_URL");
    static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper();

    public static void main(String[] arguments) throws Exception {
        var tag = System.getenv("TASKHUB_TAG");
        var client = connect(URL);
        var tasks = new TasksApi(client);

        var draft = new TaskDraft().title("Write the report").tags(List.of(tag));
        var made = tasks.createTaskWithHttpInfo(draft, null);
        var task = made.getData();
        for (var title : List.of("Read it", "Print it")) tasks.createTask(draft.title(title), null);
        check(made.getHeaders().get("location").equals(List.of("/api/tasks/" + task.getId())), made.getHeaders());
        say("creates tasks");

        var titles = new ArrayList<String>();
        String cursor = null;
        do {
            var page = tasks.listTasksWithHttpInfo(
                null, null, null, null, null, null, List.of(tag), null, null, null, 2, cursor, null);
            page.getData().forEach(it -> titles.add(it.getTitle()));
            var next = page.getHeaders().get("taskhub-next-page");
            cursor = next == null ? null : next.get(0);
        } while (cursor != null);
        check(titles.equals(List.of("Write the report", "Read it", "Print it")), titles);
        say("lists all pages");

        var got = tasks.getTaskWithHttpInfo(task.getId(), null);
        check(got.getData().equals(task), got.getData());
        say("gets a task");

        var etag = got.getHeaders().get("etag").get(0);
        var patched = tasks.updateTask(task.getId(), new TaskPatch().priority(Priority.HIGH).assignee(null), etag, null);
        check(patched.getPriority() == Priority.HIGH && patched.getAssignee() == null, patched);
        check(patched.getVersion() == 2, patched.getVersion());
        say("merges a patch, if it matches");

        var late = new TaskPatch().priority(Priority.LOW);
        expect(412, Code.VERSION_MISMATCH, () -> tasks.updateTask(task.getId(), late, etag, null));
        say("is told that the version differs");

        var nobody = UUID.fromString("0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e");
        expect(404, Code.TASK_NOT_FOUND, () -> tasks.getTask(nobody, null));
        say("is told that there is no such task");

        var guarded = connect(System.getenv("TASKHUB_GUARDED_URL"));
        expect(401, Code.TOKEN_MISSING, () ->
            new TasksApi(guarded).listTasks(null, null, null, null, null, null, null, null, null, null, 2, null, null));
        say("is refused without a token");

        var token = System.getenv("TASKHUB_TOKEN");
        guarded.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        new TasksApi(guarded).listTasks(null, null, null, null, null, null, null, null, null, null, 2, null, null);
        say("is let in with a token");

        var reported = tasks.updateTaskStatus(task.getId(), new StatusUpdate().newStatus(Status.INPROGRESS), null, null);
        check(reported.getStatus() == Status.INPROGRESS, reported);
        say("reports a status");

        var claimed = new LeasesApi(client).claimTask(new ClaimRequest().worker("alice").tag(tag));
        var lease = claimed.getLease();
        check(task.getLease() == null && lease.getWorker().equals("alice"), lease);
        check(claimed.getStatus() == Status.INPROGRESS, claimed);
        var done = new StatusUpdate().newStatus(Status.DONE);
        var ended = tasks.updateTaskStatus(claimed.getId(), done, null, lease.getId());
        check(ended.getStatus() == Status.DONE && ended.getLease() == null, ended);
        say("claims a task, and reports under its lease");

        var request = new ExecutionRequest().scriptContent("echo hello");
        var execution = new ExecutionsApi(client).startExecution(task.getId(), null, null, request);
        check(execution.getTaskId().equals(task.getId()), execution);
        say("starts an execution");

        var created = find(task.getId(), null, event ->
            event instanceof TaskCreatedEvent it && it.getData().getCreatedAt().equals(task.getCreatedAt()));
        var updated = find(task.getId(), ((TaskCreatedEvent) created).getId(), event ->
            event instanceof TaskUpdatedEvent it && it.getData().getChanged().equals(List.of(TaskField.PRIORITY)));
        find(task.getId(), ((TaskUpdatedEvent) updated).getId(), event ->
            event instanceof ExecutionLifecycleEvent it && it.getData().getExecutionEvent() == ExecutionPhase.COMPLETED);
        say("receives events with their types");

        var next = new ArrayList<Object>();
        find(task.getId(), ((TaskCreatedEvent) created).getId(), event -> next.add(event) && next.size() == 2);
        check(next.get(0) instanceof ConnectedEvent && next.get(1).equals(updated), next);
        say("resumes after the last event it has seen");
    }

    static ApiClient connect(String address) {
        var client = new ApiClient();
        client.updateBaseUri(address);
        return client;
    }

    /** Follows the stream of a task, after the event with the id {@code after}, to the first message that is wanted. */
    static Object find(UUID task, String after, Predicate<Object> wanted) throws Exception {
        var start = after == null ? "since=earliest" : "last_event_id=" + after;
        var request = HttpRequest.newBuilder(URI.create(URL + "/api/events/stream?task_id=" + task + "&" + start))
            .header("Accept", "application/x-ndjson")
            .build();
        try (var lines = HttpClient.newHttpClient().send(request, BodyHandlers.ofLines()).body()) {
            for (Iterator<String> each = lines.iterator(); each.hasNext();) {
                var line = each.next();
                if (line.isEmpty()) continue; // a keepalive
                var event = JSON.readValue(line, Event.class).getActualInstance();
                if (wanted.test(event)) return event;
            }
        }
        throw new AssertionError("the stream has ended");
    }

    interface Call {
        Object make() throws ApiException;
    }

    /** A call that ends with a problem. */
    static void expect(int status, Code code, Call call) throws Exception {
        try {
            throw new AssertionError("there is no problem: " + call.make());
        } catch (ApiException error) {
            var problem = JSON.readValue(error.getResponseBody(), Problem.class);
            check(error.getCode() == status && problem.getCode() == code, error.getResponseBody());
        }
    }

    static void check(boolean holds, Object about) {
        if (!holds) throw new AssertionError(about);
    }

    static void say(String what) {
        System.out.println("ok: " + what);
    }
}
