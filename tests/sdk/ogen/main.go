// ogen: a method for each operation, and a type for each answer. The streams are read with net/http, their messages with
// hub.Event.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"

	"github.com/google/uuid"

	"taskhub.example/program/generated"
)

// A bearer token, or none.
type token string

func (it token) Token(context.Context, hub.OperationName) (hub.Token, error) {
	return hub.Token{Token: string(it)}, nil
}

func main() {
	log.SetFlags(log.Lshortfile)
	ctx, tag := context.Background(), os.Getenv("TASKHUB_TAG")
	client := connect(os.Getenv("TASKHUB_URL"), "none-is-asked-for")

	draft := &hub.TaskDraft{Title: "Write the report", Tags: []string{tag}}
	answer, err := client.CreateTask(ctx, draft, hub.CreateTaskParams{})
	created, is := answer.(*hub.TaskHeaders)
	check(err == nil && is && created.Location == "/api/tasks/"+created.Response.ID.String(), err)
	task := created.Response
	for _, title := range []string{"Read it", "Print it"} {
		draft.Title = title
		answer, err := client.CreateTask(ctx, draft, hub.CreateTaskParams{})
		_, is := answer.(*hub.TaskHeaders)
		check(err == nil && is, err)
	}
	fmt.Println("ok: creates tasks")

	var titles []string
	page := hub.ListTasksParams{Tag: []string{tag}, Limit: hub.NewOptInt32(2)}
	for more := true; more; {
		answer, err := client.ListTasks(ctx, page)
		list, is := answer.(*hub.ListTasksOKHeaders)
		check(err == nil && is, err)
		for _, it := range list.Response {
			titles = append(titles, it.Title)
		}
		page.Cursor, more = list.TaskhubNextPage, list.TaskhubNextPage.IsSet()
	}
	check(reflect.DeepEqual(titles, []string{"Write the report", "Read it", "Print it"}), titles)
	fmt.Println("ok: lists all pages")

	found, err := client.GetTask(ctx, hub.GetTaskParams{TaskID: task.ID})
	got, is := found.(*hub.UpdateTaskStatusOKHeaders)
	check(err == nil && is && got.Response.Title == task.Title && got.Response.CreatedAt.Equal(task.CreatedAt), err)
	fmt.Println("ok: gets a task")

	match := hub.UpdateTaskParams{TaskID: task.ID, IfMatch: hub.NewOptString(got.ETag)}
	patch := &hub.TaskPatch{Priority: hub.NewOptNilPriority(hub.PriorityHigh)}
	patch.Assignee.SetToNull()
	changed, err := client.UpdateTask(ctx, patch, match)
	patched, is := changed.(*hub.UpdateTaskStatusOKHeaders)
	check(err == nil && is && patched.Response.Priority.Value == hub.PriorityHigh, err)
	check(patched.Response.Assignee.Null && patched.Response.Version == 2, patched.Response)
	fmt.Println("ok: merges a patch, if it matches")

	patch.Priority.SetTo(hub.PriorityLow)
	changed, err = client.UpdateTask(ctx, patch, match)
	differs, is := changed.(*hub.UpdateTaskPreconditionFailed)
	check(err == nil && is && differs.Code == hub.CodeVersionMismatch, changed)
	fmt.Println("ok: is told that the version differs")

	found, err = client.GetTask(ctx, hub.GetTaskParams{TaskID: uuid.MustParse("0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e")})
	missing, is := found.(*hub.GetTaskNotFound)
	check(err == nil && is && missing.Code == hub.CodeTaskNotFound, found)
	fmt.Println("ok: is told that there is no such task")

	listed, err := connect(os.Getenv("TASKHUB_GUARDED_URL"), "").ListTasks(ctx, hub.ListTasksParams{})
	refused, is := listed.(*hub.UnauthorizedHeaders)
	check(err == nil && is && refused.Response.Code != "", listed)
	fmt.Println("ok: is refused without a token")

	known := connect(os.Getenv("TASKHUB_GUARDED_URL"), token(os.Getenv("TASKHUB_TOKEN")))
	listed, err = known.ListTasks(ctx, hub.ListTasksParams{})
	_, is = listed.(*hub.ListTasksOKHeaders)
	check(err == nil && is, listed)
	fmt.Println("ok: is let in with a token")

	update := &hub.StatusUpdate{NewStatus: hub.StatusInprogress}
	report, err := client.UpdateTaskStatus(ctx, update, hub.UpdateTaskStatusParams{TaskID: task.ID})
	reported, is := report.(*hub.UpdateTaskStatusOKHeaders)
	check(err == nil && is && reported.Response.Status == hub.StatusInprogress, report)
	fmt.Println("ok: reports a status")

	claim, err := client.ClaimTask(ctx, &hub.ClaimRequest{Worker: "alice", Tag: hub.NewOptNilString(tag)})
	claimed, is := claim.(*hub.ClaimedTaskHeaders)
	check(err == nil && is && claimed.Response.Status == hub.StatusInprogress, claim)
	lease := claimed.Response.Lease
	check(task.Lease.Null && !lease.Null && lease.Value.Worker == "alice", lease)
	under := hub.UpdateTaskStatusParams{TaskID: claimed.Response.ID, TaskhubLease: hub.NewOptUUID(lease.Value.ID)}
	report, err = client.UpdateTaskStatus(ctx, &hub.StatusUpdate{NewStatus: hub.StatusDone}, under)
	ended, is := report.(*hub.UpdateTaskStatusOKHeaders)
	check(err == nil && is && ended.Response.Status == hub.StatusDone && ended.Response.Lease.Null, report)
	fmt.Println("ok: claims a task, and reports under its lease")

	run := hub.NewOptExecutionRequest(hub.ExecutionRequest{ScriptContent: hub.NewOptNilString("echo hello")})
	started, err := client.StartExecution(ctx, run, hub.StartExecutionParams{TaskID: task.ID})
	execution, is := started.(*hub.StartExecutionOKHeaders)
	check(err == nil && is && execution.Response.TaskID == task.ID, started)
	fmt.Println("ok: starts an execution")

	first := find(task.ID, "", func(event hub.Event) bool {
		it, is := event.GetTaskCreatedEvent()
		return is && it.Data.CreatedAt.Equal(task.CreatedAt)
	}).TaskCreatedEvent
	updated := find(task.ID, first.ID, func(event hub.Event) bool {
		it, is := event.GetTaskUpdatedEvent()
		return is && reflect.DeepEqual(it.Data.Changed, []hub.TaskField{hub.TaskFieldPriority})
	}).TaskUpdatedEvent
	find(task.ID, updated.ID, func(event hub.Event) bool {
		it, is := event.GetExecutionLifecycleEvent()
		return is && it.Data.ExecutionEvent == hub.ExecutionPhaseCompleted
	})
	fmt.Println("ok: receives events with their types")

	var next []hub.Event
	find(task.ID, first.ID, func(event hub.Event) bool {
		next = append(next, event)
		return len(next) == 2
	})
	check(next[0].IsConnectedEvent() && next[1].TaskUpdatedEvent.ID == updated.ID, next)
	fmt.Println("ok: resumes after the last event it has seen")
}

