// oapi-codegen: a method for each operation, and a field for each status of its answer. The streams are read with net/http,
// their messages with hub.Event.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"

	"github.com/google/uuid"

	"taskhub.example/program/generated"
)

func main() {
	log.SetFlags(log.Lshortfile)
	ctx, tag := context.Background(), os.Getenv("TASKHUB_TAG")
	client := connect(os.Getenv("TASKHUB_URL"))

	draft := hub.TaskDraft{Title: "Write the report", Tags: &[]string{tag}}
	created, err := client.CreateTaskWithResponse(ctx, nil, draft)
	check(err == nil && created.JSON201 != nil, err)
	task := *created.JSON201
	check(created.HTTPResponse.Header.Get("Location") == "/api/tasks/"+task.Id.String(), created.Status())
	for _, title := range []string{"Read it", "Print it"} {
		draft.Title = title
		created, err := client.CreateTaskWithResponse(ctx, nil, draft)
		check(err == nil && created.JSON201 != nil, err)
	}
	fmt.Println("ok: creates tasks")

	var titles []string
	limit := int32(2)
	page := hub.ListTasksParams{Tag: &[]string{tag}, Limit: &limit}
	for more := true; more; {
		list, err := client.ListTasksWithResponse(ctx, &page)
		check(err == nil && list.JSON200 != nil, err)
		for _, it := range *list.JSON200 {
			titles = append(titles, it.Title)
		}
		cursor := list.HTTPResponse.Header.Get("Taskhub-Next-Page")
		page.Cursor, more = &cursor, cursor != ""
	}
	check(reflect.DeepEqual(titles, []string{"Write the report", "Read it", "Print it"}), titles)
	fmt.Println("ok: lists all pages")

	got, err := client.GetTaskWithResponse(ctx, task.Id, nil)
	check(err == nil && got.JSON200.Title == task.Title && got.JSON200.CreatedAt.Equal(task.CreatedAt), err)
	fmt.Println("ok: gets a task")

	etag := got.HTTPResponse.Header.Get("ETag")
	match := &hub.UpdateTaskParams{IfMatch: &etag}
	high, low := hub.PriorityHigh, hub.PriorityLow
	patched, err := client.UpdateTaskWithResponse(ctx, task.Id, match, hub.TaskPatch{Priority: &high})
	check(err == nil && patched.JSON200 != nil && *patched.JSON200.Priority == hub.PriorityHigh, err)
	check(patched.JSON200.Assignee == nil && patched.JSON200.Version == 2, patched.JSON200)
	fmt.Println("ok: merges a patch, if it matches")

	differs, err := client.UpdateTaskWithResponse(ctx, task.Id, match, hub.TaskPatch{Priority: &low})
	check(err == nil && differs.ApplicationproblemJSON412.Code == hub.CodeVersionMismatch, err)
	fmt.Println("ok: is told that the version differs")

	missing, err := client.GetTaskWithResponse(ctx, uuid.MustParse("0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e"), nil)
	check(err == nil && missing.ApplicationproblemJSON404.Code == hub.CodeTaskNotFound, err)
	fmt.Println("ok: is told that there is no such task")

	guarded := connect(os.Getenv("TASKHUB_GUARDED_URL"))
	refused, err := guarded.ListTasksWithResponse(ctx, nil)
	check(err == nil && refused.ApplicationproblemJSON401.Code == hub.CodeTokenMissing, err)
	fmt.Println("ok: is refused without a token")

	letIn, err := guarded.ListTasksWithResponse(ctx, nil, func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+os.Getenv("TASKHUB_TOKEN"))
		return nil
	})
	check(err == nil && letIn.JSON200 != nil, err)
	fmt.Println("ok: is let in with a token")

	reported, err := client.UpdateTaskStatusWithResponse(ctx, task.Id, nil, hub.StatusUpdate{NewStatus: hub.Inprogress})
	check(err == nil && reported.JSON200 != nil && reported.JSON200.Status == hub.Inprogress, err)
	fmt.Println("ok: reports a status")

	claimed, err := client.ClaimTaskWithResponse(ctx, hub.ClaimRequest{Worker: "alice", Tag: &tag})
	check(err == nil && claimed.JSON200 != nil && claimed.JSON200.Status == hub.Inprogress, err)
	lease := claimed.JSON200.Lease
	check(task.Lease == nil && lease != nil && lease.Worker == "alice", lease)
	under := &hub.UpdateTaskStatusParams{TaskhubLease: &lease.Id}
	ended, err := client.UpdateTaskStatusWithResponse(ctx, claimed.JSON200.Id, under, hub.StatusUpdate{NewStatus: hub.Done})
	check(err == nil && ended.JSON200 != nil && ended.JSON200.Status == hub.Done && ended.JSON200.Lease == nil, err)
	fmt.Println("ok: claims a task, and reports under its lease")

	script := "echo hello"
	started, err := client.StartExecutionWithResponse(ctx, task.Id, nil, hub.ExecutionRequest{ScriptContent: &script})
	check(err == nil && started.JSON200 != nil && started.JSON200.TaskId == task.Id, err)
	fmt.Println("ok: starts an execution")

	first := find(task.Id, "", func(message any) bool {
		it, is := message.(hub.TaskCreatedEvent)
		return is && it.Data.CreatedAt.Equal(task.CreatedAt)
	}).(hub.TaskCreatedEvent)
	updated := find(task.Id, first.Id, func(message any) bool {
		it, is := message.(hub.TaskUpdatedEvent)
		return is && reflect.DeepEqual(it.Data.Changed, []hub.TaskField{hub.TaskFieldPriority})
	}).(hub.TaskUpdatedEvent)
	find(task.Id, updated.Id, func(message any) bool {
		it, is := message.(hub.ExecutionLifecycleEvent)
		return is && it.Data.ExecutionEvent == hub.ExecutionPhaseCompleted
	})
	fmt.Println("ok: receives events with their types")

	var next []any
	find(task.Id, first.Id, func(message any) bool {
		next = append(next, message)
		return len(next) == 2
	})
	_, is := next[0].(hub.ConnectedEvent)
	check(is && next[1].(hub.TaskUpdatedEvent).Id == updated.Id, next)
	fmt.Println("ok: resumes after the last event it has seen")
}

func connect(address string) *hub.ClientWithResponses {
	client, err := hub.NewClientWithResponses(address)
	check(err == nil, err)
	return client
}

// find follows the stream of a task, after the event with the id `after`, to the first message that is wanted.
func find(task uuid.UUID, after string, wanted func(any) bool) any {
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
		err := json.Unmarshal(lines.Bytes(), &event)
		check(err == nil, err)
		message, err := event.ValueByDiscriminator()
		check(err == nil, err)
		if wanted(message) {
			return message
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
