package stack

import (
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
)

// What one run stored, the next one has.
func TestDataIsKept(t *testing.T) {
	data := filepath.Join(t.TempDir(), "not", "there", "yet")
	for run := range 2 {
		server, err := openFirestore(data)
		if err != nil {
			t.Fatal(err)
		}
		client, err := firestore.NewClient(t.Context(), "test", emulated(server.Addr())...)
		if err != nil {
			t.Fatal(err)
		}
		doc := client.Doc("users/ann")
		if run == 0 {
			_, err = doc.Create(t.Context(), map[string]any{"plan": "basic"})
		} else {
			_, err = doc.Get(t.Context())
		}
		if err != nil {
			t.Errorf("run %d: %v", run, err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

func TestEmulatorThatIsNotThereIsNamed(t *testing.T) {
	server, err := openFirestore("")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(firestoreEmulator, server.Addr())
	if err := answers(t.Context(), firestoreEmulator); err != nil {
		t.Error(err)
	}
	server.Close()
	if err := answers(t.Context(), firestoreEmulator); err == nil || !strings.Contains(err.Error(), firestoreEmulator+"="+server.Addr()) {
		t.Errorf("got error %v, want one that names the variable and the address", err)
	}
}
