// github.com/r3labs/sse. It takes no line of more than 64 KiB unless it is told to, and comes back after a
// break by itself.
//
//	go run ./r3labs URL-OF-THE-STREAM
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

func main() {
	client := sse.NewClient(os.Args[1] + "?max_bytes=65536")
	// As it is, it waits longer and longer.
	client.ReconnectStrategy = backoff.NewConstantBackOff(time.Second)
	print := func(message *sse.Event) {
		if len(message.Data) == 0 {
			return
		}
		kind := string(message.Event)
		if kind == "" {
			kind = "message"
		}
		line, _ := json.Marshal(map[string]any{
			"id": string(message.ID), "type": kind, "envelope": json.RawMessage(message.Data),
		})
		fmt.Println(string(line))
	}
	// It ends when the hub ends a stream in order, and knows where it was.
	for {
		if err := client.SubscribeRaw(print); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(time.Second)
	}
}
