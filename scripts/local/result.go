package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/terminal"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/usage"
)

// result is what became of a conversation, as it was stored and delivered. It is read from the documents themselves,
// not by the code that wrote them.
type result struct {
	id            string   // of the conversation; empty: any
	conversations []stored // there should be one
	pages         []page
	periods       []period
	webhooks      []stack.Received
}

type stored struct {
	ID         string                   `firestore:"id"`
	Status     conversation.Status      `firestore:"status"`
	Failure    string                   `firestore:"failure"`
	Segments   int                      `firestore:"segment_count"`
	Words      int                      `firestore:"words"`
	Attempts   int                      `firestore:"attempts"`
	Usage      usage.Hours              `firestore:"usage"`
	Structured *conversation.Structured `firestore:"structured"`
}

type page struct {
	Segments []struct {
		ID   string `firestore:"id"`
		Text string `firestore:"text"`
	} `firestore:"segments"`
}

// period is an hour, a day or a month, as the first letter of its document's name says.
type period struct {
	counter
	name string
}

type counter struct {
	usage.Totals
	ByConversation map[string]usage.Totals `firestore:"by_conversation"` // of an hour
}

// look is the pace at which the result is looked for.
const look = 200 * time.Millisecond

// await reads the result until nothing is missing, or ctx ends.
func (r *result) await(ctx context.Context, system *stack.Stack, uid string) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		now, err := read(ctx, system, uid, r.id)
		switch {
		case ctx.Err() != nil:
			return nil // what was read before is the result
		case err != nil:
			return err
		}
		if *r = *now; len(r.missing()) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// leave reads the result as it is, where nothing more is waited for. What can't be read is not there.
func (r *result) leave(ctx context.Context, system *stack.Stack, uid string) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if now, err := read(ctx, system, uid, r.id); err == nil {
		*r = *now
	}
}

// read reads the result of a conversation; of all that there are, if id is empty.
func read(ctx context.Context, system *stack.Stack, uid, id string) (*result, error) {
	r := &result{id: id, webhooks: system.Webhooks.All()}
	user := system.Firestore.Collection("users").Doc(uid)
	conversations, err := documents[stored](ctx, user.Collection("conversations").Query)
	if err != nil {
		return nil, err
	}
	periods, err := documents[counter](ctx, user.Collection("usage").Query)
	if err != nil {
		return nil, err
	}
	for _, c := range conversations {
		if id != "" && c.data.ID != id {
			continue
		}
		r.conversations = append(r.conversations, c.data)
		pages, err := documents[page](ctx, c.ref.Collection("pages").OrderBy(firestore.DocumentID, firestore.Asc))
		if err != nil {
			return nil, err
		}
		for _, p := range pages {
			r.pages = append(r.pages, p.data)
		}
	}
	for _, p := range periods {
		r.periods = append(r.periods, period{p.data, p.ref.ID})
	}
	return r, nil
}

type document[T any] struct {
	ref  *firestore.DocumentRef
	data T
}

func documents[T any](ctx context.Context, q firestore.Query) ([]document[T], error) {
	snapshots, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	all := make([]document[T], len(snapshots))
	for i, s := range snapshots {
		all[i].ref = s.Ref
		if err := s.DataTo(&all[i].data); err != nil {
			return nil, fmt.Errorf("read %s: %w", s.Ref.Path, err)
		}
	}
	return all, nil
}

// missing says what has not come yet.
func (r *result) missing() []string {
	if len(r.conversations) == 0 {
		return []string{"no conversation was stored"}
	}
	var missing []string
	for _, c := range r.conversations {
		if c.Status != conversation.Completed {
			missing = append(missing, fmt.Sprintf("conversation %s is %s and not completed %s", c.ID, c.Status, c.Failure))
		}
		if got, want := r.reported(c.ID), total(c.Usage); got != want {
			missing = append(missing, fmt.Sprintf("the hours' usage of it is %+v; the conversation used %+v", got, want))
		}
	}
	if len(r.webhooks) == 0 {
		missing = append(missing, "no webhook was received")
	}
	return missing
}

// wrong says what is missing or doesn't fit the rest.
func (r *result) wrong(t *talk) []string {
	wrong := r.missing()
	if len(wrong) > 0 {
		return wrong
	}
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	c, shown := r.conversations[0], t.speech.Transcript
	expect(len(r.conversations) == 1, "there are %d conversations; one was held", len(r.conversations))
	expect(c.ID == t.conversation, "the conversation is %s; the client was told %s", c.ID, t.conversation)
	expect(c.Words > 0, "no word was recognised")
	expect(r.text() == shown.Text(), "the stored transcript %q is not what the client was shown: %q", r.text(), shown.Text())
	expect(c.Segments == len(shown.Segments), "%d segments are stored; the client was shown %d", c.Segments, len(shown.Segments))
	expect(c.Words == len(strings.Fields(shown.Text())), "%d words are counted in %q", c.Words, shown.Text())
	expect(c.Structured != nil && c.Structured.Title != "" && c.Structured.Overview != "", "there is no title or no overview")
	used := total(c.Usage)
	audio := time.Duration(used.AudioMS) * time.Millisecond
	expect((audio-t.audio).Abs() < time.Second, "%v of audio were counted; %v were sent", audio, t.audio)
	expect(used.Words == int64(c.Words), "%d words were counted as used; there are %d", used.Words, c.Words)
	for _, letter := range []string{"h", "d", "m"} {
		expect(r.counted(letter) == used, "usage by %s is %+v; the conversation used %+v", letter, r.counted(letter), used)
	}
	expect(len(r.webhooks) == 1, "%d webhooks were received; there is one event", len(r.webhooks))
	return append(wrong, r.mistold(c)...)
}

