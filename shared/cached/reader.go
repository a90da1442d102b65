package cached

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/account"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// Reader answers what is asked often. Its answers are shared: nobody may change them.
//
// A conversation comes in two parts. Its tail, the conversation with its last page, changes with each flush while it
// is live; the pages before never do. So a conversation that somebody watches costs no reads while words come in, since
// the writer renews the tail, and one as a page is full.
type Reader struct {
	tails    *cache.Query[tail]                 // by uid/cid
	closed   *cache.Query[[]transcript.Segment] // by closedKey
	photos   *cache.Query[[]conversation.Photo] // by closedKey, with how many are shown; in this process only
	lists    *cache.Group[listing]              // by uid and question
	usage    *cache.Group[[]usage.Period]       // by uid and span
	profiles *cache.Query[account.Profile]      // by uid
	webhooks *cache.Query[webhooks]             // by uid
}

// localTTL is for what can't become stale, since its key would be another then.
const localTTL = time.Minute

// finishedTTL is for what no longer changes but by hand.
const finishedTTL = time.Hour

// listTTL is for the lists that an app opens with. Any other is kept for briefTTL: it is asked for again within a visit if
// at all, and who asks for another each time would fill Redis.
const (
	listTTL  = 10 * time.Minute
	briefTTL = time.Minute
)

// Profiles may be stale for as long in this process, after as long in Redis: they are changed from outside too, by whom
// nothing here is told. A token that was revoked is refused after both together, 2 min, at the latest: sooner would cost more
// reads of profiles than of all else (with 30 s, a third of what a talk reads).
const (
	profileTTL      = 115 * time.Second
	profileLocalTTL = 5 * time.Second
)

// ProfileEvery is how often at most a profile is read that is asked for all the time, whatever instances there are: Redis
// keeps it for nine tenths of its time at least, and has it read again after eight tenths of that.
const ProfileEvery = profileTTL * 72 / 100

func newReader(db *store.Store, rdb *redis.Client) *Reader {
	r := &Reader{
		tails: cache.New(rdb, cache.Options{Name: "conversation", Version: 1, TTL: finishedTTL},
			func(ctx context.Context, key string) (tail, error) {
				uid, cid, _ := strings.Cut(key, "/")
				c, last, err := db.Tail(ctx, uid, cid)
				return tail{c, last}, err
			}),
		photos: cache.New(nil, cache.Options{Name: "photos", LocalTTL: localTTL, LocalBytes: photosHere},
			func(ctx context.Context, key string) ([]conversation.Photo, error) {
				parts := strings.Split(key, "/")
				many, err := strconv.Atoi(parts[3])
				if err != nil {
					return nil, err
				}
				photos, err := db.Photos(ctx, parts[0], parts[1], many)
				return within(photos, maxPhotoBytes), err
			}),
		usage: cache.NewGroup(rdb, cache.Options{Name: "usage", Version: 1, LocalTTL: localTTL},
			func(ctx context.Context, uid, key string) ([]usage.Period, error) {
				s := strings.Split(key, "/")
				if s[0] == "days" {
					return db.Days(ctx, uid, s[1], s[2])
				}
				return db.Months(ctx, uid, s[1], s[2])
			}),
		profiles: cache.New(rdb, cache.Options{Name: "profile", Version: 1, TTL: profileTTL, LocalTTL: profileLocalTTL}, db.Profile),
		webhooks: cache.New(rdb, cache.Options{Name: "webhooks", Version: 1},
			func(ctx context.Context, uid string) (webhooks, error) { return db.Webhooks(ctx, uid) }),
	}
	r.closed = cache.New(rdb, cache.Options{Name: "pages", Version: 2, TTL: finishedTTL, LocalTTL: localTTL},
		func(ctx context.Context, key string) ([]transcript.Segment, error) { return r.pages(ctx, db, key) })
	r.lists = cache.NewGroup(rdb, cache.Options{Name: "list", Version: 1, TTL: listTTL, LocalTTL: localTTL},
		func(ctx context.Context, uid, key string) (listing, error) { return r.list(ctx, db, uid, key) })
	return r
}

func (r *Reader) close() {
	for _, c := range []interface{ Close() }{r.tails, r.closed, r.photos, r.lists, r.usage, r.profiles, r.webhooks} {
		c.Close()
	}
}

// Stats are the counts of each kind of answer.
func (r *Reader) Stats() []cache.Stats {
	return []cache.Stats{
		r.tails.Stats(), r.closed.Stats(), r.photos.Stats(), r.lists.Stats(), r.usage.Stats(), r.profiles.Stats(), r.webhooks.Stats(),
	}
}

// tail is a conversation with its last page.
type tail struct {
	Conversation conversation.Conversation
	Last         transcript.Page
}

// unfinishedTTL bounds for how long a conversation may seem to stand still whose writer died before it could say
// what it had written.
const unfinishedTTL = time.Minute

