// Package arguments reads those of the commands.
package arguments

import (
	"os"

	"github.com/alecthomas/kong"
)

// wrong is the exit code for arguments that are, as that of the shell scripts is; kong's would be 80.
const wrong = 2

// Parse reads the arguments of a command into options, a pointer to a struct with kong's tags. Where they are wrong, or ask
// for help, it says so and ends the process.
func Parse(options any, name, description string) *kong.Context {
	exit := func(code int) { os.Exit(min(code, wrong)) }
	return kong.Parse(options, kong.Name(name), kong.Description(description), kong.Exit(exit))
}
