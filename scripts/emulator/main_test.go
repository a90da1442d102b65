package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// stepVariable makes this test binary the command that is run: "write", "read" or "fail".
const stepVariable = "EMULATOR_TEST_STEP"

// step is what the command does with the Firestore that the environment names; it gives the exit code.
func step(t *testing.T, name string) int {
	if name == "fail" {
		return 7
	}
	c, err := firestore.NewClient(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if name == "write" {
		if _, err := c.Doc("a/1").Set(t.Context(), map[string]any{"n": 1}); err != nil {
			t.Fatal(err)
		}
		return 0
	}
	_, err = c.Doc("a/1").Get(t.Context())
	if status.Code(err) == codes.NotFound {
		return 2
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func TestRun(t *testing.T) {
	if name := os.Getenv(stepVariable); name != "" {
		os.Exit(step(t, name))
	}
	file := filepath.Join(t.TempDir(), "db")
	for i, tt := range []struct {
		step, file string
		want       int
	}{
		{"write", file, 0},
		{"read", file, 0}, // kept
		{"read", "", 2},   // another, empty
		{"fail", "", 7},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Setenv(stepVariable, tt.step)
			err := run(t.Context(), options{Data: tt.file, Command: []string{os.Args[0], "-test.run=^TestRun$"}})
			got := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				got = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("%s ended with %d, want %d", tt.step, got, tt.want)
			}
		})
	}
}
