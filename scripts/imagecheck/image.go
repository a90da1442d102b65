package main

import (
	"archive/tar"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// user is who services run as: nonroot of distroless images.
const user = "65532"

// inspect looks at what an image says of itself, and gives the size of its layers, compressed, in bytes.
func inspect(ctx context.Context, ref name.Tag, image v1.Image) (int64, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return 0, err
	}
	if config.Config.User != user {
		return 0, fmt.Errorf("runs as %q, want %s", config.Config.User, user)
	}
	if len(config.Config.Entrypoint) != 1 || !filepath.IsAbs(config.Config.Entrypoint[0]) {
		return 0, fmt.Errorf("got entry point %q, want one path", config.Config.Entrypoint)
	}
	if err := materials(ctx, ref, image); err != nil {
		return 0, fmt.Errorf("SBOM: %w", err)
	}
	layers, err := image.Layers()
	if err != nil {
		return 0, err
	}
	var size int64
	for _, layer := range layers {
		n, err := layer.Size()
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

// materials reads the SBOM that ko pushes beside an image, and looks for our module's own dependencies in it.
// https://ko.build/features/sboms
func materials(ctx context.Context, ref name.Tag, image v1.Image) error {
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	beside := ref.Context().Tag(strings.ReplaceAll(digest.String(), ":", "-") + ".sbom")
	attached, err := remote.Image(beside, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	layers, err := attached.Layers()
	if err != nil || len(layers) != 1 {
		return fmt.Errorf("got %d layers, want 1: %w", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	var document struct {
		Packages []struct{ Name string }
	}
	if err := json.NewDecoder(r).Decode(&document); err != nil {
		return err
	}
	for _, want := range []string{"earshot.dev", "cloud.google.com/go/firestore"} {
		if !slices.ContainsFunc(document.Packages, func(p struct{ Name string }) bool { return p.Name == want }) {
			return fmt.Errorf("%s is not in it", want)
		}
	}
	return nil
}

// unpack writes the files of an image below a folder, which nothing in the image may leave.
func unpack(image v1.Image, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()             // only its name is held open
	if err := os.Chmod(folder, 0o755); err != nil { // others than who made it have to get in
		return err
	}
	stream := mutate.Extract(image)
	defer stream.Close()
	files := tar.NewReader(stream)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := write(root, header, files); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func write(root *os.Root, header *tar.Header, content io.Reader) error {
	path := filepath.Clean(strings.TrimPrefix(header.Name, "/"))
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, path)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	default:
		return fmt.Errorf("a file of type %q", header.Typeflag)
	}
}

// static sees to it that a binary needs no other file to run.
func static(binary string) error {
	f, err := elf.Open(binary)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("the binary is linked dynamically")
		}
	}
	return nil
}
