// Package api answers what an app asks for beside the socket: conversations, webhook settings
// and usage, of the user whom the token names and of nobody else. openapi.json describes it.
package api

import (
	"context"
	"net/http"
	"path"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// Reader answers from a cache. A user's own writes are in its answers, which nobody may change. fault.NotFound: there
// is no such thing, or it isn't theirs.
type Reader interface {
	Head(ctx context.Context, uid, cid string) (conversation.Conversation, error) // without segments
	Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error)
	Photos(ctx context.Context, uid string, c *conversation.Conversation) ([]conversation.Photo, error) // the first
	List(ctx context.Context, uid string, f conversation.Filter, w conversation.Window) ([]conversation.Conversation, error)
	Anchored(ctx context.Context, uid string, f conversation.Filter, w conversation.Window) bool // the offset costs nothing
	Count(ctx context.Context, uid string, f conversation.Filter) (int, error)
	Days(ctx context.Context, uid, first, last string) ([]usage.Period, error)
	Months(ctx context.Context, uid, first, last string) ([]usage.Period, error)
	// Admit gives the profile. fault.Unauthenticated, Revoked: whoever signed in then may not come in.
	Admit(ctx context.Context, uid string, signedIn time.Time) (account.Profile, error)
	Webhooks(ctx context.Context, uid string) (map[account.WebhookType]account.Webhook, error)
}

// Store is what changes are made to. A commit or a deletion takes effect only if the stored conversation is still the
// version that c was read from. fault.Conflict: it isn't, or the write was the echo of one that took effect before;
// fault.Unavailable: nobody knows.
type Store interface {
	Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, error)
	Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error
	Delete(ctx context.Context, uid string, c *conversation.Conversation) error
	// Forget has the Reader read a conversation anew, whose change was found made. Without a cid: the lists alone.
	Forget(ctx context.Context, uid, cid string)
	Device(ctx context.Context, uid, device string) (conversation.Device, error)
	NewestLive(ctx context.Context, uid string) (cid string, err error) // of whatever device; "": none is live
	ChangeWebhook(ctx context.Context, uid string, t account.WebhookType, edit func(*account.Webhook)) error
}

// Publisher publishes events. With an error an event may have been published all the same.
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Options are what an API works with; all but Shared are needed.
type Options struct {
	Reader    Reader
	Store     Store
	Publisher Publisher
	Rate      rate.Limit // requests a second of one user
	Burst     int        // how many may come at once

	// User says who asks, by the token of the request, and when they signed in.
	User func(r *http.Request) (uid string, signedIn time.Time, err error)

	// Shared counts the requests of a user to all instances; nil: there is one instance.
	Shared *redis_rate.Limiter
}

// API is the handler. It is safe for concurrent use.
type API struct {
	Options
	limits *limits
	photos *semaphore.Weighted // of photoBytes: what the answers hold that are being made and sent
	mux    *http.ServeMux

	sendLimit time.Duration
}

// New makes an API.
func New(o Options) *API {
	a := &API{
		Options: o, limits: newLimits(o.Rate, o.Burst, o.Shared), photos: semaphore.NewWeighted(photoBytes),
		mux: http.NewServeMux(), sendLimit: sendLimit,
	}
	for pattern, handle := range a.routes() {
		a.mux.HandleFunc(pattern, a.handler(handle))
	}
	a.mux.HandleFunc("GET /openapi.json", describe)
	return a
}

// routes are the patterns of net/http and who answers them.
func (a *API) routes() map[string]handle {
	return map[string]handle{
		"GET /v1/conversations":                   a.list,
		"GET /v1/conversations/count":             a.count,
		"POST /v1/conversations":                  a.endLive,
		"GET /v1/conversations/{id}":              a.conversation,
		"DELETE /v1/conversations/{id}":           a.remove,
		"PATCH /v1/conversations/{id}/title":      a.rename,
		"POST /v1/conversations/{id}/finalize":    a.end,
		"GET /v1/conversations/{id}/finalization": a.finalization,
		"POST /v1/conversations/{id}/reprocess":   a.reprocess,

		"GET /v1/users/developer/webhooks/status":         a.webhooks,
		"GET /v1/users/developer/webhook/{type}":          a.webhook,
		"POST /v1/users/developer/webhook/{type}":         a.setWebhook,
		"POST /v1/users/developer/webhook/{type}/enable":  a.switchWebhook(true),
		"POST /v1/users/developer/webhook/{type}/disable": a.switchWebhook(false),

		"GET /v1/users/me/usage":        a.usage,
		"GET /v1/users/me/subscription": a.subscription,
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, pattern := a.mux.Handler(r)
	if pattern == "" || path.Clean(r.URL.Path) != r.URL.Path { // which the mux would send somewhere else
		refuse(w, r, handler)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// now is the time of what the API does, to what Firestore can keep.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
