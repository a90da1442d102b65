package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// writers is how many write at once to make a past: more have only to wait.
const writers = 8

// hours is how many hourly documents of usage everybody has: those that Omi summed.
const hours = 720

func uid(user int) string { return fmt.Sprintf("user%03d", user) }

// remember starts a store in which everybody has a past: conversations, usage and a profile.
func remember(ctx context.Context, o options) (*firestoretest.Server, error) {
	s, err := firestoretest.NewServer(firestoretest.Options{})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Setenv(emulator, s.Addr()), seed(ctx, o)); err != nil {
		s.Close()
		return nil, fmt.Errorf("make a past: %w", err)
	}
	return s, nil
}

func seed(ctx context.Context, o options) (err error) {
	db, err := store.Open(ctx, project)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	now := time.Now().UTC().Truncate(24 * time.Hour)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(writers)
	for user := range o.Users {
		all.Go(func() error {
			if err := db.PutProfile(ctx, uid(user), account.Profile{Plan: "basic"}); err != nil {
				return err
			}
			for n, cid := range history(o.Conversations) {
				at := now.Add(-time.Duration(n+1) * time.Hour)
				// One in three is a page or two longer than one, and one in thirty is a day at work.
				pages := 1
				switch {
				case n%30 == 7:
					pages = 12
				case n%3 == 0:
					pages = 2 + n%2
				}
				if err := hold(ctx, db, uid(user), cid, at, pages); err != nil {
					return err
				}
			}
			return useHours(ctx, db, uid(user), now)
		})
	}
	return all.Wait()
}

// useHours counts something in each hour of the last 30 days.
func useHours(ctx context.Context, db *store.Store, uid string, now time.Time) error {
	for day := range hours / 24 {
		used := usage.Hours{}
		for hour := range 24 {
			at := now.Add(-time.Duration(24*day+hour) * time.Hour)
			used[usage.Hour(at)] = usage.Totals{AudioMS: 90_000, SpeechMS: 60_000, Words: 150}
		}
		if _, err := db.RecordUsage(ctx, uid, "past", used); err != nil {
			return err
		}
	}
	return nil
}

// hold stores a conversation that was finalized.
func hold(ctx context.Context, db *store.Store, uid, cid string, at time.Time, pages int) error {
	t, err := begin(ctx, uncached{db}, uid, cid, at)
	if err != nil {
		return err
	}
	for left := (pages-1)*transcript.PageSize + 5; left > 0; left -= transcript.PageSize {
		t.hear(min(transcript.PageSize, left))
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
	c := &t.conversation
	c.End(at, conversation.EndSilence, "conversation.ended.v1")
	c.TakeClaim("claim", at, time.Minute)
	c.Complete(conversation.Structured{Title: "About " + c.ID, Category: "work"}, false, at, "")
	return t.db.Commit(ctx, uid, c) // nobody watches: in one
}

// talk is a conversation while it is live, as a session holds it.
type talk struct {
	db           backend
	uid          string
	at           time.Time // of now, to those who talk
	conversation conversation.Conversation
	page         transcript.Page
}

func begin(ctx context.Context, db backend, uid, cid string, at time.Time) (*talk, error) {
	c, page, err := db.Attach(ctx, uid, conversation.Attachment{
		Device: "d" + cid, SessionID: "s" + cid, ClientID: cid, Source: "omi", Language: "en",
		SilenceTimeout: 2 * time.Minute, At: at,
	})
	return &talk{db, uid, at, c, page}, err
}

// hear adds segments, which end the page where they fill it.
func (t *talk) hear(segments int) {
	c := &t.conversation
	for range segments {
		n := c.Segments
		if t.page.Number != n/transcript.PageSize {
			t.page = transcript.Page{Number: n / transcript.PageSize}
		}
		t.page.Segments = append(t.page.Segments, transcript.Segment{
			ID: fmt.Sprintf("%s-%d", c.ID, n), Text: words, Start: t.at.Sub(c.StartedAt), End: t.at.Sub(c.StartedAt) + time.Second,
		})
		c.Segments++
		c.Pages = t.page.Number + 1
		c.Words += len(strings.Fields(words))
	}
	c.Heard(t.at)
}

const words = "And then somebody said this."

// grow adds words to the last segment, as most words are, or begins another.
func (t *talk) grow() {
	n := len(t.page.Segments)
	if n == 0 || strings.Count(t.page.Segments[n-1].Text, words) == 5 {
		t.hear(1)
		return
	}
	last := &t.page.Segments[n-1]
	last.Text += " " + words
	last.End = t.at.Sub(t.conversation.StartedAt) + time.Second
	t.conversation.Words += len(strings.Fields(words))
	t.conversation.Heard(t.at)
}

// flush stores the last page with the conversation, in one commit.
func (t *talk) flush(ctx context.Context) error {
	t.conversation.MarkFlush(t.conversation.Session.ID)
	page := t.page
	page.Segments = slices.Clone(page.Segments) // who reads it may still hold the one before
	return t.db.Commit(ctx, t.uid, &t.conversation, page)
}

// count tells the usage, as functions/usage does each minute.
func (t *talk) count(ctx context.Context) error {
	long := t.at.Sub(t.conversation.StartedAt).Milliseconds()
	_, err := t.db.RecordUsage(ctx, t.uid, t.conversation.ID, usage.Hours{
		usage.Hour(t.conversation.StartedAt): {AudioMS: long, SpeechMS: long, Words: int64(t.conversation.Words)},
	})
	return err
}

// finish ends and finalizes the conversation.
func (t *talk) finish(ctx context.Context) error {
	c := &t.conversation
	c.End(t.at, conversation.EndSilence, "conversation.ended.v1")
	if err := t.db.Commit(ctx, t.uid, c); err != nil {
		return err
	}
	c.TakeClaim("claim", t.at, time.Minute)
	if err := t.db.Commit(ctx, t.uid, c); err != nil {
		return err
	}
	c.Complete(conversation.Structured{Title: "About " + c.ID, Category: "work"}, false, t.at, "")
	return t.db.Commit(ctx, t.uid, c)
}