func connect(address string, secret token) *hub.Client {
	client, err := hub.NewClient(address, secret)
	check(err == nil, err)
	return client
}

// find follows the stream of a task, after the event with the id `after`, to the first message that is wanted.
func find(task uuid.UUID, after string, wanted func(hub.Event) bool) hub.Event {
	query := url.Values{"task_id": {task.String()}, "since": {"earliest"}}
	if after != "" {
		query = url.Values{"task_id": {task.String()}, "last_event_id": {after}}
	}
	request, err := http.NewRequest("GET", os.Getenv("TASKHUB_URL")+"/api/events/stream?"+query.Encode(), nil)
	check(err == nil, err)
	request.Header.Set("Accept", "application/x-ndjson")
	answer, err := http.DefaultClient.Do(request)
	check(err == nil && answer.StatusCode == 200, err)
	defer answer.Body.Close()

	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // a keepalive
		}
		var event hub.Event
		err := event.UnmarshalJSON(lines.Bytes())
		check(err == nil, err)
		if wanted(event) {
			return event
		}
	}
	log.Output(2, fmt.Sprint("the stream has ended: ", lines.Err()))
	os.Exit(1)
	panic("unreachable")
}

func check(holds bool, about any) {
	if !holds {
		log.Output(2, fmt.Sprintf("not so: %+v", about))
		os.Exit(1)
	}
}
