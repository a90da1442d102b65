package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/shared/conversation"
)

// editor is a person who speaks, and meanwhile changes in an app what they said, through a line of its own. An answer
// that they don't get leaves them in doubt, and they go on.
type editor struct {
	*talker
	app       *line
	client    *http.Client
	token     string
	random    *rand.Rand
	firestore *firestore.Client
	done      map[string]int // requests, by what they do and the status, 0 where there was no answer

	titles   map[string]*titles
	unwanted map[string]*unwanted // the conversations that they had deleted, or tried to
}

// titles are what a conversation may be called that was renamed.
type titles struct {
	may     map[string]bool
	certain bool // that it was renamed at all
	doubt   bool // whether an earlier title may yet come
}

// unwanted is a conversation that the person wants deleted.
type unwanted struct {
	certain   bool // it is
	completed bool // it was, before, with words
}

func newEditor(t *testing.T, s *stack.Stack, uid string, random *rand.Rand) *editor {
	t.Helper()
	e := &editor{
		talker: newTalker(t, s, uid, random), random: rand.New(rand.NewPCG(random.Uint64(), 0)), firestore: s.Firestore,
		client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{}},
		done:   map[string]int{}, titles: map[string]*titles{}, unwanted: map[string]*unwanted{},
	}
	e.deletes = true
	var err error
	if e.token, err = s.UserToken(uid, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	e.app = newLine(t, func() (string, error) { return host(s.Conversations.URL()) })
	t.Cleanup(e.client.CloseIdleConnections)
	return e
}

// edit does one thing after the other to conversations of the latest until ctx ends.
func (e *editor) edit(ctx context.Context) {
	for n := 1; ; n++ {
		wait(ctx, between(e.random, 200*time.Millisecond, time.Second))
		var latest []conversation.Wire
		status := e.ask(ctx, "list", http.MethodGet, "?limit=8&statuses=in_progress,processing,completed,failed", &latest)
		if ctx.Err() != nil {
			return
		}
		if status != http.StatusOK || len(latest) == 0 {
			continue
		}
		c := latest[e.random.IntN(len(latest))]
		switch path := "/" + c.ID; e.random.IntN(6) {
		case 0, 1:
			e.rename(ctx, c.ID, fmt.Sprintf("Title %d", n))
		case 2:
			e.ask(ctx, "end", http.MethodPost, path+"/finalize", nil)
		case 3:
			e.ask(ctx, "reprocess", http.MethodPost, path+"/reprocess", nil)
		default:
			e.remove(ctx, c)
		}
	}
}

// ask sends a request about conversations and reads its answer. It gives the status, 0 where there is no answer.
func (e *editor) ask(ctx context.Context, what, method, path string, answer any) (status int) {
	defer func() { e.done[fmt.Sprintf("%s %d", what, status)]++ }()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+e.app.addr()+"/v1/conversations"+path, http.NoBody)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+e.token)
	response, err := e.client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close() // it was read, or there is no more
	if answer != nil && response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(answer) != nil {
		return 0
	}
	return response.StatusCode
}

func (e *editor) rename(ctx context.Context, cid, title string) {
	status := e.ask(ctx, "rename", http.MethodPatch, "/"+cid+"/title?title="+url.QueryEscape(title), nil)
	if status == http.StatusNotFound {
		return
	}
	t := e.titles[cid]
	if t == nil {
		t = &titles{may: map[string]bool{}}
		e.titles[cid] = t
	}
	if status == http.StatusOK && !t.doubt {
		clear(t.may)
	}
	t.may[title] = true
	t.certain = t.certain || status == http.StatusOK
	t.doubt = t.doubt || status != http.StatusOK // it may have been done, or be done after what comes next
}

// remove has a conversation deleted, beside which an image is put that was not counted: once one could be, where an instance had died.
func (e *editor) remove(ctx context.Context, c conversation.Wire) {
	u := e.unwanted[c.ID]
	if u == nil {
		u = &unwanted{completed: c.Status == "completed" && e.wordsOf(ctx, c.ID) > 0}
		e.unwanted[c.ID] = u
		if u.completed { // else it may be deleted by itself, as one of silence, before the image comes
			photo := conversation.Photo{ID: "uncounted", Data: []byte{1}}
			ref := e.conversation(c.ID).Collection("photos").Doc(photo.ID)
			_, _ = ref.Set(context.WithoutCancel(ctx), photo) // faults are for everybody: then there is none, or there is
		}
	}
	status := e.ask(ctx, "delete", http.MethodDelete, "/"+c.ID, nil)
	u.certain = u.certain || status == http.StatusNoContent || status == http.StatusNotFound
}

// wordsOf is how many a conversation has; 0 where that can't be known now.
func (e *editor) wordsOf(ctx context.Context, cid string) int {
	snapshot, err := e.conversation(cid).Get(ctx)
	if err != nil {
		return 0
	}
	words, _ := snapshot.Data()["words"].(int64)
	return int(words)
}

func (e *editor) conversation(cid string) *firestore.DocumentRef {
	return e.firestore.Doc("users/" + e.uid + "/conversations/" + cid)
}

// finish deletes what was in doubt.
func (e *editor) finish(ctx context.Context) error {
	var errs []error
	for cid, u := range e.unwanted {
		for !u.certain && ctx.Err() == nil {
			if e.remove(ctx, conversation.Wire{ID: cid}); !u.certain {
				wait(ctx, frame)
			}
		}
		if !u.certain {
			errs = append(errs, fmt.Errorf("%s/%s can't be deleted", e.uid, cid))
		}
	}
	return errors.Join(errs...)
}
