package chaos

import (
	"testing"

	"earshot.dev/shared/conversation"
)

// checkImages wants each of a person's conversations to count the images that it has, each image to be in one of them, and
// those to be there of which the person was told, unless they have deleted some. One that a cut took isn't sent again.
func (s *system) checkImages(t *testing.T, p *talker, all []conversation.Conversation) {
	t.Helper()
	stored := map[string]string{}
	for _, c := range all {
		refs, err := s.Firestore.Collection("users/" + p.uid + "/conversations/" + c.ID + "/photos").DocumentRefs(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(refs) != c.Photos {
			t.Errorf("%s/%s has %d images and counts %d", p.uid, c.ID, len(refs), c.Photos)
		}
		for _, ref := range refs {
			if other, twice := stored[ref.ID]; twice {
				t.Errorf("%s: an image is in %s and in %s", p.uid, other, c.ID)
			}
			stored[ref.ID] = c.ID
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.told {
		if stored[id] == "" && !p.deletes {
			t.Errorf("%s: image %s was said to be stored, and is gone", p.uid, id)
		}
	}
	t.Logf("%s: %d images sent, %d said to be stored, %d stored", p.uid, p.images, len(p.told), len(stored))
}
