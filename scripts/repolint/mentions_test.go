package repolint

import (
	"path"
	"regexp"
	"strings"
)

// printing matches what writes past the logger.
var printing = regexp.MustCompile(`^(fmt\.Print|log\.Print|log\.Fatal|log\.Panic|print$|println$)`)

func checkPrint(t tree) []finding {
	return t.mentions(func(f file, function, name string) string {
		example := f.test() && strings.HasPrefix(function, "Example") // its output is what is tested
		if !printing.MatchString(name) || within("scripts", f.dir()) || example {
			return ""
		}
		return name + " is for scripts; here slog logs, and tests have t.Log"
	})
}

func checkSleep(t tree) []finding {
	return t.mentions(func(f file, _, name string) string {
		if name != "time.Sleep" || !f.test() {
			return ""
		}
		return "a test waits for a condition, or in a synctest bubble for time.After; it doesn't sleep"
	})
}

// environment matches what reads environment variables.
var environment = regexp.MustCompile(`^(os\.(Getenv|LookupEnv|Environ|ExpandEnv)|github\.com/caarlos0/env/v[0-9]+\.Parse.*)$`)

func checkEnvironment(t tree) []finding {
	return t.mentions(func(f file, _, name string) string {
		config := within("functions", f.dir()) && path.Base(f.path) == "config.go"
		if !environment.MatchString(name) || config || f.test() || within("scripts", f.dir()) {
			return ""
		}
		return name + " is for a function's config.go"
	})
}
