package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// maxBody is the size of the largest push, in bytes: Pub/Sub takes messages of 10 MB, and pushes them in base64.
// https://cloud.google.com/pubsub/quotas#resource_limits
const maxBody = 14 << 20

// attemptExtension is the CloudEvent extension that leads Receive to the push that waits.
const attemptExtension = "attempt"

// message is the body of a push. https://cloud.google.com/pubsub/docs/push#receive_push
type message struct {
	Message struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		ID          string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
	} `json:"message"`
	Subscription    string `json:"subscription"`    // projects/{project}/subscriptions/{name}
	DeliveryAttempt int    `json:"deliveryAttempt"` // from 1; 0 where there is no dead letter topic
}

// read takes a message out of a push. With an error, it is what could be read of it.
func read(w http.ResponseWriter, r *http.Request) (message, error) {
	const op = "read push"
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return message{}, fault.New(fault.TooLarge, op, err)
	}
	if err != nil {
		return message{}, fault.New(fault.Unavailable, op, err)
	}
	return parse(body)
}

func parse(body []byte) (message, error) {
	const op = "decode push"
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fault.New(fault.Invalid, op, jsonError(err))
	}
	for _, name := range []string{"id", "type", "subject", "time"} {
		if m.Message.Attributes[name] == "" {
			return m, fault.Newf(fault.Invalid, op, "the message has no attribute %q", name)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, m.Message.Attributes["time"]); err != nil {
		return m, fault.Newf(fault.Invalid, op, "the attribute time is no RFC 3339 time")
	}
	return m, nil
}

// jsonError is err without the values that it may quote from the body.
func jsonError(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errors.New("the field " + wrong.Field + " is of another type")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return err // names one character at most
	}
	return errors.New("a field can't be decoded")
}

// cloudEvent is the message as a request in the binary mode of CloudEvents over HTTP.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode
func (m *message) cloudEvent(ctx context.Context, attempt string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(m.Message.Data))
	if err != nil {
		return nil, err
	}
	source := url.URL{Host: "pubsub.googleapis.com", Path: "/" + m.Subscription}
	attributes := m.Message.Attributes
	r.Header.Set("Content-Type", cloudevents.ApplicationJSON)
	r.Header.Set("Ce-Specversion", cloudevents.VersionV1)
	r.Header.Set("Ce-Source", source.String())
	r.Header.Set("Ce-Id", attributes["id"])
	r.Header.Set("Ce-Type", attributes["type"])
	r.Header.Set("Ce-Subject", attributes["subject"])
	r.Header.Set("Ce-Time", attributes["time"])
	r.Header.Set("Ce-"+attemptExtension, attempt)
	if traceparent := attributes["traceparent"]; traceparent != "" {
		r.Header.Set("Ce-Traceparent", traceparent)
	}
	return r, nil
}

// eventOf is the event that the publisher was given.
func eventOf(ce cloudevents.Event) event.Event {
	traceparent, _ := ce.Extensions()["traceparent"].(string)
	return event.Event{
		ID: ce.ID(), Type: ce.Type(), Subject: ce.Subject(), Time: ce.Time(), Traceparent: traceparent, Data: ce.Data(),
	}
}
