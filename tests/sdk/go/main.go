// openapi-generator's go: a builder for each operation. The stream is read with net/http, its messages with hub.Event.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"

	"taskhub.example/program/generated"
)

func main() {
	log.SetFlags(log.Lshortfile)
	ctx, tag := context.Background(), os.Getenv("TASKHUB_TAG")
	client := connect(os.Getenv("TASKHUB_URL"))
	tasks := client.TasksAPI

	draft := hub.NewTaskDraft("Write the report")
	draft.SetTags([]string{tag})
	task, answer, err := tasks.CreateTask(ctx).TaskDraft(*draft).Execute()
	check(err == nil && answer.Header.Get("Location") == "/api/tasks/"+task.Id, err)
	for _, title := range []string{"Read it", "Print it"} {
		draft.SetTitle(title)
		_, _, err = tasks.CreateTask(ctx).TaskDraft(*draft).Execute()
		check(err == nil, err)
	}
	fmt.Println("ok: creates tasks")

	var titles []string
	request := tasks.ListTasks(ctx).Tag([]string{tag}).Limit(2)
	for more := true; more; {
		page, answer, err := request.Execute()
		check(err == nil, err)
		for _, it := range page {
			titles = append(titles, it.Title)
		}
		cursor := answer.Header.Get("Taskhub-Next-Page")
		request, more = request.Cursor(cursor), cursor != ""
	}
	check(reflect.DeepEqual(titles, []string{"Write the report", "Read it", "Print it"}), titles)
	fmt.Println("ok: lists all pages")

	got, answer, err := tasks.GetTask(ctx, task.Id).Execute()
	check(err == nil && got.Title == task.Title && got.CreatedAt.Equal(task.CreatedAt), err)
	fmt.Println("ok: gets a task")

	etag := answer.Header.Get("ETag")
	patch := hub.NewTaskPatch()
	patch.SetPriority(hub.PRIORITY_HIGH)
	patch.SetAssigneeNil()
	patched, _, err := tasks.UpdateTask(ctx, task.Id).IfMatch(etag).TaskPatch(*patch).Execute()
	check(err == nil && *patched.Priority.Get() == hub.PRIORITY_HIGH && patched.Assignee.Get() == nil, err)
	check(patched.Version == 2, patched.Version)
	fmt.Println("ok: merges a patch, if it matches")

	patch.SetPriority(hub.PRIORITY_LOW)
	_, _, err = tasks.UpdateTask(ctx, task.Id).IfMatch(etag).TaskPatch(*patch).Execute()
	expect(err, 412, hub.CODE_VERSION_MISMATCH)
	fmt.Println("ok: is told that the version differs")

	_, _, err = tasks.GetTask(ctx, "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e").Execute()
	expect(err, 404, hub.CODE_TASK_NOT_FOUND)
	fmt.Println("ok: is told that there is no such task")

	guarded := connect(os.Getenv("TASKHUB_GUARDED_URL")).TasksAPI
	_, _, err = guarded.ListTasks(ctx).Execute()
	expect(err, 401, hub.CODE_TOKEN_MISSING)
	fmt.Println("ok: is refused without a token")

	known := context.WithValue(ctx, hub.ContextAccessToken, os.Getenv("TASKHUB_TOKEN"))
	_, _, err = guarded.ListTasks(known).Execute()
	check(err == nil, err)
	fmt.Println("ok: is let in with a token")

	update := hub.NewStatusUpdate(hub.STATUS_INPROGRESS)
	reported, _, err := tasks.UpdateTaskStatus(ctx, task.Id).StatusUpdate(*update).Execute()
	check(err == nil && reported.Status == hub.STATUS_INPROGRESS, err)
	fmt.Println("ok: reports a status")

	claim := hub.NewClaimRequest("alice")
	claim.SetTag(tag)
	claimed, _, err := client.LeasesAPI.ClaimTask(ctx).ClaimRequest(*claim).Execute()
	check(err == nil && claimed.Status == hub.STATUS_INPROGRESS, err)
	lease := claimed.Lease.Get()
	check(task.Lease.Get() == nil && lease != nil && lease.Worker == "alice", lease)
	update.SetNewStatus(hub.STATUS_DONE)
	ended, _, err := tasks.UpdateTaskStatus(ctx, claimed.Id).TaskhubLease(lease.Id).StatusUpdate(*update).Execute()
	check(err == nil && ended.Status == hub.STATUS_DONE && ended.Lease.Get() == nil, err)
	fmt.Println("ok: claims a task, and reports under its lease")

	run := hub.NewExecutionRequest()
	run.SetScriptContent("echo hello")
	execution, _, err := client.ExecutionsAPI.StartExecution(ctx, task.Id).ExecutionRequest(*run).Execute()
	check(err == nil && execution.TaskId == task.Id, err)
	fmt.Println("ok: starts an execution")

	created := find(task.Id, "", func(event hub.Event) bool {
		return event.TaskCreatedEvent != nil && event.TaskCreatedEvent.Data.CreatedAt.Equal(task.CreatedAt)
	}).TaskCreatedEvent
	updated := find(task.Id, created.Id, func(event hub.Event) bool {
		it := event.TaskUpdatedEvent
		return it != nil && reflect.DeepEqual(it.Data.Changed, []hub.TaskField{hub.TASKFIELD_PRIORITY})
	}).TaskUpdatedEvent
	find(task.Id, updated.Id, func(event hub.Event) bool {
		it := event.ExecutionLifecycleEvent
		return it != nil && it.Data.ExecutionEvent == hub.EXECUTIONPHASE_COMPLETED
	})
	fmt.Println("ok: receives events with their types")

	var next []hub.Event
	find(task.Id, created.Id, func(event hub.Event) bool {
		next = append(next, event)
		return len(next) == 2
	})
	check(next[0].ConnectedEvent != nil && next[1].TaskUpdatedEvent.Id == updated.Id, next)
	fmt.Println("ok: resumes after the last event it has seen")
}

func connect(address string) *hub.APIClient {
	configuration := hub.NewConfiguration()
	configuration.Servers = hub.ServerConfigurations{{URL: address}}
	return hub.NewAPIClient(configuration)
}

// find follows the stream of a task, after the event with the id `after`, to the first message that is wanted.
func find(task, after string, wanted func(hub.Event) bool) hub.Event {
	query := url.Values{"task_id": {task}, "since": {"earliest"}}
	if after != "" {
		query = url.Values{"task_id": {task}, "last_event_id": {after}}
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
		if wanted(event) {
			return event
		}
	}
	log.Output(2, fmt.Sprint("the stream has ended: ", lines.Err()))
	os.Exit(1)
	panic("unreachable")
}

// expect wants a problem with a status and a code.
func expect(err error, status int32, code hub.Code) {
	var refused *hub.GenericOpenAPIError
	check(errors.As(err, &refused), err)
	problem, known := refused.Model().(hub.Problem)
	check(known && problem.Status == status && problem.Code == code, err)
}

func check(holds bool, about any) {
	if !holds {
		log.Output(2, fmt.Sprint("not so: ", about))
		os.Exit(1)
	}
}
