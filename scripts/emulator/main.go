// Command emulator runs another command with a Firestore of its own, which Google's client libraries find by
// FIRESTORE_EMULATOR_HOST.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"earshot.dev/scripts/arguments"
	"earshot.dev/shared/firestoretest"
)

const description = `Runs a command with a Firestore of its own.

The command and its children find it by FIRESTORE_EMULATOR_HOST; it ends with the command, whose exit code it takes.`

type options struct {
	Data    string   `help:"A file to keep the documents in; without it they end with the command." type:"path"`
	Indexed []string `help:"Collections that have every composite index; others then have none, and queries that need one are refused." placeholder:"ID"`
	Command []string `arg:"" passthrough:"" help:"The command and its arguments."`
}

func main() {
	var o options
	arguments.Parse(&o, "emulator", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "emulator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	var indexes []firestoretest.Index
	for _, id := range o.Indexed {
		indexes = append(indexes, firestoretest.Index{Collection: id})
	}
	server, err := firestoretest.NewServer(firestoretest.Options{File: o.Data, Indexes: indexes})
	if err != nil {
		return err
	}
	defer server.Close()
	command := exec.CommandContext(ctx, o.Command[0], o.Command[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "FIRESTORE_EMULATOR_HOST="+server.Addr())
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	return command.Run()
}
