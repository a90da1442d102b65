package letterbox

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"earshot.dev/shared/event"
)

// Letter is an event that nobody took. Its data is not shown: it may hold speech.
type Letter struct {
	MessageID  string // Pub/Sub's, of the dead letter
	EventID    string
	Type       string // of the event
	Subject    string // {uid}/{conversation id}
	From       string // the subscription that it was not acknowledged in
	Deliveries string
	Buried     time.Time
	Bytes      int // of data

	ackID      string
	data       []byte
	attributes map[string]string
}

// What Pub/Sub adds to a dead letter's attributes.
// https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic
const (
	addedPrefix     = "CloudPubSubDeadLetterSource"
	addedFrom       = addedPrefix + "Subscription"
	addedDeliveries = addedPrefix + "DeliveryCount"
)

func newLetter(r *pubsubpb.ReceivedMessage) Letter {
	m := r.GetMessage()
	attributes := m.GetAttributes()
	return Letter{
		MessageID: m.GetMessageId(), EventID: attributes["id"], Type: attributes["type"], Subject: attributes["subject"],
		From: path.Base(attributes[addedFrom]), Deliveries: attributes[addedDeliveries],
		Buried: m.GetPublishTime().AsTime(), Bytes: len(m.GetData()),
		ackID: r.GetAckId(), data: m.GetData(), attributes: attributes,
	}
}

// is reports whether the id is that of the message or of its event.
func (l Letter) is(id string) bool { return id == l.MessageID || id == l.EventID }

// topic is the name of the one that the event was published to. A type of another version than those that are known
// here has the same.
func (l Letter) topic() (string, error) {
	if at := strings.LastIndex(l.Type, ".v"); at > 0 {
		if _, err := strconv.ParseUint(l.Type[at+len(".v"):], 10, 32); err == nil {
			topic := event.Topic(l.Type)
			if slices.ContainsFunc(event.Types, func(known string) bool { return event.Topic(known) == topic }) {
				return topic, nil
			}
		}
	}
	return "", fmt.Errorf("there is no topic for events of type %q", l.Type)
}

// original is the message as it was before it died.
func (l Letter) original() *pubsub.Message {
	attributes := maps.Clone(l.attributes)
	maps.DeleteFunc(attributes, func(name, _ string) bool { return strings.HasPrefix(name, addedPrefix) })
	return &pubsub.Message{Data: l.data, Attributes: attributes}
}

// Print writes a table of letters, and whether they are as many as were to be looked at.
func Print(w io.Writer, letters []Letter, limit int) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(letters) > 0 {
		_, _ = fmt.Fprintln(table, "MESSAGE\tEVENT\tTYPE\tSUBJECT\tFROM\tDELIVERIES\tBYTES\tDIED") // Flush has the error
	}
	for _, l := range letters {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", word(l.MessageID), word(l.EventID), word(l.Type),
			word(l.Subject), word(l.From), word(l.Deliveries), l.Bytes, l.Buried.UTC().Format(time.RFC3339)) // likewise
	}
	more := ""
	if len(letters) >= limit {
		more = ", which is the limit: there may be more"
	}
	_, _ = fmt.Fprintf(table, "%d dead letters%s\n", len(letters), more) // likewise
	return table.Flush()
}

// word is text that somebody else wrote, as one word that a terminal shows as it is.
func word(text string) string {
	if text == "" || text == "." {
		return "-"
	}
	if quoted := strconv.QuoteToASCII(text); quoted != `"`+text+`"` || strings.Contains(text, " ") {
		return quoted
	}
	return text
}
