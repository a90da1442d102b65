package main

import (
	"testing"
	"time"
)

// The scheduler calls each minute (infra/sweep.tf). A sweep that was killed leaves its lock, and as long as that lasts,
// each call is answered with that another is under way.
func TestKilledSweepCostsOnePass(t *testing.T) {
	for name, value := range map[string]string{
		"PROJECT_ID": "p", "REDIS_URL": "redis://localhost", "PUSH_AUDIENCE": "a", "PUSH_ACCOUNT": "b",
	} {
		t.Setenv(name, value)
	}
	cfg, err := readConfig()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.LockTTL > time.Minute {
		t.Errorf("the lock lasts for %v, longer than from one call to the next", cfg.LockTTL)
	}
}
