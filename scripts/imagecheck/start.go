package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// environment is what all functions together require. Nothing answers at the addresses: a service starts without what
// it stands on.
var environment = []string{
	"PROJECT_ID=imagecheck", "FIRESTORE_EMULATOR_HOST=127.0.0.1:1", "PUBSUB_EMULATOR_HOST=127.0.0.1:1",
	"REDIS_URL=redis://127.0.0.1:1", "DEEPGRAM_API_KEY=none",
	"TOKEN_ISSUER=https://issuer.invalid", "TOKEN_AUDIENCE=imagecheck", "TOKEN_KEYS_URL=https://issuer.invalid/keys",
	"PUSH_AUDIENCE=imagecheck", "PUSH_ACCOUNT=push@imagecheck.invalid",
}

const (
	healthyLimit = 20 * time.Second
	endLimit     = 10 * time.Second // as on Cloud Run
)

// start runs the entry point of an image that was unpacked to root, and gives how long it took to be healthy.
func start(ctx context.Context, root string, image v1.Config) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, healthyLimit+endLimit)
	defer cancel()
	port, err := freePort(ctx)
	if err != nil {
		return 0, err
	}
	var logs bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(root, image.Entrypoint[0]))
	cmd.Stdout, cmd.Stderr = &logs, &logs
	cmd.Env = append(append(image.Env, environment...), "PORT="+strconv.Itoa(port))
	if os.Geteuid() == 0 {
		id, err := strconv.ParseUint(user, 10, 32)
		if err != nil {
			return 0, err
		}
		cmd.Path, cmd.Dir = image.Entrypoint[0], "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Chroot: root, Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(id)},
		}
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var end error // to be read once ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end = cmd.Wait()
	}()
	err = healthy(ctx, "http://127.0.0.1:"+strconv.Itoa(port)+"/healthz", ended)
	took := time.Since(began)
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGTERM)
	} else {
		cancel() // kills it
	}
	<-ended
	if err = errors.Join(err, end); err == nil {
		err = logged(logs.Bytes())
	}
	if err != nil {
		return 0, fmt.Errorf("%w; it logged\n%s", err, &logs)
	}
	return took, nil
}

// healthy asks until the service answers with its version.
func healthy(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, healthyLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := ask(ctx, url)
		if err == nil && got != version {
			return fmt.Errorf("/healthz answers %q, want %q", got, version)
		}
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return err
		}
	}
}

func ask(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return string(body), err
}

// logged looks for the line by which a service says that it serves, with its version.
func logged(lines []byte) error {
	for line := range bytes.Lines(lines) {
		var entry struct{ Message, Version string }
		if err := json.Unmarshal(line, &entry); err == nil && entry.Message == "server_serving" && entry.Version == version {
			return nil
		}
	}
	return errors.New("no line server_serving with the version")
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
