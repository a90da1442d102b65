package stack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// names are the functions that are run.
var names = []string{"listen", "finalize", "usage", "integrations", "conversations", "sweep"}

// build builds the functions and gives the folder of their binaries, which is kept: what is up to date is not linked
// again.
func build(ctx context.Context, race bool) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	kind, flags, env := "plain", []string{}, []string{"CGO_ENABLED=0"} // as in the cloud
	if race {
		kind, flags, env = "race", []string{"-race"}, nil
	}
	checkout := fmt.Sprintf("%x", sha256.Sum256([]byte(root)))[:8]
	folder := filepath.Join(cache, "earshot", checkout, kind)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	arguments := append([]string{"build", "-o", folder + string(filepath.Separator)}, flags...)
	for _, name := range names {
		arguments = append(arguments, "./functions/"+name)
	}
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the functions: %w\n%s", err, output)
	}
	return folder, nil
}

// Root is the top of the checkout that the working directory is in.
func Root(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	file := strings.TrimSpace(string(output))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("find the module: not in a checkout")
	}
	return filepath.Dir(file), nil
}
