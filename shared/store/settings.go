package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
)

// Profile reads a user's settings. NotFound: there is no such user.
func (s *Store) Profile(ctx context.Context, uid string) (account.Profile, error) {
	return read[account.Profile](ctx, s.user(uid))
}

// PutProfile stores a user's settings, and with them the user.
func (s *Store) PutProfile(ctx context.Context, uid string, p account.Profile) error {
	_, err := s.user(uid).Set(ctx, p)
	return wrap("write profile", err)
}

// Webhooks reads where events go, by type: a read for each type that was ever set, and one where none was.
func (s *Store) Webhooks(ctx context.Context, uid string) (map[account.WebhookType]account.Webhook, error) {
	snapshots, err := s.user(uid).Collection("webhooks").Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read webhooks", err)
	}
	hooks := make(map[account.WebhookType]account.Webhook, len(snapshots))
	for _, snapshot := range snapshots {
		var hook account.Webhook
		if err := snapshot.DataTo(&hook); err != nil {
			return nil, fault.New(fault.Internal, "decode webhook", err)
		}
		hooks[account.WebhookType(snapshot.Ref.ID)] = hook
	}
	return hooks, nil
}

// ChangeWebhook stores what edit makes of where a type of event goes, in one transaction: of two changes at once, one is
// made on top of the other. So edit may be called again, with what is stored by then; the first gets the zero value.
func (s *Store) ChangeWebhook(ctx context.Context, uid string, t account.WebhookType, edit func(*account.Webhook)) error {
	ref := s.webhook(uid, t)
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		hook, err := get[account.Webhook](tx, ref)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		edit(&hook)
		return tx.Set(ref, hook)
	})
	return wrap("change webhook", err)
}

func (s *Store) webhook(uid string, t account.WebhookType) *firestore.DocumentRef {
	return s.user(uid).Collection("webhooks").Doc(string(t))
}

// Delivery reads what became of a delivery. NotFound: it was never attempted.
func (s *Store) Delivery(ctx context.Context, uid, id string) (account.Delivery, error) {
	d, version, err := readVersion[account.Delivery](ctx, s.delivery(uid, id))
	d.UpdateTime = version
	return d, err
}

// PutDelivery stores what becomes of a delivery, if the stored one is still the version that d was read from, and makes d
// the version that is stored then. Conflict: it isn't, or this is the echo of a write that took effect.
func (s *Store) PutDelivery(ctx context.Context, uid string, d *account.Delivery) error {
	ref := s.delivery(uid, d.ID)
	var result *firestore.WriteResult
	var err error
	if d.UpdateTime.IsZero() {
		result, err = ref.Create(ctx, d)
	} else {
		result, err = ref.Update(ctx, []firestore.Update{
			{Path: "attempts", Value: d.Attempts},
			{Path: "done", Value: d.Done},
			{Path: "failed", Value: d.Failed},
			{Path: "status", Value: d.Status},
			{Path: "title", Value: d.Title},
			{Path: "updated_at", Value: d.UpdatedAt},
			{Path: "expires_at", Value: d.ExpiresAt},
			{Path: "claimed_by", Value: d.ClaimedBy},
			{Path: "claimed_until", Value: d.ClaimedUntil},
		}, firestore.LastUpdateTime(d.UpdateTime))
	}
	if err != nil {
		return wrap("write delivery", gone(err))
	}
	d.UpdateTime = result.UpdateTime
	return nil
}

func (s *Store) delivery(uid, id string) *firestore.DocumentRef {
	return s.user(uid).Collection("deliveries").Doc(id)
}

func read[T any](ctx context.Context, ref *firestore.DocumentRef) (T, error) {
	v, _, err := readVersion[T](ctx, ref)
	return v, err
}

// readVersion gives as well when the document was last written, for a write that demands this version.
func readVersion[T any](ctx context.Context, ref *firestore.DocumentRef) (v T, version time.Time, err error) {
	snapshot, err := ref.Get(ctx)
	if err != nil {
		return v, time.Time{}, wrap("read "+ref.Parent.ID, err)
	}
	if err := snapshot.DataTo(&v); err != nil {
		return v, time.Time{}, fault.New(fault.Internal, "decode "+ref.Parent.ID, err)
	}
	return v, snapshot.UpdateTime, nil
}
