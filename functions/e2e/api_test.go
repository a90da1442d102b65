package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/shared/conversation"
)

// app is a person's app beside their device.
type app struct {
	t     *testing.T
	stack *stack.Stack
	token string
}

func openApp(t *testing.T, s *stack.Stack, uid string) *app {
	t.Helper()
	token, err := s.UserToken(uid, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &app{t, s, token}
}

// ask makes a request of an instance, each in turn, and decodes the answer.
func ask[T any](a *app, method, path string) (answer T, status int) {
	a.t.Helper()
	base, err := a.stack.Conversations.URL()
	if err != nil {
		a.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(a.t.Context(), method, base+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	r.Header.Set("X-Device-Id-Hash", "device")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if response.StatusCode < 300 && len(body) > 0 {
		if err := json.Unmarshal(body, &answer); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, body)
		}
	}
	return answer, response.StatusCode
}

func words(c conversation.Wire) string {
	var heard []string
	for _, s := range c.Segments {
		heard = append(heard, s.Text)
	}
	return strings.Join(heard, " ")
}

// The app sees what happens as it happens, from whichever of two instances: words while they are said, the end that
// it asked for, the summary, the title it gave, and nothing after it was deleted. The device goes on speaking after
// the end, into the next conversation.
func TestApp(t *testing.T) {
	s := begin(t, "ida")
	if _, err := s.Conversations.Start(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	a, sp := openApp(t, s, "ida"), connect(t, s, "ida", nil)
	sp.say(1, 6)
	sp.sees(1, 6)
	const path = "/v1/conversations"
	live, _ := ask[[]conversation.Wire](a, "GET", path+"?statuses=in_progress")
	if len(live) != 1 {
		t.Fatalf("%d conversations are live, want 1", len(live))
	}
	one := path + "/" + live[0].ID
	for range 4 { // it is watched now
		if _, status := ask[conversation.Wire](a, "GET", one); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	sp.say(7, 12)
	sp.pause(500 * time.Millisecond)
	sp.sees(1, 12)
	settled(t, "the app shows the words", func(context.Context) (bool, error) {
		c, _ := ask[conversation.Wire](a, "GET", one)
		return words(c) == text(1, 12), fmt.Errorf("it shows %q", words(c))
	})
	ended, status := ask[struct{ Conversation conversation.Wire }](a, "POST", path)
	if status != http.StatusOK || ended.Conversation.ID != live[0].ID || ended.Conversation.Status == "in_progress" {
		t.Errorf("end: status %d, %+v", status, ended.Conversation)
	}
	if c, _ := ask[conversation.Wire](a, "GET", one); c.Status == "in_progress" {
		t.Error("the app doesn't see its own end")
	}
	finished(t, s, text(1, 12))
	settled(t, "the app shows the summary", func(context.Context) (bool, error) {
		list, _ := ask[[]conversation.Wire](a, "GET", path+"?statuses=completed")
		return len(list) == 1 && list[0].Structured.Title != "", fmt.Errorf("it shows %+v", list)
	})
	sp.say(20, 23)
	sp.pause(500 * time.Millisecond)
	settled(t, "the device has gone on", func(context.Context) (bool, error) {
		list, _ := ask[[]conversation.Wire](a, "GET", path+"?statuses=in_progress")
		if len(list) != 1 {
			return false, fmt.Errorf("%d are live", len(list))
		}
		c, _ := ask[conversation.Wire](a, "GET", path+"/"+list[0].ID)
		return words(c) == text(20, 23), fmt.Errorf("it shows %q", words(c))
	})
	if _, status := ask[any](a, "PATCH", one+"/title?title=Mine"); status != http.StatusOK {
		t.Errorf("rename: status %d", status)
	}
	for range 2 {
		if list, _ := ask[[]conversation.Wire](a, "GET", path+"?statuses=completed"); len(list) != 1 || list[0].Structured.Title != "Mine" {
			t.Errorf("the app doesn't see its own title: %+v", list)
		}
	}
	if _, status := ask[any](openApp(t, s, "nobody"), "GET", one); status != http.StatusUnauthorized {
		t.Errorf("nobody that is known: status %d, want 401", status)
	}
	if err := s.AddUser(t.Context(), "somebody"); err != nil {
		t.Fatal(err)
	}
	if _, status := ask[any](openApp(t, s, "somebody"), "GET", one); status != http.StatusNotFound {
		t.Errorf("somebody else: status %d, want 404", status)
	}
	if _, status := ask[any](a, "DELETE", one); status != http.StatusNoContent {
		t.Errorf("delete: status %d", status)
	}
	for range 2 {
		if _, status := ask[any](a, "GET", one); status != http.StatusNotFound {
			t.Errorf("after its deletion: status %d, want 404", status)
		}
		if list, _ := ask[[]conversation.Wire](a, "GET", path+"?statuses=completed"); len(list) != 0 {
			t.Error("it is listed after its deletion")
		}
	}
}