// KeepFor implements [cache.Perishable].
func (t tail) KeepFor() time.Duration {
	if t.Conversation.Status.Terminal() {
		return finishedTTL
	}
	return unfinishedTTL
}

// Version implements [cache.Versioned]: versions of a conversation follow each other (see [store]).
func (t tail) Version() int64 { return t.Conversation.UpdateTime.UnixMicro() }

// closedKey names so many first pages, or photos, of a conversation. A client that deleted one may give its id to another, whose
// words are others: the time tells them apart.
func closedKey(uid string, c *conversation.Conversation, many int) string {
	return fmt.Sprintf("%s/%s/%d/%d", uid, c.ID, c.CreatedAt.UnixMicro(), many)
}

// mostClosed is more pages than can be filled within finishedTTL (17 segments a second): what was kept of fewer has ended.
const mostClosed = 500

// closedKeys are all under which pages of a conversation may be kept: one for each page that became full while it was watched.
func closedKeys(uid string, c *conversation.Conversation) []string {
	var keys []string
	for many := max(1, c.Pages-mostClosed); many < c.Pages; many++ {
		keys = append(keys, closedKey(uid, c, many))
	}
	return keys
}

func tailKey(uid, cid string) string { return uid + "/" + cid }

// Head gives a conversation without its segments: 2 reads where nothing is cached.
func (r *Reader) Head(ctx context.Context, uid, cid string) (conversation.Conversation, error) {
	t, err := r.tails.Get(ctx, tailKey(uid, cid))
	return t.Conversation, err
}

// Conversation gives a conversation and its segments: a read for each page, and one more, where nothing is cached.
func (r *Reader) Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error) {
	t, err := r.tails.Get(ctx, tailKey(uid, cid))
	if err != nil || t.Last.Number == 0 {
		return t.Conversation, t.Last.Segments, err
	}
	before, err := r.closed.Get(ctx, closedKey(uid, &t.Conversation, t.Last.Number))
	return t.Conversation, slices.Concat(before, t.Last.Segments), err
}

// pages asks the store for the first pages that a closedKey names, but for those that are at hand, as they are for who has
// watched since before the last of them was full.
func (r *Reader) pages(ctx context.Context, db *store.Store, key string) ([]transcript.Segment, error) {
	conversation, number := key[:strings.LastIndexByte(key, '/')+1], key[strings.LastIndexByte(key, '/')+1:]
	many, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(conversation, "/")
	before, ok := r.closed.Peek(ctx, conversation+strconv.Itoa(many-1))
	if !ok {
		return db.PageSegments(ctx, parts[0], parts[1], 0, many)
	}
	last, err := db.PageSegments(ctx, parts[0], parts[1], many-1, many)
	return slices.Concat(before, last), err
}

// What is shown of a conversation's photos, and how much of that a process keeps, in bytes: images are large for Redis,
// and few look at them twice.
const (
	maxPhotos     = 20
	maxPhotoBytes = 4 << 20
	photosHere    = 32 << 20
)

// Photos gives the first photos of a conversation: 20 at most, and no more than 4 MiB together. It is a read for each
// where none is at hand.
func (r *Reader) Photos(ctx context.Context, uid string, c *conversation.Conversation) ([]conversation.Photo, error) {
	if c.Photos == 0 {
		return nil, nil
	}
	return r.photos.Get(ctx, closedKey(uid, c, min(c.Photos, maxPhotos)))
}

// within leaves out the photos from the one on with which all are over so many bytes. Nothing of those is kept.
func within(photos []conversation.Photo, bytes int) []conversation.Photo {
	for i, p := range photos {
		if bytes -= len(p.Data); bytes < 0 {
			return slices.Clone(photos[:i])
		}
	}
	return photos
}

// Profile gives a user's settings.
func (r *Reader) Profile(ctx context.Context, uid string) (account.Profile, error) {
	return r.profiles.Get(ctx, uid)
}

// Admit gives the settings of the user whose token holds, on the socket and beside it. Unauthenticated: nobody knows them;
// Revoked: the token was taken back since they signed in.
func (r *Reader) Admit(ctx context.Context, uid string, signedIn time.Time) (account.Profile, error) {
	const op = "read profile"
	profile, err := r.Profile(ctx, uid)
	switch {
	case fault.Is(err, fault.NotFound):
		return profile, fault.Newf(fault.Unauthenticated, op, "unknown user")
	case err != nil:
		return profile, fault.Wrap(op, err)
	case profile.Revoked(signedIn):
		return profile, fault.Newf(fault.Revoked, op, "the token was revoked: sign in again")
	}
	return profile, nil
}

type webhooks = map[account.WebhookType]account.Webhook

// Webhooks gives where events go, by type.
func (r *Reader) Webhooks(ctx context.Context, uid string) (map[account.WebhookType]account.Webhook, error) {
	return r.webhooks.Get(ctx, uid)
}