// mistold says what of the webhook doesn't fit the conversation.
func (r *result) mistold(c stored) (wrong []string) {
	webhook := r.webhooks[0]
	if webhook.Invalid != nil {
		wrong = append(wrong, fmt.Sprintf("the webhook's signature doesn't hold: %v", webhook.Invalid))
	}
	told, err := decode(webhook)
	if err != nil {
		return append(wrong, err.Error())
	}
	if told.ID != c.ID || len(told.Segments) != c.Segments || told.Status != "completed" {
		wrong = append(wrong, fmt.Sprintf("the webhook tells of %s with %d segments, %s", told.ID, len(told.Segments), told.Status))
	}
	if c.Structured != nil && told.Structured.Title != c.Structured.Title {
		wrong = append(wrong, fmt.Sprintf("the webhook's title is %q, not %q", told.Structured.Title, c.Structured.Title))
	}
	return wrong
}

// text is the stored transcript.
func (r *result) text() string {
	var texts []string
	for _, p := range r.pages {
		for _, s := range p.Segments {
			texts = append(texts, s.Text)
		}
	}
	return strings.Join(texts, " ")
}

// counted adds up the periods of a letter: h, d or m.
func (r *result) counted(letter string) (sum usage.Totals) {
	for _, p := range r.periods {
		if strings.HasPrefix(p.name, letter) {
			sum = sum.Add(p.Totals)
		}
	}
	return sum
}

// reported adds up what the hours say of a conversation.
func (r *result) reported(id string) (sum usage.Totals) {
	for _, p := range r.periods {
		sum = sum.Add(p.ByConversation[id])
	}
	return sum
}

// periodsOf are the hours in which a conversation was, and the days and months of these.
func (r *result) periodsOf(id string) []period {
	return slices.DeleteFunc(slices.Clone(r.periods), func(p period) bool {
		return !slices.ContainsFunc(r.periods, func(hour period) bool {
			_, took := hour.ByConversation[id]
			return took && strings.HasPrefix(hour.name[1:], p.name[1:])
		})
	})
}

func total(hours usage.Hours) (sum usage.Totals) {
	for _, t := range hours {
		sum = sum.Add(t)
	}
	return sum
}

// show writes what is there.
func (r *result) show(out *terminal.Terminal) {
	for _, c := range r.conversations {
		out.Title("The finished conversation")
		out.Field("id", c.ID)
		out.Field("status", string(c.Status))
		if c.Structured != nil {
			showStructured(out, *c.Structured)
		}
		out.Field("transcript", fmt.Sprintf("%s, %s", count(c.Segments, "segment"), count(c.Words, "word")))
	}
	r.showUsage(out)
	for _, w := range r.webhooks {
		out.Title("The webhook, as received")
		out.Field("id", w.ID)
		out.Field("query", w.Query.Encode())
		signature := "verified"
		if w.Invalid != nil {
			signature = w.Invalid.Error()
		}
		out.Field("signature", signature)
		told, err := decode(w)
		if err != nil {
			out.Field("body", err.Error())
			continue
		}
		out.Field("body", fmt.Sprintf("%d bytes of JSON: %q, %s, with %s",
			len(w.Body), told.Structured.Title, told.Status, count(len(told.Segments), "segment")))
	}
}

// showUsage writes the hours, days and months.
func (r *result) showUsage(out *terminal.Terminal) {
	if len(r.periods) == 0 {
		return
	}
	names := map[string]string{"h": "hour", "d": "day", "m": "month"}
	out.Title("Usage, as counted")
	slices.SortFunc(r.periods, func(a, b period) int {
		return cmp.Or(strings.Index("hdm", a.name[:1])-strings.Index("hdm", b.name[:1]), strings.Compare(b.name, a.name))
	})
	for _, p := range r.periods {
		out.Field(names[p.name[:1]], fmt.Sprintf("%s: %.1f s of audio, %.1f s of it speech, %s",
			p.name[1:], float64(p.AudioMS)/1000, float64(p.SpeechMS)/1000, count(int(p.Words), "word")))
	}
}

// showStructured writes what a summary found.
func showStructured(out *terminal.Terminal, s conversation.Structured) {
	out.Field("title", strings.TrimSpace(s.Emoji+" "+s.Title))
	out.Field("category", s.Category)
	out.Field("overview", s.Overview)
	for _, a := range s.ActionItems {
		out.Field("to do", a.Description)
	}
	if len(s.ActionItems) == 0 {
		out.Field("to do", "nothing")
	}
}

// decode reads the conversation that a webhook tells of.
func decode(webhook stack.Received) (told conversation.Wire, err error) {
	if err := json.Unmarshal(webhook.Body, &told); err != nil {
		return told, fmt.Errorf("the webhook can't be read: %w", err)
	}
	return told, nil
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
