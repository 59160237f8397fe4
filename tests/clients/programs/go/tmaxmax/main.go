// github.com/tmaxmax/go-sse. It takes no line of more than 64 KiB unless it is told to, and comes back after a
// break by itself.
//
//	go run ./tmaxmax URL-OF-THE-STREAM
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/tmaxmax/go-sse"
)

func main() {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, os.Args[1]+"?max_bytes=65536", http.NoBody)
	if err != nil {
		panic(err)
	}
	client := sse.Client{Backoff: sse.Backoff{MaxRetries: -1, Multiplier: 1}}
	connection := client.NewConnection(request)
	connection.SubscribeToAll(func(message sse.Event) {
		kind := message.Type
		if kind == "" {
			kind = "message"
		}
		line, _ := json.Marshal(map[string]any{
			"id": message.LastEventID, "type": kind, "envelope": json.RawMessage(message.Data),
		})
		fmt.Println(string(line))
	})
	// It ends when the hub ends a stream in order, and knows where it was.
	for {
		fmt.Fprintln(os.Stderr, connection.Connect())
		time.Sleep(time.Second)
	}
}
