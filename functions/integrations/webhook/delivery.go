package webhook

import (
	"context"
	"crypto/rand"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
)

// writeTries is how often a write of a delivery is tried before it is left to the next push of the event.
const writeTries = 4

// delivery is what is known of a delivery.
func (s *Sender) delivery(ctx context.Context, uid, id string) (account.Delivery, error) {
	d, err := s.Store.Delivery(ctx, uid, id)
	if fault.Is(err, fault.NotFound) {
		return account.Delivery{ID: id, Webhook: account.MemoryCreated}, nil
	}
	return d, err
}

// claim takes the right to attempt a delivery, also where there is no lock to be had. The first to have it settles the
// title. A claim whose answer is lost is read back. fault.Busy: another has it. What is Done needs no attempt.
func (s *Sender) claim(ctx context.Context, uid string, d account.Delivery, title string) (account.Delivery, error) {
	token := rand.Text()
	var refused error
	for range writeTries {
		now := time.Now()
		switch {
		case d.Done, d.ClaimedBy == token:
			return d, nil
		case now.Before(d.ClaimedUntil):
			return d, fault.Newf(fault.Busy, "claim", "another attempts the delivery")
		}
		next := d
		next.ClaimedBy, next.ClaimedUntil = token, now.Add(s.ClaimTTL)
		next.UpdatedAt, next.ExpiresAt = now, now.Add(keepRecords)
		if d.UpdateTime.IsZero() {
			next.Title = title
		}
		if refused = s.Store.PutDelivery(ctx, uid, &next); refused == nil {
			return next, nil
		}
		if !uncertain(refused) {
			return d, refused
		}
		var err error
		if d, err = s.delivery(ctx, uid, d.ID); err != nil {
			return d, err
		}
	}
	return d, refused
}

// record stores what became of an attempt and gives the claim back, whatever becomes of ctx meanwhile. What others have
// written since stays: a delivery that is done stays so, and one that an attempt after this one has claimed is theirs,
// unless the receiver has taken it.
func (s *Sender) record(ctx context.Context, uid string, d account.Delivery, note func(*account.Delivery)) (account.Delivery, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	token := d.ClaimedBy
	var refused error
	for range writeTries {
		next := d
		note(&next)
		if d.Done || d.ClaimedBy != token && !next.Done {
			return d, nil
		}
		next.ClaimedBy, next.ClaimedUntil = "", time.Time{}
		next.UpdatedAt = time.Now()
		next.ExpiresAt = next.UpdatedAt.Add(keepRecords)
		if refused = s.Store.PutDelivery(ctx, uid, &next); refused == nil {
			return next, nil
		}
		if !uncertain(refused) {
			return d, refused
		}
		var err error
		if d, err = s.delivery(ctx, uid, d.ID); err != nil {
			return d, err
		}
	}
	return d, refused
}

// uncertain reports whether a write that failed with err may have taken effect, or may yet be made on top of what
// somebody else wrote.
func uncertain(err error) bool {
	return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Unavailable)
}