// Webhook gives where a type of event goes. NotFound: nowhere.
func (r *Reader) Webhook(ctx context.Context, uid string, t account.WebhookType) (account.Webhook, error) {
	hooks, err := r.Webhooks(ctx, uid)
	hook, ok := hooks[t]
	if err == nil && !ok {
		err = fault.Newf(fault.NotFound, "read webhook", "there is none of the type")
	}
	return hook, err
}

// Days is [store.Store.Days].
func (r *Reader) Days(ctx context.Context, uid, first, last string) ([]usage.Period, error) {
	return r.usage.Get(ctx, uid, "days/"+first+"/"+last)
}

// Months is [store.Store.Months].
func (r *Reader) Months(ctx context.Context, uid, first, last string) ([]usage.Period, error) {
	return r.usage.Get(ctx, uid, "months/"+first+"/"+last)
}

// question is what is asked of a user's conversations, and as JSON the key of the answer.
type question struct {
	Filter conversation.Filter
	Window conversation.Window // zero: only their number
}

func (q question) key() (string, error) {
	q.Filter.Statuses = slices.Compact(slices.Sorted(slices.Values(q.Filter.Statuses)))
	q.Filter.Sources = slices.Compact(slices.Sorted(slices.Values(q.Filter.Sources)))
	key, err := json.Marshal(q)
	return string(key), fault.New(fault.Invalid, "ask for conversations", err)
}

// opens reports whether an app may open with it: the newest of all times and sources, or their number. One user's lists of
// all 200 limits and 32 filters would hold 1 GB, so only round limits count.
func (q question) opens() bool {
	return q.Window.Offset == 0 && q.Window.After == (conversation.Mark{}) && q.Window.Limit%10 == 0 &&
		len(q.Filter.Sources) == 0 && q.Filter.From.IsZero() && q.Filter.Through.IsZero()
}

type listing struct {
	Conversations []conversation.Conversation
	Count         int

	keep time.Duration // it is known where it was loaded
}

// KeepFor implements [cache.Perishable].
func (l listing) KeepFor() time.Duration { return l.keep }

// List is [store.Store.List]: a read for each conversation where nothing is cached. Of an offset's conversations none
// is read again if the window before is at hand, as it is for who scrolls. A live conversation is shown as it was when a
// session joined it last.
func (r *Reader) List(ctx context.Context, uid string, f conversation.Filter, w conversation.Window,
) ([]conversation.Conversation, error) {
	l, err := r.ask(ctx, uid, question{f, w})
	return l.Conversations, err
}

// Anchored reports whether nothing that the window's offset skips has to be read: the list is at hand, or the one before it
// is, or there is no offset.
func (r *Reader) Anchored(ctx context.Context, uid string, f conversation.Filter, w conversation.Window) bool {
	q := question{f, w}
	if w.Offset == 0 {
		return true
	}
	if _, ok := r.before(ctx, uid, q); ok {
		return true
	}
	key, err := q.key()
	if err != nil {
		return false
	}
	_, ok := r.lists.Peek(ctx, uid, key)
	return ok
}

// Count is [store.Store.Count].
func (r *Reader) Count(ctx context.Context, uid string, f conversation.Filter) (int, error) {
	l, err := r.ask(ctx, uid, question{Filter: f})
	return l.Count, err
}

func (r *Reader) ask(ctx context.Context, uid string, q question) (listing, error) {
	key, err := q.key()
	if err != nil {
		return listing{}, err
	}
	return r.lists.Get(ctx, uid, key)
}

// list asks the store.
func (r *Reader) list(ctx context.Context, db *store.Store, uid, key string) (l listing, err error) {
	var q question
	if err := json.Unmarshal([]byte(key), &q); err != nil {
		return l, fault.New(fault.Internal, "read key", err)
	}
	l.keep = briefTTL
	if q.opens() {
		l.keep = listTTL
	}
	if q.Window == (conversation.Window{}) {
		l.Count, err = db.Count(ctx, uid, q.Filter)
		return l, err
	}
	if mark, ok := r.before(ctx, uid, q); ok {
		q.Window.Offset, q.Window.After = 0, mark
	}
	l.Conversations, err = db.List(ctx, uid, q.Filter, q.Window)
	for i := range l.Conversations { // what a list doesn't show
		c := &l.Conversations[i]
		c.Usage, c.Former, c.People, c.Named, c.Suggested = nil, nil, nil, nil, nil
	}
	return l, err
}

// before finds where a window begins, if the window before it is full and at hand.
func (r *Reader) before(ctx context.Context, uid string, q question) (conversation.Mark, bool) {
	limit := q.Window.Limit
	if limit == 0 || q.Window.Offset < limit {
		return conversation.Mark{}, false
	}
	q.Window.Offset -= limit
	key, err := q.key()
	if err != nil {
		return conversation.Mark{}, false
	}
	l, ok := r.lists.Peek(ctx, uid, key)
	if !ok || len(l.Conversations) != limit {
		return conversation.Mark{}, false
	}
	return l.Conversations[limit-1].Mark(), true
}
