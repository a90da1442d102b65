// Command imagecheck builds the functions' images and starts what is in them. scripts/images --check runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"earshot.dev/scripts/arguments"
)

const description = `Builds the functions' images and starts what is in them, for scripts/images --check.

The registry is one of this process, and the base image has nothing in it. Each image is pulled, looked at and
unpacked, and its entry point is started in the folder that it was unpacked to: as root of the file system, by the
user of the image, where this process may do that. It has to answer /healthz with the version that was asked for,
log it, and end in order when told to.`

// version is what the images are stamped with.
const version = "imagecheck-1"

func main() {
	arguments.Parse(&struct{}{}, "imagecheck", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "imagecheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	host, closeRegistry, err := serveRegistry(ctx)
	if err != nil {
		return err
	}
	defer closeRegistry()
	base, err := name.NewTag(host + "/base:empty")
	if err != nil {
		return err
	}
	if err := pushBase(ctx, base); err != nil {
		return fmt.Errorf("push an empty base: %w", err)
	}
	start := time.Now()
	build := exec.CommandContext(ctx, "scripts/images", "--repository="+host+"/earshot", "--version="+version)
	build.Env = append(os.Environ(), "KO_DEFAULTBASEIMAGE="+base.String())
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, output)
	}
	fmt.Printf("built in %v\n", time.Since(start).Round(time.Second))

	configs, err := filepath.Glob("functions/*/config.go")
	if err != nil || len(configs) == 0 {
		return fmt.Errorf("find the functions, of the top folder of the repository: %w", err)
	}
	var failed []error
	for _, config := range configs {
		function := filepath.Base(filepath.Dir(config))
		report, err := check(ctx, host+"/earshot/"+function, function)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", function, err))
			continue
		}
		fmt.Printf("ok   %-14s %s\n", function, report)
	}
	return errors.Join(failed...)
}

// serveRegistry serves an empty registry, in memory.
func serveRegistry(ctx context.Context) (host string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: time.Minute,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener) // http.ErrServerClosed, or the build finds nobody
	}()
	return listener.Addr().String(), func() {
		_ = srv.Close() // nobody is left to ask it
		<-served
	}, nil
}

// pushBase pushes an image of this platform that has no files, and runs as root: the build has to say otherwise.
func pushBase(ctx context.Context, tag name.Tag) error {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH,
		Config: v1.Config{User: "0"}, RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return err
	}
	return remote.Write(tag, image, remote.WithContext(ctx))
}

// check says what an image is, or what is wrong with it.
func check(ctx context.Context, repository, function string) (string, error) {
	ref, err := name.NewTag(repository + ":" + version)
	if err != nil {
		return "", err
	}
	image, err := remote.Image(ref, remote.WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("pull: %w", err)
	}
	size, err := inspect(ctx, ref, image)
	if err != nil {
		return "", err
	}
	root, err := os.MkdirTemp("", "imagecheck-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(root) }() // below the folder for what is temporary
	if err := unpack(image, root); err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return "", err
	}
	if err := static(filepath.Join(root, config.Config.Entrypoint[0])); err != nil {
		return "", err
	}
	took, err := start(ctx, root, config.Config)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.1f MB compressed, healthy after %d ms", float64(size)/1e6, took.Milliseconds()), nil
}
