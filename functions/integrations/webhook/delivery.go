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
	return s.change(ctx, uid, d, func(d *account.Delivery) (bool, error) {
		now := time.Now()
		switch {
		case d.Done, d.ClaimedBy == token:
			return false, nil
		case now.Before(d.ClaimedUntil):
			return false, fault.Newf(fault.Busy, "claim", "another attempts the delivery")
		}
		d.ClaimedBy, d.ClaimedUntil = token, now.Add(s.ClaimTTL)
		if d.UpdateTime.IsZero() {
			d.Title = title
		}
		return true, nil
	})
}

// record stores what became of an attempt and gives the claim back, whatever becomes of ctx meanwhile. What others have
// written since stays: a delivery that is done stays so, and one that an attempt after this one has claimed is theirs,
// unless the receiver has taken it.
func (s *Sender) record(ctx context.Context, uid string, d account.Delivery, note func(*account.Delivery)) (account.Delivery, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	token := d.ClaimedBy
	return s.change(ctx, uid, d, func(d *account.Delivery) (bool, error) {
		done, theirs := d.Done, d.ClaimedBy != token
		note(d)
		d.ClaimedBy, d.ClaimedUntil = "", time.Time{}
		return !done && (!theirs || d.Done), nil
	})
}

// forget takes the title out of a delivery of which there is nothing to tell any more. To delete a conversation takes its
// deliveries too, but not one that is claimed only then.
func (s *Sender) forget(ctx context.Context, uid string, d account.Delivery) error {
	_, err := s.change(ctx, uid, d, func(d *account.Delivery) (bool, error) {
		known := d.Title != ""
		d.Title, d.ClaimedBy, d.ClaimedUntil = "", "", time.Time{}
		return known, nil
	})
	return err
}

// change stores what edit makes of a delivery, and gives what is stored then. An edit that changes nothing is not
// stored. Where the write is refused or its answer lost, it reads what there is, and edit decides anew.
func (s *Sender) change(
	ctx context.Context, uid string, d account.Delivery, edit func(*account.Delivery) (changed bool, err error),
) (account.Delivery, error) {
	var refused error
	for range writeTries {
		next := d
		changed, err := edit(&next)
		if err != nil || !changed {
			return d, err
		}
		next.UpdatedAt = time.Now()
		next.ExpiresAt = next.UpdatedAt.Add(keepRecords)
		if refused = s.Store.PutDelivery(ctx, uid, &next); refused == nil {
			return next, nil
		}
		if !uncertain(refused) {
			return d, refused
		}
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
